"""SLES, openSUSE Leap and Tumbleweed."""

from __future__ import annotations

from k3s_tui.families import rpm
from k3s_tui.families.base import Family, NginxLayout, PostgresLayout

# Repository keys are not imported on the way: whom to trust is the operator's to say.
# 102 and 103 ask for a reboot or a restart of zypper, 106 tells of a repository left out.
_INSTALL = """\
ZYPP_LOCK_TIMEOUT=300
export ZYPP_LOCK_TIMEOUT
zypper -n install --no-recommends "$@"
status=$?
case $status in
0 | 102 | 103 | 106) return 0 ;;
*) return "$status" ;;
esac
"""

SUSE = Family(
    name="SUSE",
    ids=frozenset({"suse", "opensuse", "sles", "opensuse-leap", "opensuse-tumbleweed"}),
    packages={
        "postgresql": ("postgresql-server",),
        "nginx": ("nginx",),
        "openssl": ("openssl",),
        "logrotate": ("logrotate",),
        "download": ("curl", "ca-certificates"),
        "iptables": ("iptables",),
    },
    installed=rpm.INSTALLED,
    install=_INSTALL,
    by_hand="zypper install",
    # The unit makes the cluster at its first start.
    postgres=PostgresLayout(unit="echo postgresql.service", initdb=""),
    nginx=NginxLayout(
        user="nginx", load_stream="load_module /usr/lib64/nginx/modules/ngx_stream_module.so;"
    ),
)
