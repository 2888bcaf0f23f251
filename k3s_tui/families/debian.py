"""Debian, Ubuntu and what descends from them."""

from __future__ import annotations

from k3s_tui.families.base import Family, NginxLayout, PostgresLayout

# Only the status `installed`: `config-files` and `half-configured` are not.
_INSTALLED = """\
dpkg-query -W -f '${db:Status-Status} ${Package}\\n' "$@" 2>/dev/null | sed -n 's/^installed //p'
"""

# needrestart only lists: restarts are planned steps, not side effects of a library.
# apt-cache answers from the lists, which may be empty, or older than what the mirror holds.
# A failing update is not the end: one broken repository must not hide the others' packages.
_INSTALL = """\
DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none
export DEBIAN_FRONTEND NEEDRESTART_MODE APT_LISTCHANGES_FRONTEND
apt() {
    apt-get -y -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \\
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}
known() {
    for name; do
        apt-cache show "$name" >/dev/null 2>&1 || return 1
    done
}
known "$@" || apt update
apt --no-install-recommends --no-upgrade install "$@" && return
echo "once more, with what dpkg has left undone (dpkg --configure -a) and with fresh lists" >&2
dpkg --configure -a
apt update
apt --no-install-recommends --no-upgrade install "$@"
"""

_UNIT = """\
pg_lsclusters -h 2>/dev/null | sort -rn | while read -r version name rest; do
    echo "postgresql@$version-$name.service"
    break
done
"""

_INITDB = """\
if [ -z "$(pg_lsclusters -h)" ]; then
    version=$(ls /usr/lib/postgresql | sort -rn | head -n 1)
    pg_createcluster "$version" main
fi
"""

_SECOND = """\
version=$(ls /usr/lib/postgresql | sort -rn | head -n 1)
pg_createcluster "$version" "$1" --port "$2"
"""

_SECOND_UNIT = """\
pg_lsclusters -h 2>/dev/null | sort -rn | while read -r version name rest; do
    [ "$name" = "$1" ] || continue
    echo "postgresql@$version-$name.service"
    break
done
"""

DEBIAN = Family(
    name="Debian",
    ids=frozenset({"debian", "ubuntu"}),
    packages={
        "postgresql": ("postgresql",),
        "nginx": ("nginx", "libnginx-mod-stream"),
        "openssl": ("openssl",),
        "logrotate": ("logrotate",),
        "download": ("curl", "ca-certificates"),
        "iptables": ("iptables",),
    },
    installed=_INSTALLED,
    install=_INSTALL,
    by_hand="apt-get install",
    postgres=PostgresLayout(unit=_UNIT, initdb=_INITDB, second=_SECOND, second_unit=_SECOND_UNIT),
    nginx=NginxLayout(
        user="www-data", load_stream="include /etc/nginx/modules-enabled/*-mod-stream.conf;"
    ),
)
