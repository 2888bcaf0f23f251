"""Step 1: the hosts, how they are reached, and what each is to be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding
from textual.events import DescendantFocus
from textual.widgets import Button, DataTable, Static
from textual.worker import Worker, WorkerState

from k3s_tui.core.errors import OperatorError
from k3s_tui.procedure.probing import Found, Prober, Told
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui import glyphs
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.dialogs.host_key import HostKeyDialog
from k3s_tui.tui.dialogs.import_hosts import ImportDialog
from k3s_tui.tui.dialogs.paste import PasteDialog
from k3s_tui.tui.draft import roles_of
from k3s_tui.tui.fixed import tell as tell_fixed
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_detail import about
from k3s_tui.tui.widgets.host_table import ROLES, HostTable
from k3s_tui.tui.widgets.rows import Row, Rows
from k3s_tui.tui.widgets.secret_field import SecretField

_OF_THE_WAY = frozenset({"address", "user", "port", "jump"})
"""What must be right of a host for a probe to get there."""


_Key: TypeAlias = tuple[str, str]
"""A host and its key.  Hosts that were copied show the same one."""


class HostsScreen(StepScreen):
    AUTO_FOCUS = ""  # which would scroll to the table, and past what is told above it
    BINDINGS = [
        Binding("a", "add", N_("Add")),
        Binding("d", "delete", N_("Delete")),
        Binding("p", "probe", N_("Probe")),
        Binding("P", "probe_all", N_("Probe all"), show=False),
        Binding("v", "paste", N_("Paste lines"), show=False),
        Binding("i", "import", N_("Import from ~/.ssh/config"), show=False),
    ]
    HELP = N_(
        "Every machine of the cluster: its name becomes the node's name in Kubernetes, its address "
        "is where SSH goes. At least one server, one datastore and one load balancer; two servers "
        "or more, so that one may fail. A probe logs in, looks and changes nothing."
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._probing: set[str] = set()
        self._key_turn = asyncio.Lock()
        self._between = False

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield HostTable()
        yield Static(id="roles")
        yield Rows(id="found")
        yield Field(
            ("name",),
            N_("Cluster name"),
            draft.get(("name",)),
            help=N_("What kubectl calls the cluster, and under what its runs are recorded."),
        )
        yield Field(
            ("ssh", "user"),
            N_("SSH user"),
            draft.get(("ssh", "user")),
            help=N_("Who logs in on every host; a host may have a user of its own."),
        )
        yield Field(
            ("ssh", "identity"),
            N_("SSH key"),
            draft.get(("ssh", "identity")),
            default="agent",
            help=N_('"agent" for the keys of your SSH agent, or the path of a private key file.'),
        )
        yield Field(
            ("ssh", "become"),
            N_("Become root by"),
            draft.get(("ssh", "become")),
            kind="choice",
            choices=(("sudo", "sudo"), ("root", "root")),
            default="sudo",
            help=N_("sudo, or root when the SSH user is root already."),
        )
        yield SecretField(
            ("ssh", "sudo-password"),
            N_("sudo password"),
            draft,
            made=False,
            needless=N_("sudo asks for none"),
            help=N_("With prompt: it is asked for once in each run, and kept nowhere."),
        )
        yield Field(
            ("ssh", "port"),
            N_("SSH port"),
            draft.get(("ssh", "port")),
            kind="number",
            default=22,
            help=N_("A host may have a port of its own."),
        )
        yield Field(
            ("ssh", "connect-timeout"),
            N_("Connect timeout"),
            draft.get(("ssh", "connect-timeout")),
            kind="number",
            default=10,
            help=N_("Seconds until a host that does not answer counts as unreachable."),
        )

    def buttons(self) -> Iterable[Button]:
        yield Button(_("Probe all"), id="probe-all", compact=True)

    def on_mount(self) -> None:
        self.fill()
        if self.first[:1] == ("hosts",) and len(self.first) > 1:
            self.table.choose(str(self.first[1]))
        if self.first[:1] not in (("ssh",), ("name",)):
            self.table.focus(scroll_visible=False)

    async def recompose(self) -> None:
        """In another language, all is drawn anew."""
        self._between = True
        try:
            await super().recompose()
        finally:
            self._between = False
        self.fill()
        self.show_problems()
        self.table.focus()

    def commands(self) -> Iterable[SystemCommand]:
        yield SystemCommand(_("Add a host"), "a", self.action_add)
        yield SystemCommand(_("Edit the host"), "", self.action_edit)
        yield SystemCommand(_("Delete the host"), "d", self.action_delete)
        yield SystemCommand(_("Paste lines"), "v", self.action_paste)
        yield SystemCommand(_("Import from ~/.ssh/config"), "i", self.action_import)
        yield SystemCommand(_("Probe the host"), "p", self.action_probe)
        yield SystemCommand(_("Probe all"), "P", self.action_probe_all)

    @property
    def table(self) -> HostTable:
        return self.query_one(HostTable)

    @property
    def found(self) -> dict[str, Found]:
        """What probes found, as long as the hosts are reached as they were then."""
        return {
            name: found
            for name, (way, found) in self.wizard.found.items()
            if name in self.draft.hosts and way == self._way(name)
        }

    def _way(self, name: str) -> str:
        """How a host is reached, and what it is to be, which is what it is judged by."""
        hosts = self.draft.hosts
        host = hosts.get(name, {})
        own = [host.get(key) for key in ("address", "user", "port", "jump", "roles")]
        jump = hosts.get(str(host.get("jump")), {})
        by = [jump.get(key) for key in ("address", "user", "port")]
        return repr((own, by, self.draft.get(("ssh",))))

    def changed(self) -> None:
        self.fill()

    def tells(self, problem: ProfileProblem) -> bool:
        """Those of hosts are told below the table, and beside the buttons."""
        return problem.path[:1] == ("hosts",)

    def summarize(self) -> None:
        """Hosts that are not right are named; what is wrong with them is told below the table."""
        super().summarize()
        errors = [p for p in self.draft.problems(("hosts",)) if p.severity == "error"]
        names = dict.fromkeys(str(p.path[1]) for p in errors if len(p.path) > 1)
        if names:
            text = _("to mend: {names}").format(names=", ".join(names))
            self.query_one("#summary", Static).update(plain(text))

    def fill(self) -> None:
        """Draw what follows from the draft anew."""
        if self._between or not self.is_attached or not self.query(Rows):
            return
        self.table.show(self.draft, self.found, self._probing)
        self._count_roles()
        self._tell()
        self.summarize()

    def _count_roles(self) -> None:
        given = [role for host in self.draft.hosts.values() for role in roles_of(host)]
        told = []
        theirs = self._theirs
        for role, label in ROLES.items():
            if role in theirs and role not in given:
                continue
            state, wanted = _judged(role, given.count(role), theirs=role in theirs)
            count = f"{_(label)}: {given.count(role)}"
            told.append(f"{glyphs.glyph(state)} {count}{f', {wanted}' if wanted else ''}")
        self.query_one("#roles", Static).update(plain("   ".join(told)))

    @property
    def _theirs(self) -> set[str]:
        """Roles that no host may have: what they stand for is there already, or not needed."""
        modes = {
            "datastore": self.draft.get(("datastore", "mode"), "managed"),
            "loadbalancer": self.draft.get(("loadbalancer", "mode"), "managed"),
        }
        return {role for role, mode in modes.items() if mode != "managed"}

    @on(DataTable.RowHighlighted)
    def _tell(self) -> None:
        """All that is known of the host under the cursor."""
        name = self.table.chosen
        if name is None:
            hint = _("No host yet: a adds one, v takes pasted lines, i imports from ~/.ssh/config.")
            rows = [Row(hint)]
        else:
            host = self.draft.hosts.get(name, {})
            user = str(host.get("user") or self.draft.get(("ssh", "user"), ""))
            rows = about(self.found.get(name), self.draft.problems(("hosts", name)), user)
        detail = self.query_one("#found", Rows)
        if list(detail.rows) != rows:
            detail.update(rows)
            detail.scroll_home(animate=False)

    @on(DescendantFocus, "#found")
    def _show_whole(self, event: DescendantFocus) -> None:
        """It is taller while it has the focus."""
        self.call_after_refresh(event.widget.scroll_visible, animate=False)

    def action_add(self) -> None:
        self._edit(None)

    @on(DataTable.RowSelected, "#hosts")
    def action_edit(self) -> None:
        """The host under the cursor."""
        if self.table.chosen is not None:
            self._edit(self.table.chosen)

    def _edit(self, name: str | None) -> None:
        before = list(self.draft.hosts)

        def edited(saved: bool | None) -> None:
            if not saved:
                return
            if name is not None and name not in self.draft.hosts:
                self._forget(name)
            self.fill()
            for new in self.draft.hosts:
                if new not in before:
                    self.table.choose(new)

        self.app.push_screen(HostDialog(self.draft, name), edited)

    def action_paste(self) -> None:
        self.app.push_screen(PasteDialog(self.draft), self._taken)

    def action_import(self) -> None:
        self.app.push_screen(ImportDialog(self.draft), self._taken)

    def _taken(self, saved: bool | None) -> None:
        if saved:
            self.fill()

    def action_delete(self) -> None:
        """After a question."""
        name = self.table.chosen
        if name is None:
            return
        if code := self.draft.fixed.get(("hosts", name)):
            self.notify(tell_fixed(code), title=name, markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.draft.drop_host(name)
                self._forget(name)
                self.fill()

        question = _("Take {name} out of the profile?").format(name=name)
        self.app.push_screen(ConfirmDialog(question, yes=N_("Delete")), answered)

    def _forget(self, name: str) -> None:
        """No host is called that any more."""
        self.workers.cancel_group(self, f"probe {name}")
        self.wizard.found.pop(name, None)

    def action_probe(self) -> None:
        if self.table.chosen is not None:
            self._probe([self.table.chosen])

    @on(Button.Pressed, "#probe-all")
    def action_probe_all(self) -> None:
        self._probe(list(self.draft.hosts))

    def _probe(self, names: list[str]) -> None:
        errors = [p for p in self.draft.problems(("ssh",)) if p.severity == "error"]
        if errors:
            self._complain(tell(errors[0]))
            return
        ready = [name for name in names if name not in self._probing and self._has_way(name)]
        if ready:
            self.run_worker(self._look_at(ready), group="probes", exit_on_error=False)

    def _has_way(self, name: str) -> bool:
        """Whether the profile says how to get to a host; if it does not, the table says so."""
        errors = [p for p in self.draft.problems(("hosts", name)) if p.severity == "error"]
        way = [p for p in errors if len(p.path) < 3 or p.path[2] in _OF_THE_WAY]
        if way:
            self._complain(f"{name}: {tell(way[0])}")
        return not way

    async def _look_at(self, names: list[str]) -> None:
        """Probe hosts side by side, each in a worker of its own: they end with this screen."""
        try:
            prober = await self.wizard.backend.prober(self.draft)
        except OperatorError as error:
            self._complain(f"{error}; {error.hint}" if error.hint else str(error))
            return
        if prober is None:
            self.notify(_("A recording has no hosts to probe."), markup=False)
            return
        declined: set[_Key] = set()
        for name in names:
            self._probing.add(name)
            self.run_worker(
                self._look_at_one(prober, name, self._way(name), declined),
                group=f"probe {name}",
                exclusive=True,
                exit_on_error=False,
            )
        self.fill()

    async def _look_at_one(self, prober: Prober, name: str, way: str, declined: set[_Key]) -> None:
        try:
            found = await prober.probe(name)
            settled: set[_Key] = set()
            while found.state == "unknown-key" and _key(found) not in settled:
                settled.add(_key(found))
                self._keep(name, way, found)
                # One question at a time: its answer may settle it for other hosts, too.
                async with self._key_turn:
                    problem = await self._settle(prober, found, declined)
                if problem is not None:
                    found = replace(found, state="failed", problems=(problem,))
                elif _key(found) not in declined:
                    self._probing.add(name)
                    self.fill()
                    found = await prober.probe(name)
            self._keep(name, way, found)
        finally:
            self._probing.discard(name)
            self.fill()

    async def _settle(self, prober: Prober, found: Found, declined: set[_Key]) -> Told | None:
        """Ask whether a key is the host's, and pin it if so; what went wrong with that."""
        if prober.pins.get(found.key_of) == found.key or _key(found) in declined:
            return None
        if not await self.wizard.ask.show(HostKeyDialog(found.key_of, found.key)):
            declined.add(_key(found))
            return None
        try:
            await prober.trust(found.key_of, found.key)
        except OperatorError as error:
            return Told(str(error), error.hint)
        return None

    def _keep(self, name: str, way: str, found: Found) -> None:
        self.wizard.found[name] = way, found
        self._probing.discard(name)
        self.fill()

    @on(Worker.StateChanged)
    def _tell_bug(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._complain(_("The probe failed: {error}").format(error=repr(event.worker.error)))

    def _complain(self, text: str) -> None:
        self.notify(plain(text).plain, severity="error", markup=False)


def _key(found: Found) -> _Key:
    return found.key_of, found.key


def _judged(role: str, count: int, *, theirs: bool = False) -> tuple[str, str]:
    """How a number of hosts with a role stands, and how many there should be if not so many."""
    if theirs:
        return "problem", _("must be 0")
    if role == "server":
        if count > 1:
            return "ok", ""
        return ("warning", _("better 2")) if count else ("problem", _("at least 1"))
    if role == "agent":
        return ("ok" if count else "pending"), ""
    return ("ok", "") if count == 1 else ("problem", _("must be 1"))


SCREEN = HostsScreen
