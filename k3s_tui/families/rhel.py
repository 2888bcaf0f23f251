"""RHEL, its rebuilds, and Fedora."""

from __future__ import annotations

from k3s_tui.families import rpm
from k3s_tui.families.base import Family, NginxLayout, PostgresLayout

# dnf waits for its lock by itself.
_INSTALL = """\
dnf -y install --setopt=install_weak_deps=False "$@"
"""

RHEL = Family(
    name="RHEL",
    ids=frozenset({"rhel", "fedora", "centos", "rocky", "almalinux", "ol"}),
    packages={
        "postgresql": ("postgresql-server",),
        "nginx": ("nginx", "nginx-mod-stream"),
        "openssl": ("openssl",),
        "logrotate": ("logrotate",),
        "download": ("curl", "ca-certificates"),
        "iptables": ("iptables",),
    },
    installed=rpm.INSTALLED,
    install=_INSTALL,
    by_hand="dnf install",
    postgres=PostgresLayout(
        unit="[ -s /var/lib/pgsql/data/PG_VERSION ] && echo postgresql.service",
        initdb="[ -s /var/lib/pgsql/data/PG_VERSION ] || postgresql-setup --initdb",
    ),
    nginx=NginxLayout(
        user="nginx", load_stream="include /usr/share/nginx/modules/mod-stream.conf;"
    ),
)
