"""Step 2: the certificates between servers and datastore, each to be looked at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import DescendantBlur
from textual.widgets import Button, Checkbox, OptionList, Static
from textual.widgets.option_list import Option

from k3s_tui.core.errors import OperatorError
from k3s_tui.pki import inspect
from k3s_tui.procedure.certificates import Certificate, export, with_existing
from k3s_tui.profile.neighbours import secrets_file
from k3s_tui.profile.store import CA_CERTIFICATE
from k3s_tui.tui import glyphs, reviewed
from k3s_tui.tui.dialogs.export import ExportDialog
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.certificate_detail import CertificateDetail, short_title, title
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.secret_field import SecretField
from k3s_tui.tui.widgets.tick import Tick

_ELSEWHERE = {
    "existing": N_(
        "No certificate is issued here: the database has its own, from whoever runs it. Its CA, "
        "and the certificate that servers show it if it wants one, are files that step 3 asks for. "
        "The review logs in with them from every server."
    ),
    "embedded": N_(
        "No certificate is issued here: etcd runs inside the servers, and K3s makes and renews the "
        "certificates that it needs by itself."
    ),
}
"""What stands here where the datastore is not ours, by its mode."""

_OF_ONE = frozenset({"export", "copy_fingerprint", "rename"})
"""Actions on the certificate under the cursor."""


class CertificatesScreen(StepScreen):
    BINDINGS = [
        Binding("e", "export", N_("Export")),
        Binding("y", "copy_fingerprint", N_("Copy")),
        Binding("u", "rename", N_("Rename")),
    ]
    HELP = N_(
        "A certificate authority signs them, this cluster's own or yours; keys never leave a host. "
        "Each is shown as it will be issued, or as it is there once the review has looked. The "
        "common names and host names follow the datastore's settings: u leads there."
    )

    found: tuple[Certificate, ...] = ()
    _asked = False
    """Whether the fields that go with a key are there."""

    def body(self) -> Iterable[Any]:
        if self._is_elsewhere:
            mode = self.draft.get(("datastore", "mode"))
            yield Static(plain(_(_ELSEWHERE[mode])), id="elsewhere")
            return
        with Horizontal(id="panes"):
            yield OptionList(id="certificates", compact=True)
            yield CertificateDetail(id="certificate")
        yield Tick(_("I have looked at these certificates"), id="looked")
        yield Static(id="changed")
        yield Field(
            ("pki", "mode"),
            N_("Authority"),
            self.draft.get(("pki", "mode")),
            kind="choice",
            choices=(
                ("managed", N_("made for this cluster")),
                ("bring-your-own", N_("your own")),
            ),
            default="managed",
            decides=True,
            help=N_("Who signs. Of your own, give the key, or have certificates signed elsewhere."),
        )
        self._asked = self._signs
        if not self._is_made:
            yield from self._own()
        if self._is_made or self._signs:
            yield from self._lives()
        yield Field(
            ("pki", "datastore-san"),
            N_("More names"),
            self.draft.get(("pki", "datastore-san")),
            kind="list",
            help=N_("More names or addresses for PostgreSQL's certificate."),
        )
        if self._is_made:
            yield Field(
                ("pki", "ca-days"),
                N_("Authority's days"),
                self.draft.get(("pki", "ca-days")),
                kind="number",
                default=3650,
                help=N_("Of a new authority: 365 to 7300. One that is there keeps its end."),
            )

    @property
    def _is_elsewhere(self) -> bool:
        mode: object = self.draft.get(("datastore", "mode"), "managed")
        return mode in _ELSEWHERE

    @property
    def _is_made(self) -> bool:
        return bool(self.draft.get(("pki", "mode"), "managed") == "managed")

    @property
    def _signs(self) -> bool:
        return self.draft.get(("pki", "ca-key")) is not None

    def _own(self) -> Iterable[Any]:
        yield Field(
            ("pki", "ca"),
            N_("CA file"),
            self.draft.get(("pki", "ca")),
            help=N_("PEM, on this machine: your CA and those above it, up to the root."),
        )
        yield Field(
            ("pki", "ca-key"),
            N_("Its key"),
            self.draft.get(("pki", "ca-key")),
            help=N_("PEM, on this machine. Without it: k3s-tui pki csr, then k3s-tui pki import."),
        )
        if self._signs:
            yield SecretField(
                ("pki", "ca-key-passphrase"),
                N_("Its passphrase"),
                self.draft,
                made=False,
                needless=N_("the key has none"),
                help=N_("What the key file is encrypted with."),
            )

    def _lives(self) -> Iterable[Any]:
        yield Field(
            ("pki", "leaf-days"),
            N_("Certificate days"),
            self.draft.get(("pki", "leaf-days")),
            kind="number",
            default=730,
            help=N_(
                "How long PostgreSQL's and the servers' certificates are good: 90 to 825 days."
            ),
        )
        yield Field(
            ("pki", "renew-days"),
            N_("Renew days before"),
            self.draft.get(("pki", "renew-days")),
            kind="number",
            placeholder=N_("a third of their days"),
            help=N_("A run within these last days renews a certificate."),
        )

    def buttons(self) -> Iterable[Button]:
        if self._is_elsewhere:
            return
        yield Button(_("Name …"), id="rename", compact=True)
        yield Button(_("Export …"), id="export", compact=True)

    def on_mount(self) -> None:
        self.look()
        if not self.first and not self._is_elsewhere:
            self.query_one(OptionList).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self._is_elsewhere and action in _OF_ONE)

    def commands(self) -> Iterable[SystemCommand]:
        if self._is_elsewhere:
            return
        yield SystemCommand(_("Export PEM"), "", self.action_export)
        yield SystemCommand(_("Copy SHA-256"), "", self.action_copy_fingerprint)
        yield SystemCommand(_("Change the name"), "", self.action_rename)

    def changed(self) -> None:
        self.look()

    @on(DescendantBlur)
    def _ask_anew(self) -> None:
        """With a key there is more to ask; not at every letter of its path."""
        if not self._is_elsewhere and self._asked != self._signs:
            self._asked = self._signs
            self.draft.settle()
            at = next((f.place for f in self.query(Field) if f.has_focus_within), None)
            self.wizard.go(self.step.id, at or ("pki", "ca-key"))

    def look(self) -> None:
        """What will be issued by the draft as it is now."""
        self._take(reviewed.certificates(self.draft, self.now, self.wizard.plan))

    def _take(self, found: tuple[Certificate, ...]) -> None:
        self.found = found
        if self._is_elsewhere:
            return
        self._draw_list()
        self._draw_review()
        self._draw_detail()

    def _draw_list(self) -> None:
        changed = reviewed.stale(self.draft, self.found)
        labels = []
        for certificate in self.found:
            failed = any(check.result == "failed" for check in certificate.checks)
            wrong = certificate.refused or failed or certificate.there_matches is False
            if wrong:
                state = "problem"
            elif certificate.id in changed:
                state = "warning"
            else:
                state = "ok" if certificate.id in self.draft.reviewed else "pending"
            labels.append(plain(f"{glyphs.glyph(state)} {short_title(certificate)}"))
        options = self.query_one(OptionList)
        if [option.id for option in options.options] == [c.id for c in self.found]:
            for certificate, label in zip(self.found, labels, strict=True):
                options.replace_option_prompt(certificate.id, label)
            return
        at = options.highlighted or 0
        options.set_options(
            Option(label, id=certificate.id)
            for certificate, label in zip(self.found, labels, strict=True)
        )
        options.highlighted = min(at, len(self.found) - 1)

    def _draw_review(self) -> None:
        changed = reviewed.stale(self.draft, self.found)
        tick = self.query_one(Tick)
        with tick.prevent(Checkbox.Changed):
            tick.value = bool(self.draft.reviewed) and not changed
        names = {certificate.id: short_title(certificate) for certificate in self.found}
        told = ", ".join(names.get(id, id) for id in changed)
        told = told and _("Changed since you looked: {names}").format(names=told)
        note = self.query_one("#changed", Static)
        note.update(plain(told and f"{glyphs.glyph('warning')} {told}"))
        note.display = bool(told)

    def _draw_detail(self) -> None:
        certificate = self.chosen
        if certificate is not None:
            self.query_one(CertificateDetail).show(certificate, self.now)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wizard.settings.clock(), UTC)

    @property
    def chosen(self) -> Certificate | None:
        """The one under the cursor."""
        if self._is_elsewhere:
            return None
        at = self.query_one(OptionList).highlighted
        return self.found[at] if at is not None and at < len(self.found) else None

    @on(OptionList.OptionHighlighted, "#certificates")
    def _highlighted(self) -> None:
        self._draw_detail()

    @on(Checkbox.Changed, "#looked")
    def _looked(self, event: Checkbox.Changed) -> None:
        if event.value:
            reviewed.mark_reviewed(self.draft, self.found)
        else:
            self.draft.reviewed = {}
        self._draw_list()
        self._draw_review()

    @on(Button.Pressed, "#rename")
    def action_rename(self) -> None:
        """To the setting that the common name follows."""
        certificate = self.chosen
        client = certificate is not None and certificate.role == "server-client"
        self.wizard.visited.add("datastore")
        self.wizard.go("datastore", ("datastore", "user" if client else "hostname"))

    def action_copy_fingerprint(self) -> None:
        certificate = self.chosen
        if certificate is not None and certificate.theirs:
            self._tell_theirs()
            return
        if certificate is None or certificate.there is None:
            self.notify(_("known after issue"), severity="warning", markup=False)
            return
        self.app.copy_to_clipboard(certificate.there.fingerprint)
        self.notify(_("copied"), markup=False)

    def _tell_theirs(self) -> None:
        told = _("It was there before: k3s-tui has no copy of it.")
        self.notify(told, severity="warning", markup=False)

    @on(Button.Pressed, "#export")
    def action_export(self) -> None:
        certificate = self.chosen
        if certificate is None:
            return
        pem = export(certificate)
        if pem is not None:
            self._export(certificate, pem)
        elif certificate.theirs:
            self._tell_theirs()
        elif (
            certificate.role == "ca"
            and not certificate.given
            and secrets_file(self.draft.path).exists()
        ):
            self.open_store()
        else:
            told = _(
                "There is none yet that anybody has looked at: the review looks, a run issues."
            )
            self.notify(told, severity="warning", markup=False)

    @work(exclusive=True, exit_on_error=False)
    async def open_store(self) -> None:
        """The authority lies in the store: no host needs to be asked."""
        try:
            store = await self.wizard.secrets.store()
            pem = store.get(CA_CERTIFICATE).reveal()
            inspect.view(pem)
        except (OperatorError, ValueError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._take(with_existing(self.found, ca_pem=pem, plan=self.wizard.plan))
        self._export(self.found[0], pem)

    def _export(self, certificate: Certificate, pem: str) -> None:
        name = certificate.id.replace("/", "-")
        proposed = self.draft.path.with_name(f"{self.draft.path.stem}-{name}.crt")

        def saved(path: Path | None) -> None:
            if path is not None:
                self.notify(_("saved {path}").format(path=path), markup=False)

        self.app.push_screen(ExportDialog(title(certificate), pem, proposed), saved)


SCREEN = CertificatesScreen
