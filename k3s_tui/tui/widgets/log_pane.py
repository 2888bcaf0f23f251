"""The log of a run: its lines, what one sees of them, and what one looks for in them."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static

from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.log_buffer import LogBuffer
from k3s_tui.tui.widgets.log_view import LogView

__all__ = ["LogPane", "LogView"]


class SearchInput(Input):
    """Goes away by Escape, with what was looked for before."""

    BINDINGS = [Binding("escape", "close", N_("Close"), key_display="Esc")]

    class Closed(Message):
        """Nothing is to be looked for."""

    def action_close(self) -> None:
        self.post_message(self.Closed())


class LogPane(Vertical):
    """The lines below a line that says what one sees of them, and above what is searched for."""

    DEFAULT_CSS = """
    LogPane { height: 1fr; }
    LogPane > #log-status { height: 1; background: $panel; color: $foreground; padding: 0 1; }
    LogPane > #log-status { text-wrap: nowrap; text-overflow: ellipsis; }
    LogPane > #log-search { display: none; }
    LogPane.-searching > #log-search { display: block; }
    """

    def __init__(self, buffer: LogBuffer) -> None:
        super().__init__()
        self.buffer = buffer
        self._told = ""

    def compose(self) -> ComposeResult:
        yield Static(id="log-status")
        yield LogView(self.buffer)
        yield SearchInput(id="log-search", compact=True, placeholder=_("search, Enter to go there"))

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def flush(self) -> None:
        """To be called some times a second; never for each line."""
        self.view.flush()
        self._tell()

    @on(LogView.Changed)
    def _tell(self) -> None:
        if self.status != self._told:
            self._told = self.status
            self.query_one("#log-status", Static).update(plain(self._told), layout=False)

    @property
    def status(self) -> str:
        """Whose lines, whether it follows, and how many are in the file alone."""
        view, excerpt = self.view, self.view.excerpt
        parts = [excerpt.host or _("all hosts")]
        if excerpt.only_errors:
            parts.append(_("errors only"))
        if excerpt.needle:
            hits = len(excerpt.hits)
            parts.append(ngettext("{n} hit", "{n} hits", hits).format(n=hits))
        if view.following:
            parts.append(_("following"))
        else:
            parts.append(_("line {n} of {all}").format(n=view.cursor + 1, all=len(view.lines)))
        hidden = self.buffer.dropped(excerpt.host)
        if hidden:
            parts.append(_("{n} older ones are in the file").format(n=hidden))
        return f"{_('Log')}: {', '.join(parts)}"

    @on(LogView.Search)
    def open_search(self) -> None:
        self.add_class("-searching")
        search = self.query_one("#log-search", Input)
        search.focus()
        search.action_select_all()

    @on(Input.Submitted, "#log-search")
    def _search(self, event: Input.Submitted) -> None:
        event.stop()
        self._close_search()
        self.view.search(event.value)

    @on(SearchInput.Closed)
    def _close_search(self) -> None:
        self.remove_class("-searching")
        self.view.focus()
