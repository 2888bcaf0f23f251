"""How a run ended, in words: a cluster and where its things lie, or what failed and what to try."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from k3s_tui.core.errors import Exit
from k3s_tui.engine.plan import Plan
from k3s_tui.procedure.weaknesses import single_points
from k3s_tui.profile.neighbours import kubeconfig_file, secrets_file
from k3s_tui.tui import glyphs, reviewed, weaknesses
from k3s_tui.tui.controller import Watched
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.progress import GOOD, StepView
from k3s_tui.tui.text import short
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

COPIES = ("copy-use", "copy-command")
"""Classes of texts that are there to be copied."""

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


@dataclass(frozen=True)
class Ending:
    """The end of a run on the profile of `draft`; `plan` is what was known of its hosts before."""

    run: Watched
    draft: Draft
    plan: Plan | None = None

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
        return shlex.join(["k3s-tui", "apply", str(self.draft.path)])

    @property
    def use(self) -> str:
        """How to ask the cluster for its nodes."""
        path = kubeconfig_file(self.draft.path)
        return f"KUBECONFIG={shlex.quote(str(path))} kubectl get nodes"

    @property
    def can_verify(self) -> bool:
        """Only what was carried out to its end can be proved."""
        return self.exit in (Exit.OK, Exit.VERIFICATION)

    def told(self) -> Told:
        """All that there is to say, from the top."""
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
        profile = self.draft.checked.profile
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
        found = reviewed.certificates(self.draft, when, self.plan)
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
        path = self.draft.path
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
        found = single_points(self.draft.checked.profile)
        if found:
            yield _("Single points of failure"), "heading"
        for weakness in found:
            yield f"{glyphs.glyph('warning')} {weaknesses.tell(weakness)}", ""
