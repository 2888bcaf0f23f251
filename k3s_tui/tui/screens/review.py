"""The plan, before anything is touched: what each host will get, and what may go wrong."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable
from typing import Any

from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Checkbox, Static, Tree
from textual.widgets.tree import TreeNode

from k3s_tui.core.errors import OperatorError
from k3s_tui.engine.plan import Item, Plan
from k3s_tui.procedure.estimate import estimate
from k3s_tui.procedure.preflight import wants_restart
from k3s_tui.procedure.verbs import Hints, ending_of
from k3s_tui.procedure.weaknesses import single_points
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui import glyphs, problems, weaknesses
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.reviewed import needs_review
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.steps import responsible_for
from k3s_tui.tui.text import cell, plain
from k3s_tui.tui.widgets.tick import Tick

_CERTIFICATES = responsible_for(("pki",))


class ReviewScreen(StepScreen):
    BINDINGS = [
        Binding("p", "look", N_("Look at the hosts")),
        Binding("y", "copy_command", N_("Copy command")),
        Binding("ctrl+n", "next", N_("Start"), key_display="^n"),
    ]
    HELP = N_(
        "k3s-tui looks at every host and says what it would change. Nothing is changed before you "
        "start the run. 'later' is known only when what comes before it is done. The arrows go "
        "through the plan, and show each change; ^n starts."
    )

    plan: Plan | None = None

    def body(self) -> Iterable[Any]:
        yield Static(plain(f"$ {self.command}"), id="command")
        yield Static(id="verdict")
        label = _("PostgreSQL may restart, and end those sessions")
        allow = Tick(label, self.wizard.allow_restart, id="allow-restart")
        allow.display = allow.value
        yield allow
        with Horizontal(id="panes"):
            yield Tree("", id="plan")
            with VerticalScroll(id="detail"):
                yield Static(id="diff")

    def buttons(self) -> Iterable[Button]:
        yield Button(_("Look at the hosts"), id="look", compact=True)

    def on_mount(self) -> None:
        start = self.query_one("#next", Button)
        start.label = _("Start …")
        start.disabled = True
        tree = self.query_one(Tree)
        tree.show_root = False
        tree.guide_depth = 2
        if any(problem.severity == "error" for problem in self.draft.problems()):
            self._say(_("The profile is not right yet. Enter leads to where it is."), wrong=True)
            self._list_problems()
            self.query_one("#look", Button).disabled = True
            self._read_from(tree.root.children[0])
            return
        if self.plan is not None:
            self._take(self.plan)
            return
        self._say(
            _(
                "Nothing was looked at yet. A look saves the profile and makes its secrets on this "
                "machine; of the hosts it only reads."
            )
        )
        self._list_unseen()
        self._list_weaknesses()
        self.query_one("#look", Button).focus()

    def anew(self) -> StepScreen:
        """With what was found."""
        screen = super().anew()
        assert isinstance(screen, ReviewScreen)
        screen.plan = self.plan
        return screen

    @property
    def command(self) -> str:
        """The same run without the wizard."""
        flags = ["--allow-restart"] if self.wizard.allow_restart else []
        return shlex.join(["k3s-tui", "apply", str(self.draft.path), *flags])

    def _list_problems(self) -> None:
        tree = self.query_one(Tree)
        tree.clear()
        for problem in self.draft.problems():
            step = responsible_for(problem.path)
            state = glyphs.glyph("problem" if problem.severity == "error" else "warning")
            label = f"{state} {_(step.title)}: {problem.where}: {problems.tell(problem)}"
            tree.root.add_leaf(cell(label), data=problem)

    def _list_weaknesses(self) -> None:
        """What the operator is to know, whatever the hosts say."""
        tree = self.query_one(Tree)
        found = single_points(self.draft.checked.profile)
        if not found:
            return
        node = tree.root.add(
            cell(f"{glyphs.glyph('warning')} {_('Single points of failure')}: {len(found)}"),
            expand=True,
        )
        for weakness in found:
            text = weaknesses.tell(weakness)
            node.add_leaf(cell(text), data=text)

    def _list_unseen(self) -> None:
        """Certificates that nobody has looked at, or that changed since."""
        changed = needs_review(self.draft)
        has_some = self.draft.checked.profile.has_certificates
        if not has_some or (self.draft.reviewed and not changed):
            return
        text = (
            _("Certificates have changed since you looked at them; Enter leads there.")
            if changed
            else _("You have not looked at the certificates; Enter leads there.")
        )
        told = f"{glyphs.glyph('warning')} {text}"
        self.query_one(Tree).root.add_leaf(cell(told), data=_CERTIFICATES)

    @on(Tree.NodeSelected)
    def _mend(self, event: Tree.NodeSelected[Any]) -> None:
        if event.node.data is _CERTIFICATES:
            self.wizard.go(_CERTIFICATES.id)
        elif isinstance(event.node.data, ProfileProblem):
            place = event.node.data.path
            step = responsible_for(place).id
            self.wizard.visited.add(step)
            self.wizard.go(step, place)

    @on(Tree.NodeHighlighted)
    def _detail(self, event: Tree.NodeHighlighted[Any]) -> None:
        self.query_one("#diff", Static).update(plain(_whole(event.node.data)))

    @on(Button.Pressed, "#look")
    def action_look(self) -> None:
        if self.draft.valid:
            self.look()

    @on(Checkbox.Changed, "#allow-restart")
    def _allow_restart(self, event: Checkbox.Changed) -> None:
        """Another run: its command says so, and the plan is another, too."""
        self.wizard.allow_restart = event.value
        self.query_one("#command", Static).update(plain(f"$ {self.command}"))
        self.action_look()

    @work(exclusive=True)
    async def look(self) -> None:
        """Save the profile, make its secrets, look at every host."""
        start = self.query_one("#next", Button)
        start.disabled = True
        try:
            self._say(_("opening the secret store …"))
            profile = await self.wizard.backend.prepare(self.draft)
            self._say(_("looking at the hosts …"))
            plan = await self.wizard.backend.plan(profile, allow_restart=self.wizard.allow_restart)
        except (OperatorError, ExceptionGroup, OSError) as error:
            told = ending_of(error, Hints())
            if told is None:
                raise
            hints = [f"{_('try')}: {hint}" for hint in told.hint.splitlines()]
            self._say("\n".join([told.error, *hints]), wrong=True)
            return
        self.wizard.plan = plan
        self._take(plan)

    def _take(self, plan: Plan) -> None:
        """What was found is what can be started."""
        self.plan = plan
        self._show_plan(plan)
        allow = self.query_one("#allow-restart")
        allow.display = self.wizard.allow_restart or wants_restart(plan)
        start = self.query_one("#next", Button)
        start.disabled = bool(plan.refusals)
        tree = self.query_one(Tree)
        leaves = (node for host in tree.root.children for node in host.children)
        if first := next((leaf for leaf in leaves if _is_pending(leaf.data)), None):
            self._read_from(first)
        elif not start.disabled:
            start.focus()

    def _read_from(self, node: TreeNode[Any]) -> None:
        """The keys are where there is something to read; what else there is has keys, too."""
        tree = self.query_one(Tree)
        tree.focus()
        self.call_after_refresh(tree.move_cursor, node)

    def _show_plan(self, plan: Plan) -> None:
        if plan.refusals:
            said = ngettext(
                "{n} thing stands against it; nothing was touched",
                "{n} things stand against it; nothing was touched",
                len(plan.refusals),
            ).format(n=len(plan.refusals))
        elif not plan.pending:
            said = _("everything is as wanted: {ok} steps").format(ok=len(plan.items))
        else:
            said = _(
                "{changes} to change, {later} known when others are done, {ok} as wanted; {took}"
            ).format(
                changes=len(plan.with_verdict("change")),
                later=len(plan.with_verdict("later")),
                ok=len(plan.with_verdict("ok")),
                took=_minutes(*estimate(plan)),
            )
        self._say(said, wrong=bool(plan.refusals))
        tree = self.query_one(Tree)
        tree.clear()
        nodes: dict[str, TreeNode[Any]] = {}
        for item in sorted(plan.items.values(), key=lambda item: item.verdict != "problem"):
            if item.verdict == "ok" and not item.warning:
                continue
            host = item.step.host.name
            if host not in nodes:
                nodes[host] = tree.root.add(cell(host), expand=True)
            state = "warning" if item.verdict == "ok" else item.verdict
            what = item.step.id.partition("/")[2]
            summary = item.warning or item.summary
            if item.warning and item.summary:
                summary = f"{item.summary} {glyphs.glyph('warning')} {item.warning}"
            nodes[host].add_leaf(cell(f"{glyphs.labelled(state)} {what}: {summary}"), data=item)
        self._list_unseen()
        self._list_weaknesses()

    def _say(self, text: str, *, wrong: bool = False) -> None:
        verdict = self.query_one("#verdict", Static)
        verdict.update(plain(text))
        verdict.set_class(wrong, "-error")

    def action_copy_command(self) -> None:
        self.app.copy_to_clipboard(self.command)
        self.notify(_("copied"), markup=False)

    def action_next(self) -> None:
        if self.plan is None or self.plan.refusals:
            self.app.bell()
            return
        self.confirm(self.plan)

    @work(exclusive=True)
    async def confirm(self, plan: Plan) -> None:
        """The last question before hosts are changed."""
        number = len(plan.with_verdict("change")) + len(plan.with_verdict("later"))
        question = (
            _("Nothing is to be changed. Verify the cluster?")
            if not number
            else ngettext(
                "{n} step may change these hosts. Start?",
                "{n} steps may change these hosts. Start?",
                number,
            ).format(n=number)
        )
        if await self.wizard.ask.show(ConfirmDialog(question, yes=N_("Start"), no=N_("Not yet"))):
            self.wizard.start_run(self.draft.checked.profile, plan)


def _is_pending(data: object) -> bool:
    """Whether it is a line of what would be done, or of what stands against it."""
    return isinstance(data, Item) and data.verdict != "ok"


def _whole(data: object) -> str:
    """Everything that is known of a line of the plan."""
    if isinstance(data, Item):
        parts = [data.step.id, data.summary, data.warning, data.diff]
        if data.hint:
            parts.append(f"{_('try')}: {data.hint}")
        return "\n".join(part for part in parts if part)
    if isinstance(data, ProfileProblem):
        return problems.tell(data)
    return data if isinstance(data, str) else ""


def _minutes(low: float, high: float) -> str:
    """A span of time as people say it."""
    if high < 90:
        return _("about {low} to {high} s").format(low=round(low), high=round(high))
    return _("about {low} to {high} min").format(
        low=max(1, round(low / 60)), high=math.ceil(high / 60)
    )


SCREEN = ReviewScreen
