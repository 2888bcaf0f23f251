"""All that is known of one host: what keeps it from being ready, what to try, what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from k3s_tui.procedure.probing import Found
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.widgets.rows import Row

_ROOT = {
    "root": N_("logs in as root"),
    "passwordless": N_("sudo asks for no password"),
    "password": N_("sudo asks for a password"),
    "denied": N_("no way to become root"),
}
_STATES = {"error": "problem", "warning": "warning", "note": "pending"}


def about(found: Found | None, problems: Sequence[ProfileProblem], user: str) -> list[Row]:
    """`problems` are those that the profile's rules have with the host."""
    rows = [
        Row(str(p.path[2]) if len(p.path) > 2 else "", tell(p), _STATES[p.severity])
        for p in problems
    ]
    if found is None:
        text = _("not probed: p logs in, looks and changes nothing")
        return [*rows, Row("", text, "pending")]
    order = list(_STATES)
    for told in sorted(found.problems, key=lambda told: order.index(told.severity)):
        rows.append(Row(_("Found"), told.text, _STATES[told.severity]))
        if told.fix:
            rows.append(Row(_("Try"), told.fix))
    return [*rows, *_facts(found, user)]


def _facts(found: Found, user: str) -> Iterator[Row]:
    system = f"{found.os} {found.arch}".strip()
    if system:
        yield Row(_("System"), system)
    if found.sudo:
        yield Row(_("Root"), f"{user}: {_(_ROOT[found.sudo])}" if user else _(_ROOT[found.sudo]))
    if found.clock_skew is not None:
        yield Row(_("Clock"), clock(*found.clock_skew))
    if found.fingerprint:
        unknown = found.state == "unknown-key"
        text = found.fingerprint
        if unknown:
            text = f"{text}\n{_('not trusted yet: p asks about it again')}"
        yield Row(_("Host key"), text)


def clock(ahead: float, error: float) -> str:
    """A host's clock beside this machine's, in words."""
    if abs(ahead) <= max(error, 0.5):
        return _("the same as here")
    seconds = f"{abs(ahead):.0f}" if abs(ahead) >= 1 else f"{abs(ahead):.1f}"
    if ahead > 0:
        return _("{seconds} s ahead of here").format(seconds=seconds)
    return _("{seconds} s behind here").format(seconds=seconds)
