"""Step 1: the hosts, how they are reached, and what each is to be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from textual import on, work
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from k3s_tui.procedure.probing import Found
from k3s_tui.tui import glyphs
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.dialogs.host_key import HostKeyDialog
from k3s_tui.tui.dialogs.import_hosts import ImportDialog
from k3s_tui.tui.dialogs.paste import PasteDialog
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_table import ROLES, HostTable


class HostsScreen(StepScreen):
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

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield HostTable()
        with VerticalScroll(id="told-of-host", can_focus=False):
            yield Static(id="found")
        yield Static(id="roles")
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
        yield Field(
            ("ssh", "sudo-password"),
            N_("sudo password"),
            draft.get(("ssh", "sudo-password")),
            placeholder=N_("none is asked for"),
            help=N_(
                "Where sudo's password is kept, never the password: prompt: asks for it once; or "
                "env:NAME, file:PATH, keyring:SERVICE/USER. Leave it empty when sudo asks for none."
            ),
        )
        yield Field(
            ("ssh", "port"),
            N_("SSH port"),
            draft.get(("ssh", "port")),
            kind="number",
            default=22,
            help=N_("A host may have a port of its own."),
        )

    def on_mount(self) -> None:
        self._probing: set[str] = set()
        self.fill()
        self.query_one(HostTable).focus()
        super().on_mount()

    @property
    def found(self) -> dict[str, Found]:
        """What probes found, as long as the hosts are reached as they were then."""
        kept = self.wizard.found
        return {
            name: found
            for name, (way, found) in kept.items()
            if name in self.draft.hosts and way == self._way(name)
        }

    def _way(self, name: str) -> str:
        host = self.draft.hosts.get(name, {})
        own = [host.get(key) for key in ("address", "user", "port", "jump", "roles")]
        return repr((own, self.draft.get(("ssh",))))

    def changed(self) -> None:
        self.fill()

    def fill(self) -> None:
        """Draw what follows from the draft anew."""
        self.query_one(HostTable).show(self.draft, self.found, self._probing)
        self._count_roles()
        self._tell()
        if self.is_mounted:
            self.summarize()

    def _count_roles(self) -> None:
        counts = {
            role: sum(role in (host.get("roles") or ()) for host in self.draft.hosts.values())
            for role in ROLES
        }
        right = {
            "server": counts["server"] >= 1,
            "agent": True,
            "datastore": counts["datastore"] == 1,
            "loadbalancer": counts["loadbalancer"] == 1,
        }
        text = "   ".join(
            f"{glyphs.glyph('ok' if right[role] else 'problem')} {_(label)}: {counts[role]}"
            for role, label in ROLES.items()
        )
        self.query_one("#roles", Static).update(plain(text))

    @on(DataTable.RowHighlighted)
    def _tell(self) -> None:
        """All that is known of the host under the cursor."""
        name = self.query_one(HostTable).chosen(self.draft)
        found = self.found.get(name or "")
        self.query_one("#found", Static).update(plain(about(found) if found else ""))

    def action_add(self) -> None:
        self._edit(None)

    @on(DataTable.RowSelected)
    def _edit_chosen(self) -> None:
        name = self.query_one(HostTable).chosen(self.draft)
        if name is not None:
            self._edit(name)

    def _edit(self, name: str | None) -> None:
        self.app.push_screen(HostDialog(self.draft, name), self._after)

    def action_paste(self) -> None:
        self.app.push_screen(PasteDialog(self.draft), self._after)

    def action_import(self) -> None:
        self.app.push_screen(ImportDialog(self.draft), self._after)

    def _after(self, saved: bool | None) -> None:
        if saved:
            self.fill()

    def action_delete(self) -> None:
        name = self.query_one(HostTable).chosen(self.draft)
        if name is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.draft.drop_host(name)
                self.fill()

        question = _("Take {name} out of the profile?").format(name=name)
        self.app.push_screen(ConfirmDialog(question, yes=N_("Delete")), answered)

    def action_probe(self) -> None:
        name = self.query_one(HostTable).chosen(self.draft)
        if name is not None:
            self._probe([name])

    def action_probe_all(self) -> None:
        self._probe(list(self.draft.hosts))

    @work(group="probe")
    async def _probe(self, names: list[str]) -> None:
        """Side by side; keys that nobody knows yet are then asked about, one after the other."""
        prober = await self.wizard.backend.prober(self.draft)
        if prober is None:
            self.notify(_("A recording has no hosts to probe."), markup=False)
            return
        errors = [p for p in self.draft.problems() if p.severity == "error"]
        wrong = {p.path[1] for p in errors if p.path[:1] == ("hosts",) and len(p.path) > 1}
        if any(p.path[:1] == ("ssh",) for p in errors):
            self.notify(_("The SSH settings are not right yet."), severity="error", markup=False)
            return
        names = [name for name in names if name not in self._probing and name not in wrong]
        self._probing.update(names)
        self.fill()
        try:
            await asyncio.gather(*(self._probe_one(prober, name) for name in names))
            for name in names:
                found = self.found.get(name)
                if found is None or found.state != "unknown-key":
                    continue
                if await self.wizard.ask.show(HostKeyDialog(found)):
                    await prober.trust(found.key_of, found.key)
                    self._probing.add(name)
                    self.fill()
                    await self._probe_one(prober, name)
        finally:
            self._probing.difference_update(names)
            await prober.close()
            self.fill()

    async def _probe_one(self, prober: Any, name: str) -> None:
        way = self._way(name)
        self.wizard.found[name] = way, await prober.probe(name)
        self._probing.discard(name)
        self.fill()


def about(found: Found) -> str:
    """What a probe found, in lines: what is wrong first, each with what to do."""
    lines = []
    order = ("error", "warning", "note")
    signs = {"error": "problem", "warning": "warning", "note": "pending"}
    for problem in sorted(found.problems, key=lambda p: order.index(p.severity)):
        lines.append(f"{glyphs.glyph(signs[problem.severity])} {problem.text}")
        if problem.fix:
            lines.append(f"    {_('try')}: {problem.fix}")
    if found.state == "unknown-key":
        lines.append(f"{_('host key')} {found.fingerprint}: {_('p asks whether it is trusted')}")
    facts = [found.os, found.arch]
    if found.sudo:
        facts.append(f"root: {found.sudo}")
    if found.clock_skew is not None:
        facts.append(_("clock {seconds:+.0f} s").format(seconds=found.clock_skew[0]))
    if found.fingerprint:
        facts.append(found.fingerprint)
    lines.append(", ".join(fact for fact in facts if fact))
    return "\n".join(line for line in lines if line)


SCREEN = HostsScreen
