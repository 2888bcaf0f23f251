"""A host's key that nobody has confirmed yet."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Label, Static, TextArea

from k3s_tui.hosts.hostkeys import fingerprint
from k3s_tui.procedure.probing import matches
from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.plain_area import PlainArea

_FILE = "/etc/ssh/ssh_host_{}_key.pub"
_FILES = {
    "ssh-ed25519": _FILE.format("ed25519"),
    "ssh-rsa": _FILE.format("rsa"),
    **{f"ecdsa-sha2-nistp{size}": _FILE.format("ecdsa") for size in (256, 384, 521)},
}
"""Where sshd keeps its key of a type, unless it is told otherwise."""

_GROUP = 4
"""Characters of a fingerprint that stand together, to be compared by eye."""


class HostKeyDialog(Dialog[bool]):
    """True when the key is trusted from now on.  The safe answer has the focus."""

    HELP = N_(
        "The fingerprint tells this host from one that only claims to be it. Compare it by a way "
        "that nobody on the network can change, such as the host's console; once trusted, it is "
        "kept in the lock file, and a host that shows another key is refused."
    )
    AUTO_FOCUS = "#not-now"
    BINDINGS = [
        Binding("escape", "not_now", N_("Not now"), key_display="Esc"),
        Binding("y", "copy", N_("Copy fingerprint")),
    ]

    def __init__(self, host: str, key: str) -> None:
        """`key` is in OpenSSH's format: `type base64`."""
        super().__init__()
        self._host, self._key = host, key
        self._fingerprint = fingerprint(key)

    def compose(self) -> ComposeResult:
        kind = self._key.partition(" ")[0]
        known = _("{host} shows a host key that is not known yet ({kind}):")
        with Vertical(classes="dialog -asks"):
            with VerticalScroll(can_focus=False):
                yield Static(plain(known.format(host=self._host, kind=kind)))
                yield Static(plain(grouped(self._fingerprint)), id="fingerprint")
                yield Static(plain(_("Compare it with the host's own, on its console:")))
                yield Static(plain(f"ssh-keygen -lf {_FILES.get(kind, _FILE.format('*'))}"))
                yield Label(_("Or paste that fingerprint or public key here:"))
                yield PlainArea(id="expected")
            yield Static(id="compared")
            with Horizontal(classes="answers"):
                yield Button(_("Copy"), id="copy", compact=True)
                yield Button(_("Not now"), id="not-now", compact=True)
                yield Button(_("Trust this key"), id="trust", variant="primary", compact=True)
            yield KeyBar(palette=False)

    @on(TextArea.Changed)
    def _compare(self) -> None:
        pasted = self.query_one(PlainArea).text
        text, trust = "", self.query_one("#trust", Button)
        trust.disabled = False
        if pasted.strip():
            same = matches(pasted, self._key)
            trust.disabled = not same
            state = "ok" if same else "problem"
            said = _("they are the same") if same else _("they are NOT the same: do not trust it")
            text = f"{glyphs.glyph(state)} {said}"
        compared = self.query_one("#compared", Static)
        compared.update(plain(text))
        compared.set_class(bool(text) and trust.disabled, "bad")

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        """As ssh-keygen prints it."""
        self.app.copy_to_clipboard(self._fingerprint)
        self.notify(_("copied"), markup=False)

    @on(Button.Pressed, "#trust")
    def _trust(self) -> None:
        self.dismiss(True)

    @on(Button.Pressed, "#not-now")
    def action_not_now(self) -> None:
        self.dismiss(False)


def grouped(fingerprint: str) -> str:
    """`SHA256: abcd efgh …`"""
    kind, _colon, text = fingerprint.rpartition(":")
    groups = [text[at : at + _GROUP] for at in range(0, len(text), _GROUP)]
    return f"{kind}: {' '.join(groups)}"
