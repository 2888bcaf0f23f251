"""The one script that asks a host what it is.

Every line of its output is `key value`.  What is not known has no line: a missing tool or file
never fails the script.  What may have several lines is tagged line by line.
"""

from __future__ import annotations

from collections.abc import Iterable

from k3s_tui.hosts.script import quote

MODULES = ("br_netfilter", "overlay", "vxlan")
"""Kernel modules that K3s needs."""

COMMANDS = (
    "apk",
    "apt-get",
    "curl",
    "dnf",
    "flock",
    "iptables",
    "logrotate",
    "nginx",
    "openssl",
    "pacman",
    "psql",
    "setsid",
    "systemctl",
    "wget",
    "zypper",
)
LEFTOVERS = (
    "/var/lib/rancher/k3s/server",
    "/var/lib/rancher/k3s/agent",
    "/etc/rancher/k3s",
    "/etc/rancher/node/password",
)

_HELPERS = r"""
# Processes are what a look costs: the shell itself reads what is short.
tag() { while IFS= read -r line || [ -n "$line" ]; do printf '%s %s\n' "$1" "$line"; done; }
say() { [ -n "$2" ] && printf '%s %s\n' "$1" "$2"; }
first() { IFS= read -r line <"$2" && say "$1" "$line"; }
has() { command -v "$1" >/dev/null 2>&1; }
# A name server or a bus that does not answer must not hold up everything else.
limit() { if has timeout; then timeout 5 "$@"; else "$@"; fi; }
as_postgres() {
    if has runuser; then limit runuser -u postgres -- /bin/sh -c "$1"
    else limit su -s /bin/sh postgres -c "$1"; fi
}
exec 2>/dev/null
"""

_SYSTEM = r"""
say now "$(date +%s)"
for release in /etc/os-release /usr/lib/os-release; do
    [ -r $release ] || continue
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in ID=* | ID_LIKE=* | PRETTY_NAME=*) say os "$line" ;; esac
    done <$release
    break
done
say arch "$(uname -m)"
first machine-id /etc/machine-id
if [ -d /run/systemd/system ]; then echo init systemd
elif has rc-service; then echo init openrc
else first init /proc/1/comm; fi
say cpus "$(nproc || grep -c ^processor /proc/cpuinfo)"
cat /proc/meminfo | while read -r key size unit; do
    [ "$key" = MemTotal: ] && say meminfo "$key $size"
done
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo cgroup v2
    first controllers /sys/fs/cgroup/cgroup.controllers
else
    if [ -f /sys/fs/cgroup/unified/cgroup.controllers ]; then echo cgroup hybrid
    elif [ -d /sys/fs/cgroup/memory ] || [ -d /sys/fs/cgroup/cpu ]; then echo cgroup v1; fi
    # name hierarchy number enabled
    sed -n 's/^\([a-z_]*\)[[:space:]].*[[:space:]]1$/\1/p' /proc/cgroups | tag controllers
fi
"""

_NETWORK = r"""
ip -o addr show | tag address
{ ip route show default; ip -6 route show default; } | grep -q . && echo default-route yes
if has ss; then ss -ltnp | tag ss
elif has netstat; then { netstat -ltnp || netstat -ltn; } | tag netstat # busybox may lack -p
else cat /proc/net/tcp /proc/net/tcp6 | tag procnet; fi
"""

_HEALTH = r"""
if has getenforce; then say selinux "$(getenforce)"
elif [ -r /sys/fs/selinux/enforce ]; then first selinux /sys/fs/selinux/enforce; fi
has systemctl && say firewalld "$(limit systemctl is-active firewalld)"
has ufw && grep -i '^ENABLED=' /etc/ufw/ufw.conf | tag ufw
if has cloud-init && [ ! -e /etc/cloud/cloud-init.disabled ]; then
    cat /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg /var/lib/cloud/instance/cloud-config.txt |
        grep -E '^[[:space:]]*manage_etc_hosts:' | tag manage-hosts
    [ -e /run/cloud-init/enabled ] && [ ! -e /run/cloud-init/result.json ] &&
        echo cloud-init running
fi
"""

_SOFTWARE = r"""
for k3s in /usr/local/bin/k3s /opt/bin/k3s; do
    [ -x $k3s ] && { limit $k3s --version | tag k3s; break; }
done
for role in k3s k3s-agent; do
    for unit in /etc/systemd/system/$role.service /etc/init.d/$role; do
        [ -e $unit ] && echo "k3s-unit $role"
    done
done
if [ "$(command -v psql)" = /usr/bin/psql ]; then # Debian's is Perl that looks for the real one
    for bin in /usr/lib/postgresql/[1-9][0-9]/bin; do [ -x "$bin/psql" ] && PATH=$bin:$PATH; done
fi
if has psql && id postgres >/dev/null; then
    as_postgres 'psql -XAtqc "show server_version_num"' | tag postgres
fi
[ -x /usr/sbin/nginx ] && echo command nginx
"""


def facts_script(
    peers: Iterable[str] = (),
    paths: Iterable[str] = (),
    balancer_pid_file: str = "/dev/null",
    marks: Iterable[str] = (),
) -> str:
    """A script whose output `facts.parse` reads.

    `peers` are IP addresses whose route is looked up, `paths` are folders whose free space counts
    (that of their first existing parent), `balancer_pid_file` is that of our load balancer, `marks`
    are paths that are told when they are there.
    """
    parts = [_HELPERS, _SYSTEM, _NETWORK]
    parts += (_peer(peer) for peer in peers)
    parts += (_path(path) for path in paths)
    parts += [_HEALTH, *map(_module, MODULES), _SOFTWARE]
    parts += (f"has {name} && echo command {name}\n" for name in COMMANDS)
    parts += (f"[ -e {path} ] && echo leftover {path}\n" for path in LEFTOVERS)
    parts += (f"[ -e {quote(path)} ] && echo mark {quote(path)}\n" for path in marks)
    parts.append(f"first balancer-pid {quote(balancer_pid_file)}\nexit 0\n")
    return "".join(parts)


def _peer(peer: str) -> str:
    word = quote(peer)
    return f"echo route {word} $(ip route get {word})\n"


def _path(path: str) -> str:
    word = quote(path)
    return (
        f'p={word}; while [ ! -e "$p" ] && [ -n "$p" ]; do p=${{p%/*}}; done\n'
        f"set -- $(df -Pk \"${{p:-/}}\" | sed -n '$p')\n"
        f'[ -n "$4" ] && echo disk "$4" {word}\n'
    )


def _module(name: str) -> str:
    """Built in, loaded, or there to be loaded; not every busybox knows `modprobe -n`."""
    return (
        f"[ -e /sys/module/{name} ] || grep -qw {name} /proc/filesystems ||"
        f" modprobe -n {name} || grep -q /{name}.ko /lib/modules/$(uname -r)/modules.dep ||"
        f" echo module-missing {name}\n"
    )
