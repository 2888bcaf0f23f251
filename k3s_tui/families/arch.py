"""Arch Linux."""

from __future__ import annotations

from k3s_tui.families.base import Family, NginxLayout, PostgresLayout

# `-T` knows what packages provide: iptables-nft stands in for iptables.
_INSTALLED = """\
for name; do
    pacman -T "$name" >/dev/null 2>&1 && echo "$name"
done
"""

# Without -y: fresh lists and old packages together are a partial upgrade, which Arch refuses.
_INSTALL = """\
pacman -S --needed --noconfirm "$@" && return
echo "run 'pacman -Syu', reboot when the kernel was upgraded, then try again" >&2
return 1
"""

_INITDB = """\
if [ ! -s /var/lib/postgres/data/PG_VERSION ]; then
    runuser -u postgres -- initdb -D /var/lib/postgres/data -E UTF8 --locale=C.UTF-8 \\
        --data-checksums --auth-local=peer --auth-host=scram-sha-256
fi
"""

ARCH = Family(
    name="Arch",
    ids=frozenset({"arch", "archarm"}),
    packages={
        "postgresql": ("postgresql",),
        "nginx": ("nginx",),
        "openssl": ("openssl",),
        "logrotate": ("logrotate",),
        "download": ("curl", "ca-certificates"),
        "iptables": ("iptables",),
    },
    installed=_INSTALLED,
    install=_INSTALL,
    by_hand="pacman -S",
    postgres=PostgresLayout(
        unit="[ -s /var/lib/postgres/data/PG_VERSION ] && echo postgresql.service",
        initdb=_INITDB,
    ),
    nginx=NginxLayout(user="http"),
)
