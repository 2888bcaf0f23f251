#!/bin/sh
# Installs the k3s STAND-IN of k3s-tui's tests (standin). It keeps the contract of K3s's install
# script towards whoever calls it: the INSTALL_K3S_* and K3S_* environment, the arguments, the
# files that it writes and their modes. It is the lab's own and works only in the lab.
#
#   INSTALL_K3S_VERSION        release to download (required: the lab has no channel server)
#   INSTALL_K3S_EXEC           command and arguments; those of the script are added to them
#   INSTALL_K3S_NAME           the unit becomes k3s-NAME
#   INSTALL_K3S_TYPE           the unit's Type (notify)
#   INSTALL_K3S_BIN_DIR        /usr/local/bin
#   INSTALL_K3S_SYSTEMD_DIR    /etc/systemd/system
#   INSTALL_K3S_SKIP_DOWNLOAD  true or binary: the executable is there already
#   INSTALL_K3S_SKIP_START, INSTALL_K3S_SKIP_ENABLE, INSTALL_K3S_FORCE_RESTART   true
#   INSTALL_K3S_SYMLINK        skip or force
#   K3S_URL                    makes it an agent; then K3S_TOKEN or K3S_TOKEN_FILE is required
#   GITHUB_URL                 https://github.com/k3s-io/k3s/releases
set -e

say() { echo "[INFO]  $*"; }
die() { echo "[ERROR]  $*" >&2; exit 1; }

# One word for a shell, and for a unit file's ExecStart.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# Every argument quoted, each after the separator $1.
quote_all() {
    between=$1
    shift
    for word in "$@"; do
        printf '%s%s' "$between" "$(quoted "$word")"
    done
}

# ---- what is asked for

# The words of INSTALL_K3S_EXEC first, as the shell splits them, then the script's own.
eval "set -- $(printf '%s' "${INSTALL_K3S_EXEC:-}" | tr '\n' ' ') $(quote_all ' ' "$@")"

case ${1:-} in
    -* | "")
        if [ -n "${K3S_URL:-}" ]; then
            [ -n "${K3S_TOKEN:-}${K3S_TOKEN_FILE:-}" ] ||
                die "Defaulted k3s exec command to 'agent' because K3S_URL is defined, but K3S_TOKEN or K3S_TOKEN_FILE is not defined."
            command=agent
        else
            command=server
        fi
        ;;
    *)
        command=$1
        shift
        ;;
esac
case ${K3S_URL:-} in
    "" | https://*) ;;
    *) die "Only https:// URLs are supported for K3S_URL (have $K3S_URL)" ;;
esac

if [ -n "${INSTALL_K3S_NAME:-}" ]; then
    name=k3s-$INSTALL_K3S_NAME
elif [ "$command" = server ]; then
    name=k3s
else
    name=k3s-$command
fi
bin_dir=${INSTALL_K3S_BIN_DIR:-/usr/local/bin}
unit_dir=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
unit=$unit_dir/$name.service
environment=$unit.env
k3s=$bin_dir/k3s
uninstall=$bin_dir/${UNINSTALL_K3S_SH:-$name-uninstall.sh}
killall=$bin_dir/${KILLALL_K3S_SH:-k3s-killall.sh}

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
command -v systemctl >/dev/null 2>&1 || die "Can not find systemd or openrc to use as a process supervisor for k3s"
if [ ! -f /etc/k3s-tui-lab ]; then
    die "this installs the k3s STAND-IN of k3s-tui's tests; it runs in the lab only"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# Puts standard input at $1 with mode $2, whole or not at all.
place() {
    $sudo sh -c 'umask 077; cat > "$1.new" && chmod "$2" "$1.new" && chown root:root "$1.new" && mv -f "$1.new" "$1"' \
        sh "$1" "$2"
}

state() { $sudo sha256sum "$k3s" "$unit" "$environment" 2>&1 || :; }

# ---- the executable

fetch() {
    if command -v curl >/dev/null 2>&1; then
        curl -sfL -o "$2" "$1" || die "Download failed: $1"
    else
        wget -qO "$2" "$1" || die "Download failed: $1"
    fi
}

download() {
    [ -n "${INSTALL_K3S_VERSION:-}" ] || die "standin: INSTALL_K3S_VERSION must be set, the lab has no channel server"
    case ${ARCH:-$(uname -m)} in
        amd64 | x86_64) arch=amd64 file=k3s ;;
        arm64 | aarch64) arch=arm64 file=k3s-arm64 ;;
        arm*) arch=arm file=k3s-armhf ;;
        *) die "Unsupported architecture ${ARCH:-$(uname -m)}" ;;
    esac
    from=${GITHUB_URL:-https://github.com/k3s-io/k3s/releases}/download/$(printf '%s' "$INSTALL_K3S_VERSION" | sed 's/+/%2B/g')
    say "Using $INSTALL_K3S_VERSION as release (standin)"
    say "Downloading hash $from/sha256sum-$arch.txt"
    fetch "$from/sha256sum-$arch.txt" "$scratch/sums"
    expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  *$file\$/\1/p" "$scratch/sums")
    [ -n "$expected" ] || die "standin: no checksum of $file in $from/sha256sum-$arch.txt"
    if [ -x "$k3s" ] && [ "$(sha256sum "$k3s" | cut -d' ' -f1)" = "$expected" ]; then
        say "Skipping binary downloaded, installed k3s matches hash"
        return
    fi
    say "Downloading binary $from/$file"
    fetch "$from/$file" "$scratch/k3s"
    say "Verifying binary download"
    actual=$(sha256sum "$scratch/k3s" | cut -d' ' -f1)
    [ "$actual" = "$expected" ] || die "Download sha256 does not match $expected, got $actual"
    say "Installing k3s to $k3s"
    $sudo mkdir -p "$bin_dir"
    place "$k3s" 755 <"$scratch/k3s"
}

before=$(state)
case ${INSTALL_K3S_SKIP_DOWNLOAD:-} in
    true | binary)
        say "Skipping k3s download and verify"
        [ -x "$k3s" ] || die "Executable k3s binary not found at $k3s"
        ;;
    *) download ;;
esac

if [ "${INSTALL_K3S_SYMLINK:-}" != skip ]; then
    for tool in kubectl crictl ctr; do
        if [ -e "$bin_dir/$tool" ] && [ "${INSTALL_K3S_SYMLINK:-}" != force ]; then
            say "Skipping $bin_dir/$tool symlink to k3s, already exists"
        elif other=$(command -v "$tool") && [ "${INSTALL_K3S_SYMLINK:-}" != force ]; then
            say "Skipping $bin_dir/$tool symlink to k3s, command exists in PATH at $other"
        else
            say "Creating $bin_dir/$tool symlink to k3s"
            $sudo ln -sf k3s "$bin_dir/$tool"
        fi
    done
fi

# ---- scripts that undo it

say "Creating killall script $killall"
place "$killall" 755 <<'SCRIPT'
#!/bin/sh
# Stops every k3s (standin) service of this host.
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"
for unit in /etc/systemd/system/k3s*.service; do
    [ -f "$unit" ] && systemctl stop "$(basename "$unit")"
done
rm -rf /run/k3s /run/k3s-standin
exit 0
SCRIPT

say "Creating uninstall script $uninstall"
place "$uninstall" 755 <<SCRIPT
#!/bin/sh
# Removes k3s (standin) from this host. The datastore stays, and /etc/rancher/node.
[ "\$(id -u)" = 0 ] || exec sudo "\$0" "\$@"
$(quoted "$killall")
systemctl disable $(quoted "$name") 2>/dev/null
systemctl reset-failed $(quoted "$name") 2>/dev/null
rm -f $(quoted "$unit") $(quoted "$environment")
systemctl daemon-reload
for other in $(quoted "$unit_dir")/k3s*.service; do
    if [ -f "\$other" ]; then
        rm -f $(quoted "$uninstall")
        echo "Additional k3s services installed, skipping uninstall of k3s"
        exit 0
    fi
done
for tool in kubectl crictl ctr; do
    [ -L $(quoted "$bin_dir")/\$tool ] && rm -f $(quoted "$bin_dir")/\$tool
done
rm -rf /etc/rancher/k3s /run/k3s /run/k3s-standin /run/flannel /var/lib/rancher/k3s /var/lib/kubelet
rm -f $(quoted "$k3s") $(quoted "$killall") $(quoted "$uninstall")
exit 0
SCRIPT

# ---- the unit

# A backslash at the end of a line carries ExecStart on to the next one.
continued=$(printf ' \\\n\t')

$sudo systemctl disable "$name" >/dev/null 2>&1 || :

say "env: Creating environment file $environment"
env | grep -E '^(K3S_|CONTAINERD_|HTTP_PROXY=|HTTPS_PROXY=|NO_PROXY=|http_proxy=|https_proxy=|no_proxy=)' |
    place "$environment" 600

say "systemd: Creating service file $unit"
place "$unit" 644 <<UNIT
[Unit]
Description=Lightweight Kubernetes (standin of the k3s-tui lab)
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=${INSTALL_K3S_TYPE:-notify}
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$environment
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStart=$k3s \\
	$command$(quote_all "$continued" "$@")

UNIT

if [ "${INSTALL_K3S_SKIP_ENABLE:-}" = true ]; then
    exit 0
fi
say "systemd: Enabling $name unit"
$sudo systemctl enable "$unit" >/dev/null 2>&1 || die "cannot enable $unit"
$sudo systemctl daemon-reload

if [ "${INSTALL_K3S_SKIP_START:-}" = true ]; then
    exit 0
fi
if [ "$before" = "$(state)" ] && [ "${INSTALL_K3S_FORCE_RESTART:-}" != true ] &&
    systemctl is-active --quiet "$name"; then
    say "No change detected so skipping service start"
    exit 0
fi
say "systemd: Starting $name"
$sudo systemctl restart "$name"
