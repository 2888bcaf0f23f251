"""What differs by distribution.  To add one: a module like `debian`, and a line here."""

from __future__ import annotations

from k3s_tui.core.errors import Refused
from k3s_tui.families.alpine import ALPINE
from k3s_tui.families.arch import ARCH
from k3s_tui.families.base import Family, NginxLayout, PostgresLayout, Role
from k3s_tui.families.debian import DEBIAN
from k3s_tui.families.rhel import RHEL
from k3s_tui.families.suse import SUSE

__all__ = ["FAMILIES", "Family", "NginxLayout", "PostgresLayout", "Role", "family_of"]

FAMILIES = (DEBIAN, SUSE, RHEL, ALPINE, ARCH)


def family_of(os_id: str, os_like: str = "") -> Family:
    """The family of a host, by ID and ID_LIKE (words, nearest first) of its /etc/os-release.

    Raises Refused for a distribution that is none of ours.
    """
    for word in (os_id, *os_like.split()):
        for family in FAMILIES:
            if word in family.ids:
                return family
    known = ", ".join(family.name for family in FAMILIES)
    raise Refused(
        f"the distribution {os_id!r} is not known", hint=f"hosts may be of these families: {known}"
    )
