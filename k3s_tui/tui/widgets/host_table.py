"""The hosts of a draft, a line each: where, what for, and what a probe has found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual.binding import Binding
from textual.widgets import DataTable

from k3s_tui.procedure.probing import Found
from k3s_tui.tui import glyphs
from k3s_tui.tui.draft import Draft, roles_of
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.text import cell

ROLES = {
    "server": N_("server"),
    "agent": N_("agent"),
    "datastore": N_("datastore"),
    "loadbalancer": N_("load balancer"),
}
"""Roles as the profile calls them, and as people do."""

_ROOMY = 70
"""Columns from which there is room for the user and the system."""
_WIDEST = 40


@dataclass(frozen=True)
class _Column:
    label: str
    least: int
    """Cells that it keeps when there is too little room."""
    spare: bool = False
    """Whether it goes where there is no room: what it says is told below the table, too."""


_COLUMNS = (
    _Column(N_("Name"), 10),
    _Column(N_("Address"), 10),
    _Column(N_("User"), 4, spare=True),
    _Column(N_("Roles"), 8),
    _Column(N_("System"), 8, spare=True),
    _Column(N_("Status"), 16),
)


class HostTable(DataTable[Any]):
    """As wide as there is room: what does not fit ends in an ellipsis.  Enter selects a host; the
    row under the cursor stays the same host when all is drawn anew.
    """

    BINDINGS = [Binding("enter", "select_cursor", N_("Edit"), show=False)]

    def __init__(self) -> None:
        super().__init__(id="hosts", cursor_type="row", zebra_stripes=True, cell_padding=0)
        self._names: list[str] = []
        self._lines: list[Sequence[str]] = []

    def show(self, draft: Draft, found: Mapping[str, Found], probing: Collection[str]) -> None:
        """Draw the draft as it is now."""
        at, before = self.cursor_row, self.chosen
        wrong = {str(p.path[1]) for p in draft.problems(("hosts",)) if _is_of_one(p)}
        self._names = list(draft.hosts)
        self._lines = [
            (
                name,
                _where(host),
                str(host.get("user") or draft.get(("ssh", "user"), "")),
                ", ".join(_(ROLES.get(role, role)) for role in roles_of(host)) or "-",
                _system(found.get(name)),
                _status(found.get(name), probing=name in probing, wrong=name in wrong),
            )
            for name, host in draft.hosts.items()
        ]
        self._draw(self._names.index(before) if before in self._names else at)

    @property
    def chosen(self) -> str | None:
        """The name of the host under the cursor."""
        names = self._names
        return names[self.cursor_row] if 0 <= self.cursor_row < len(names) else None

    def choose(self, name: str) -> None:
        """Put the cursor on a host."""
        if name in self._names:
            self.move_cursor(row=self._names.index(name))

    def _draw(self, at: int) -> None:
        room = (self.outer_size.width or self.app.size.width - 2) - 1  # the scroll bar's
        shown = [n for n, c in enumerate(_COLUMNS) if not c.spare or room >= _ROOMY]
        labels = [cell(_(column.label)) for column in _COLUMNS]
        lines = [[_shortened(text) for text in line] for line in self._lines]
        natural = [
            max(text.cell_len for text in column) for column in zip(labels, *lines, strict=True)
        ]
        gap = 2 if sum(natural[n] + 2 for n in shown) <= room else 1
        widths = _fitted(
            [natural[n] for n in shown],
            [_COLUMNS[n].least for n in shown],
            room - gap * len(shown),
        )
        self.clear(columns=True)
        for n, width in zip(shown, widths, strict=True):
            self.add_column(labels[n], width=width + gap)
        for line in lines:
            cells = [line[n] for n in shown]
            for text, width in zip(cells, widths, strict=True):
                text.truncate(width, overflow="ellipsis")
            self.add_row(*cells)
        if self.row_count:
            self.move_cursor(row=max(0, min(at, self.row_count - 1)))

    def on_resize(self) -> None:
        self._draw(self.cursor_row)


def _fitted(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit: the widest ones give way, as far as they can."""
    widths = list(natural)
    while sum(widths) > room:
        can = [n for n, width in enumerate(widths) if width > least[n]]
        if not can:
            break
        widths[max(can, key=lambda n: widths[n])] -= 1
    return widths


def _shortened(text: str) -> Text:
    short = cell(text[: 4 * _WIDEST].replace("\n", " "))
    short.truncate(_WIDEST, overflow="ellipsis")
    return short


def _is_of_one(problem: Any) -> bool:
    return problem.severity == "error" and len(problem.path) > 1


def _where(host: Mapping[str, Any]) -> str:
    """The address, and the port when it is the host's own."""
    port = f":{host['port']}" if host.get("port") else ""
    return f"{host.get('address', '')}{port}"


def _system(found: Found | None) -> str:
    if found is None:
        return ""
    return f"{found.os.replace(' GNU/Linux', '')} {found.arch}".strip()


def _status(found: Found | None, *, probing: bool, wrong: bool) -> str:
    state, text = status(found, probing=probing, wrong=wrong)
    return f"{glyphs.glyph(state)} {text}"


def status(found: Found | None, *, probing: bool, wrong: bool) -> tuple[str, str]:
    """How a host stands: a state of `glyphs`, and a word."""
    if probing:
        return "waiting", _("probing")
    if wrong:
        return "problem", _("to mend")
    if found is None:
        return "pending", _("not probed")
    if found.state == "unknown-key":
        return "warning", _("new host key")
    if found.state == "failed":
        return "problem", _("failed")
    severities = {problem.severity for problem in found.problems}
    if "error" in severities:
        return "problem", _("not ready")
    if "warning" in severities:
        return "warning", _("with warnings")
    return "ok", _("ready")
