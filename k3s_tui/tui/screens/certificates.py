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
from k3s_tui.tui.widgets.mode_field import ModeField
from k3s_tui.tui.widgets.tick import Tick


class CertificatesScreen(StepScreen):
    BINDINGS = [
        Binding("e", "export", N_("Export")),
        Binding("y", "copy_fingerprint", N_("Copy")),
        Binding("u", "rename", N_("Rename")),
    ]
    HELP = N_(
        "A certificate authority of this cluster's own signs them; keys never leave a host. "
        "Each is shown as it will be issued, or as it is there once the review has looked. The "
        "common names and host names follow the datastore's settings: u leads there."
    )

    found: tuple[Certificate, ...] = ()

    def body(self) -> Iterable[Any]:
        with Horizontal(id="panes"):
            yield OptionList(id="certificates", compact=True)
            yield CertificateDetail(id="certificate")
        yield Tick(_("I have looked at these certificates"), id="looked")
        yield Static(id="changed")
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
        yield Field(
            ("pki", "ca-days"),
            N_("Authority's days"),
            self.draft.get(("pki", "ca-days")),
            kind="number",
            default=3650,
            help=N_("Of a new authority: 365 to 7300. One that is there keeps its end."),
        )
        yield ModeField(
            ("pki", "mode"),
            N_("Certificates"),
            self.draft.get(("pki", "mode")),
            works=("managed", N_("from an authority of this cluster's own")),
            later=[("bring-your-own", N_("bring your own"))],
        )

    def buttons(self) -> Iterable[Button]:
        yield Button(_("Name …"), id="rename", compact=True)
        yield Button(_("Export …"), id="export", compact=True)

    def on_mount(self) -> None:
        self.look()
        if not self.first:
            self.query_one(OptionList).focus()

    def commands(self) -> Iterable[SystemCommand]:
        yield SystemCommand(_("Export PEM"), "", self.action_export)
        yield SystemCommand(_("Copy SHA-256"), "", self.action_copy_fingerprint)
        yield SystemCommand(_("Change the name"), "", self.action_rename)

    def changed(self) -> None:
        self.look()

    def look(self) -> None:
        """What will be issued by the draft as it is now."""
        self._take(reviewed.certificates(self.draft, self.now, self.wizard.plan))

    def _take(self, found: tuple[Certificate, ...]) -> None:
        self.found = found
        self._draw_list()
        self._draw_review()
        self._draw_detail()

    def _draw_list(self) -> None:
        changed = reviewed.stale(self.draft, self.found)
        labels = []
        for certificate in self.found:
            wrong = certificate.refused or certificate.there_matches is False
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
        if certificate is None or certificate.there is None:
            self.notify(_("known after issue"), severity="warning", markup=False)
            return
        self.app.copy_to_clipboard(certificate.there.fingerprint)
        self.notify(_("copied"), markup=False)

    @on(Button.Pressed, "#export")
    def action_export(self) -> None:
        certificate = self.chosen
        if certificate is None:
            return
        pem = export(certificate)
        if pem is not None:
            self._export(certificate, pem)
        elif certificate.role == "ca" and secrets_file(self.draft.path).exists():
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
