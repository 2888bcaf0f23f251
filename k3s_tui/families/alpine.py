"""Alpine Linux.  Its PostgreSQL packages carry their version in the name: not chosen for you."""

from __future__ import annotations

from k3s_tui.families.base import Family, NginxLayout, PostgresLayout

_INSTALLED = """\
for name; do
    apk info -e "$name"
done
"""

_INSTALL = """\
apk --wait 300 add "$@" && return
echo "once more, with fresh lists" >&2
apk --wait 300 update && apk --wait 300 add "$@"
"""

ALPINE = Family(
    name="Alpine",
    ids=frozenset({"alpine"}),
    packages={
        "nginx": ("nginx", "nginx-mod-stream"),
        "openssl": ("openssl",),
        "logrotate": ("logrotate",),
        "download": ("curl", "ca-certificates"),
        "iptables": ("iptables",),
    },
    installed=_INSTALLED,
    install=_INSTALL,
    by_hand="apk add",
    postgres=PostgresLayout(
        unit="[ -e /etc/init.d/postgresql ] && echo postgresql",
        # The service makes the cluster at its first start.
        initdb="",
        # No runuser; and /bin/sh, because the user's own shell may refuse logins.
        psql="su postgres -s /bin/sh -c 'psql -XAtq'",
    ),
    nginx=NginxLayout(
        user="nginx", unit="nginx", load_stream="include /etc/nginx/modules/*stream.conf;"
    ),
    init="openrc",
)
