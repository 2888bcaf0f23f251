"""The plan, before anything is touched: what each host will get, and what may go wrong."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static, Tree
from textual.widgets.tree import TreeNode

from k3s_tui.core.errors import CredentialsError, OperatorError
from k3s_tui.engine.plan import Item, Plan
from k3s_tui.procedure.secrets import make_secrets
from k3s_tui.procedure.verbs import Hints, ending_of
from k3s_tui.profile.neighbours import secrets_file
from k3s_tui.tui import glyphs
from k3s_tui.tui.dialogs.new_passphrase import NewPassphraseDialog
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.steps import responsible_for
from k3s_tui.tui.text import plain


class ReviewScreen(StepScreen):
    BINDINGS = [
        Binding("p", "look", N_("Look again")),
        Binding("y", "copy_command", N_("Copy command")),
    ]
    HELP = N_(
        "k3s-tui looks at every host and says what it would change. Nothing is changed before you "
        "start the run."
    )

    plan: Plan | None = None

    def body(self) -> Iterable[Any]:
        yield Static(id="command")
        yield Static(id="verdict")
        with Horizontal(id="panes"):
            yield Tree("", id="plan")
            with VerticalScroll(id="detail"):
                yield Static(id="diff")

    def buttons(self) -> Iterable[Button]:
        yield Button(_("Look at the hosts"), id="look", compact=True)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#next", Button).label = _("Start the run")
        self.query_one("#next", Button).disabled = True
        tree = self.query_one(Tree)
        tree.show_root = False
        tree.guide_depth = 2
        self.query_one("#command", Static).update(plain(f"$ {self.command}"))
        problems = [p for p in self.draft.problems() if p.severity == "error"]
        if problems:
            self._show_problems()
        else:
            self._say(_("Nothing was looked at yet: this connects to the hosts, and only reads."))
            self.query_one("#look").focus()

    @property
    def command(self) -> str:
        """The same run without the wizard."""
        return shlex.join(["k3s-tui", "apply", str(self.draft.path)])

    def _show_problems(self) -> None:
        self._say(_("The profile is not right yet:"), wrong=True)
        tree = self.query_one(Tree)
        tree.clear()
        for problem in self.draft.problems():
            step = responsible_for(problem.path)
            label = f"{_(step.title)}: {problem.where}: {tell(problem)}"
            tree.root.add_leaf(Text(label), data=step.id)
        self.query_one("#look", Button).disabled = True
        tree.focus()

    @on(Tree.NodeSelected)
    def _mend(self, event: Tree.NodeSelected[Any]) -> None:
        if isinstance(event.node.data, str):
            self.wizard.visited.add(event.node.data)
            self.wizard.go(event.node.data)

    @on(Tree.NodeHighlighted)
    def _detail(self, event: Tree.NodeHighlighted[Any]) -> None:
        item = event.node.data
        if isinstance(item, Item):
            parts = [item.step.id, item.summary, item.warning, item.diff]
            if item.hint:
                parts.append(f"{_('try')}: {item.hint}")
            self.query_one("#diff", Static).update(plain("\n".join(p for p in parts if p)))

    @on(Button.Pressed, "#look")
    def action_look(self) -> None:
        self.look()

    @work(exclusive=True, exit_on_error=True)
    async def look(self) -> None:
        """Save the profile, make its secrets, look at every host."""
        wizard = self.wizard
        self.query_one("#next", Button).disabled = True
        try:
            profile = self.draft.save()
            self._say(_("opening the secret store"))
            await self._prepare_secrets()
            self._say(_("looking at the hosts"))
            self.plan = await wizard.controller(profile).plan()
        except (OperatorError, ExceptionGroup, OSError) as error:
            told = ending_of(error, Hints())
            if told is None:
                raise
            self._say("\n".join(part for part in (told.error, told.hint) if part), wrong=True)
            return
        self._show_plan(self.plan)

    async def _prepare_secrets(self) -> None:
        draft, wizard = self.draft, self.wizard
        profile = draft.checked.profile
        secrets = wizard.secrets
        store = secrets_file(draft.path)
        if not store.exists() and secrets.passphrase_file is None:
            chosen = await wizard.ask.show(NewPassphraseDialog(str(store)))
            if chosen is None:
                raise CredentialsError(_("without a passphrase there is no place for the secrets"))
            secrets.choose(chosen)
        await make_secrets(profile, draft.path, secrets, draft.secrets)
        draft.secrets.clear()

    def _show_plan(self, plan: Plan) -> None:
        tree = self.query_one(Tree)
        tree.clear()
        nodes: dict[str, TreeNode[Any]] = {}
        for item in plan.items.values():
            if item.verdict == "ok" and not item.warning:
                continue
            host = item.step.host.name
            if host not in nodes:
                nodes[host] = tree.root.add(Text(host), expand=True)
            state = "warning" if item.warning else item.verdict
            what = item.step.id.split("/", 1)[-1]
            summary = item.warning or item.summary
            nodes[host].add_leaf(Text(f"{glyphs.labelled(state)} {what}: {summary}"), data=item)
        changes, later = len(plan.with_verdict("change")), len(plan.with_verdict("later"))
        ok = len(plan.with_verdict("ok"))
        if plan.refusals:
            self._say(
                _("{n} reasons against it; nothing was touched").format(n=len(plan.refusals)),
                wrong=True,
            )
        else:
            self._say(
                _("{changes} to change, {later} known when others are done, {ok} as wanted").format(
                    changes=changes, later=later, ok=ok
                )
            )
            start = self.query_one("#next", Button)
            start.disabled = False
            start.focus()

    def _say(self, text: str, *, wrong: bool = False) -> None:
        verdict = self.query_one("#verdict", Static)
        verdict.update(plain(text))
        verdict.set_class(wrong, "-error")

    def action_copy_command(self) -> None:
        self.app.copy_to_clipboard(self.command)
        self.notify(_("copied"))

    def action_next(self) -> None:
        if self.plan is None or self.plan.refusals:
            self.app.bell()
            return
        self.start()

    @work(exclusive=True)
    async def start(self) -> None:
        """The confirmation, and then the run."""
        from k3s_tui.tui.dialogs.confirm import ConfirmDialog

        assert self.plan is not None
        number = len(self.plan.with_verdict("change")) + len(self.plan.with_verdict("later"))
        question = _("{n} steps may change these hosts. Start?").format(n=number)
        if await self.wizard.ask.show(ConfirmDialog(question, yes=N_("Start"), no=N_("Not yet"))):
            self.wizard.start_run(self.draft.checked.profile, self.plan)


SCREEN = ReviewScreen
