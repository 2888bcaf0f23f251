"""How it ended: a cluster and where its things lie, or what failed and what to try."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static

from k3s_tui.core.errors import Exit, OperatorError
from k3s_tui.procedure.weaknesses import single_points
from k3s_tui.profile.neighbours import kubeconfig_file, secrets_file
from k3s_tui.tui import glyphs, reviewed, weaknesses
from k3s_tui.tui.controller import Watched
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.progress import GOOD, StepView
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.screens.run import short
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.step_bar import TitleBar
from k3s_tui.tui.widgets.step_tree import clock

CHECKS = {
    "every-server-answers": N_("every server answers through the load balancer"),
    "tls-sessions": N_("every session with PostgreSQL is encrypted"),
    "datastore-login": N_("the servers log in to the datastore"),
    "refuses-no-certificate": N_("the datastore refuses: no client certificate"),
    "refuses-wrong-cn": N_("the datastore refuses: a certificate for another user"),
    "refuses-other-ca": N_("the datastore refuses: a certificate of another CA"),
    "refuses-plain-tcp": N_("the datastore refuses: a connection without TLS"),
    "refuses-wrong-password": N_("the datastore refuses: a wrong password"),
}
"""What the verification proves, besides that each node is Ready."""

RESPONSIBLE = {
    "preflight": "hosts",
    "datastore": "datastore",
    "installation": "servers",
    "servers": "servers",
    "loadbalancer": "loadbalancer",
    "agents": "agents",
    "kubeconfig": "loadbalancer",
}
"""By chapter, the step of the wizard where one would mend what failed in it."""

COPIES = ("copy-use", "copy-command")
"""Ids of the buttons that copy what stands beside them."""

_TAIL = 15
"""Last lines of a failed step that are shown."""

HEADLINES: dict[int, str] = {
    Exit.FAILED: N_("A step failed. What was done stays; running again goes on from there."),
    Exit.PROFILE: N_("The profile is not right."),
    Exit.CREDENTIALS: N_("A credential, a secret or a host key is missing or was refused."),
    Exit.REFUSED: N_("Refused before anything was changed."),
    Exit.VERIFICATION: N_("The cluster is not what it promises: the verification failed."),
    Exit.LOCKED: N_("Another run holds this profile or one of its hosts."),
    Exit.BUG: N_("A bug in k3s-tui ended this run. The hosts are as the steps left them."),
    Exit.INTERRUPTED: N_("Interrupted. What was done stays; running again goes on from there."),
}

Told = Iterator[tuple[str, str]]
"""Texts, and the class each is shown with."""


class FinishScreen(Page):
    BINDINGS = [
        Binding("r", "retry", N_("Retry")),
        Binding("b", "edit", N_("Edit")),
        Binding("v", "verify", N_("Verify")),
        Binding("l", "log", N_("Steps and log")),
        Binding("w", "report", N_("Report")),
        Binding("y", "copy", N_("Copy command")),
        Binding("k", "copy_use", N_("Copy kubectl"), show=False),
        *(
            Binding(key, f"scroll('{way}')", N_("Scroll"), show=False)
            for key, way in (
                ("up", "up"),
                ("down", "down"),
                ("pageup", "page_up"),
                ("pagedown", "page_down"),
                ("home", "home"),
                ("end", "end"),
            )
        ),
    ]
    HELP = N_(
        "Retry looks at the hosts again and does what is missing. A report is one file that "
        "explains this run to others; it holds no secret, but names and addresses of hosts."
    )

    def __init__(self, run: Watched) -> None:
        """`run` has ended.  The next one may begin while this screen is still there."""
        super().__init__()
        self.run = run
        self._report: Path | OperatorError | None = None
        """Where a report was saved, or why it was not."""

    def compose(self) -> ComposeResult:
        yield TitleBar()
        with VerticalScroll(id="body"):
            for text, kind in self._all():
                if kind in COPIES:
                    with Horizontal(classes="copied"):
                        yield Static(plain(text))
                        yield Button(_("Copy"), id=kind, compact=True)
                else:
                    yield Static(plain(text), classes=kind)
        yield Static(id="report-told")
        with Horizontal(id="nav"):
            if not self.succeeded:
                yield Button(_("Retry"), id="retry", compact=True)
                yield Button(_("Edit"), id="edit", compact=True)
            if self._can_verify:
                yield Button(_("Verify again"), id="verify", compact=True)
            yield Button(_("Log"), id="log", compact=True)
            yield Button(_("Report"), id="report", compact=True, disabled=self.run.path is None)
            yield Button(_("Quit"), id="quit", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        # The run's end may meet the application's own: then not all of it was composed.
        if not self.query("#quit"):
            return
        self.query_one("#quit" if self.succeeded else "#retry").focus()
        if self.run.error is not None:
            self.action_report()

    async def recompose(self) -> None:
        """In another language, all is drawn anew."""
        focused = self.focused.id if self.focused else None
        await super().recompose()
        self._tell_report()
        for widget in self.query(f"#{focused or 'quit'}"):
            widget.focus()

    @property
    def exit(self) -> int:
        done = self.run.progress.done
        assert done is not None
        return done.exit

    @property
    def succeeded(self) -> bool:
        return self.exit == Exit.OK

    @property
    def command(self) -> str:
        return shlex.join(["k3s-tui", "apply", str(self.wizard.draft.path)])

    @property
    def use(self) -> str:
        """How to ask the cluster for its nodes."""
        path = kubeconfig_file(self.wizard.draft.path)
        return f"KUBECONFIG={shlex.quote(str(path))} kubectl get nodes"

    @property
    def _can_verify(self) -> bool:
        """Only what was carried out to its end can be proved."""
        return self.exit in (Exit.OK, Exit.VERIFICATION)

    def _all(self) -> Told:
        yield from self._headline()
        if self.succeeded:
            yield from self._ready_nodes()
            yield from self._checks()
            yield from self._certificates()
        else:
            yield from self._failures()
        yield from self._places()
        yield from self._warnings()
        if self.succeeded:
            yield from self._weaknesses()

    def _headline(self) -> Told:
        progress, done = self.run.progress, self.run.progress.done
        assert done is not None
        if self.succeeded:
            text = (
                _("The cluster is what it promises.")
                if progress.verb == "verify"
                else _("The cluster is up, and verified.")
            )
            yield f"{glyphs.glyph('ok')} {text}", "good heading"
        else:
            sign = "cancelled" if self.exit == Exit.INTERRUPTED else "failed"
            text = _(HEADLINES.get(self.exit, N_("It did not end well.")))
            code = _("(exit code {code})").format(code=self.exit)
            yield f"{glyphs.glyph(sign)} {text} {code}", "bad heading"
        numbers = _("{ok} as wanted, {changed} changed, {failed} failed, {skipped} not done")
        took = clock(done.t - progress.began) if progress.began and done.t else ""
        told = numbers.format(
            ok=done.ok, changed=done.changed, failed=done.failed, skipped=done.skipped
        )
        yield f"{told}  {took}", ""

    def _ready_nodes(self) -> Told:
        """What the proof of each node has compared with the profile, and found to be so."""
        profile = self.wizard.draft.checked.profile
        nodes = [s for s in self._proofs if s.what == "node" and s.state in GOOD]
        if not nodes:
            return
        yield _("Nodes"), "heading"
        width = max(len(step.about) for step in nodes)
        said = max(len(step.said) for step in nodes) or len("Ready")
        for step in nodes:
            role = _("server") if step.about in profile.servers else _("agent")
            entry = profile.hosts.get(step.about)
            address = entry.cluster_address if entry else ""
            yield (
                f"{glyphs.glyph('ok')} {step.about:<{width}}  {step.said or 'Ready':<{said}}  "
                f"{role:<6}  {address}",
                "",
            )

    def _checks(self) -> Told:
        kinds: dict[str, list[StepView]] = {}
        for step in self._proofs:
            if step.what != "node":
                kinds.setdefault(step.what, []).append(step)
        if not kinds:
            return
        yield _("Checks"), "heading"
        for kind, steps in kinds.items():
            text = _(CHECKS[kind]) if kind in CHECKS else kind
            good = [step for step in steps if step.state in GOOD]
            sign = glyphs.glyph("ok" if len(good) == len(steps) else "failed")
            yield f"{sign} {text}  {len(good)}/{len(steps)}", ""

    @property
    def _proofs(self) -> list[StepView]:
        steps = self.run.progress.steps.values()
        return [step for step in steps if step.chapter == "verification"]

    def _certificates(self) -> Told:
        """Those of hosts, as the plan found them or as this run has issued them."""
        began = self.run.progress.began
        when = datetime.fromtimestamp(began, UTC) if began else datetime.now(UTC)
        found = reviewed.certificates(self.wizard.draft, when, self.wizard.plan)
        # Without a plan, nobody has read the store: when its CA ends is not known here.
        sure = [
            one
            for one in found
            if not one.refused and not one.theirs and (one.role != "ca" or one.there)
        ]
        if not sure:
            return
        yield _("Certificates"), "heading"
        for one in sure:
            until = one.there.not_after if one.kept and one.there else one.not_after
            told = _("{host}: {subject}, until {until:%Y-%m-%d}").format(
                host=one.host, subject=one.subject, until=until
            )
            if one.renews_from is not None:
                told += _("; a run renews it from {day:%Y-%m-%d} on").format(day=one.renews_from)
            yield told, ""

    def _failures(self) -> Told:
        done, failures = self.run.progress.done, self.run.progress.failures
        assert done is not None
        for step in failures:
            yield f"{glyphs.glyph('failed')} {step.id}", "bad heading"
            yield f"{_('Host')}  {step.host}", ""
            yield step.error, "bad"
            if step.hint:
                yield f"{_('Try')}: {step.hint}", ""
            tail = step.tail.splitlines()[-_TAIL:]
            if tail and step.tail.strip() != step.error.strip():
                yield _("The last lines:"), ""
                yield "\n".join(tail), "tail"
        if done.error and not failures:
            yield done.error, "bad"
        if done.hint:
            yield f"{_('Try')}: {done.hint}", ""

    def _places(self) -> Told:
        path = self.wizard.draft.path
        yield _("Where things are"), "heading"
        kubeconfig = kubeconfig_file(path)
        rows: list[tuple[str, str, str]] = []
        if kubeconfig.exists():
            note = _("(root on the cluster)")
            rows.append((_("Kubeconfig"), f"{short(kubeconfig)}  {note}", ""))
        if self.succeeded:
            rows.append((_("Use it"), self.use, "copy-use"))
        rows.append((_("Profile"), f"{short(path)}  {_('(no secrets in it)')}", ""))
        note = _("(encrypted: keep a copy)")
        rows.append((_("Secrets"), f"{short(secrets_file(path))}  {note}", ""))
        if self.run.path is not None:
            rows.append((_("Log"), short(self.run.path), ""))
        rows.append((_("Repeat"), self.command, "copy-command"))
        width = max(cell_len(label) for label, _text, _kind in rows)
        for label, text, kind in rows:
            yield f"{set_cell_size(label, width)}  {text}", kind

    def _warnings(self) -> Told:
        warnings = self.run.progress.warnings
        if not warnings:
            return
        yield (
            ngettext("{n} warning", "{n} warnings", len(warnings)).format(n=len(warnings)),
            "heading",
        )
        for step in warnings:
            yield f"{glyphs.glyph('warning')} {step.id}: {step.warning}", ""
            if step.hint:
                yield f"{_('Try')}: {step.hint}", "tail"

    def _weaknesses(self) -> Told:
        found = single_points(self.wizard.draft.checked.profile)
        if found:
            yield _("Single points of failure"), "heading"
        for weakness in found:
            yield f"{glyphs.glyph('warning')} {weaknesses.tell(weakness)}", ""

    @on(Button.Pressed, "#retry")
    def action_retry(self) -> None:
        """Look at the hosts again, and do what is missing: agreed to once already."""
        if self.wizard.plan is None:
            self.wizard.go("review")
        else:
            self.wizard.start_run(self.wizard.draft.checked.profile, self.wizard.plan)

    @on(Button.Pressed, "#edit")
    def action_edit(self) -> None:
        """To the step of the wizard that asks for what is wrong, or to the plan."""
        failures = self.run.progress.failures
        step = RESPONSIBLE.get(failures[0].chapter, "review") if failures else "review"
        if failures and "certificate" in failures[0].what and step != "review":
            step = "certificates"
        if self.exit == Exit.CREDENTIALS:
            step = "hosts"
        self.wizard.go(step)

    @on(Button.Pressed, "#verify")
    def action_verify(self) -> None:
        self.wizard.follow(self.wizard.backend.verify(self.wizard.draft.checked.profile))

    @on(Button.Pressed, "#log")
    def action_log(self) -> None:
        self.wizard.show_run()

    @on(Button.Pressed, "#report")
    def action_report(self) -> None:
        try:
            self._report = self.run.save_report()
        except OperatorError as error:
            self._report = error
        self._tell_report()

    def action_scroll(self, way: str) -> None:
        """The focus stays on the buttons."""
        getattr(self.query_one("#body"), f"scroll_{way}")(animate=False)

    def _tell_report(self) -> None:
        if self._report is None:
            return
        wrong = isinstance(self._report, OperatorError)
        text = str(self._report)
        if isinstance(self._report, Path):
            contents = _(
                "It holds the events, the plan, how it ended, the profile without its comments, "
                "host keys and versions; no password, token or private key."
            )
            text = f"{_('Report')}  {short(self._report)}\n{contents}"
        told = self.query_one("#report-told", Static)
        told.update(plain(text))
        told.add_class("-told")
        told.set_class(wrong, "-error")

    @on(Button.Pressed, "#copy-command")
    def action_copy(self) -> None:
        self._copy(self.command)

    @on(Button.Pressed, "#copy-use")
    def action_copy_use(self) -> None:
        self._copy(self.use)

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(_("copied"), markup=False)

    @on(Button.Pressed, "#quit")
    async def _quit(self) -> None:
        await self.wizard.action_quit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("retry", "edit"):
            return not self.succeeded
        if action == "verify":
            return self._can_verify
        if action == "report":
            return self.run.path is not None
        if action == "copy_use":
            return self.succeeded
        return True

    def commands(self) -> Iterable[SystemCommand]:
        for text, action in (
            (N_("Retry"), "retry"),
            (N_("Edit"), "edit"),
            (N_("Verify again"), "verify"),
            (N_("Steps and log"), "log"),
            (N_("Save report"), "report"),
            (N_("Copy command"), "copy"),
            (N_("Copy kubectl"), "copy_use"),
        ):
            if self.check_action(action, ()):
                yield SystemCommand(_(text), "", getattr(self, f"action_{action}"))
