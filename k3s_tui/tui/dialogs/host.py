"""One host: its name, where it is, and what it is to be."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_table import ROLES
from k3s_tui.tui.widgets.tick import Tick

_UNNAMED = "new-host"
"""The name under which a host is judged while it has none."""

_OF_ALL = frozenset({"no-server", "one-server", "no-datastore", "no-loadbalancer"})
"""Problems of all hosts together, which another one may mend."""


class HostDialog(Dialog[bool]):
    """Writes the draft only when OK is pressed and nothing is wrong with the host."""

    BINDINGS = [
        Binding("escape", "cancel", N_("Cancel"), key_display="Esc"),
        Binding("ctrl+s", "take", N_("OK"), key_display="^s", priority=True),
    ]

    def __init__(self, draft: Draft, name: str | None) -> None:
        super().__init__()
        self._draft = draft
        self._before = name
        self._host: dict[str, Any] = dict(draft.hosts.get(name, {})) if name else {}

    def compose(self) -> ComposeResult:
        host = self._host
        roles = host.get("roles") or ()
        with Vertical(classes="dialog -tall"):
            with VerticalScroll(can_focus=False):
                yield Field(
                    ("name",),
                    N_("Name"),
                    self._before,
                    help=N_("Lower case; it becomes the node's name in Kubernetes."),
                )
                yield Field(
                    ("address",),
                    N_("Address"),
                    host.get("address"),
                    help=N_("Where SSH goes: an IP address or a name."),
                )
                with Horizontal(classes="roles"):
                    for role, label in ROLES.items():
                        yield Tick(_(label), role in roles, id=f"role-{role}")
                yield Static(id="wrong-roles", classes="wrong")
                yield Field(
                    ("user",),
                    N_("SSH user"),
                    host.get("user"),
                    placeholder=N_("the same as for all"),
                )
                yield Field(
                    ("port",),
                    N_("SSH port"),
                    host.get("port"),
                    kind="number",
                    placeholder=N_("the same as for all"),
                )
                yield Field(
                    ("jump",),
                    N_("Jump host"),
                    host.get("jump"),
                    placeholder=N_("none"),
                    help=N_("Another host of this profile, or [user@]host[:port]."),
                )
                yield Field(
                    ("node-ip",),
                    N_("Cluster address"),
                    host.get("node-ip"),
                    placeholder=N_("the same as for SSH"),
                    help=N_("The IP address at which the other hosts reach it, if it is another."),
                )
                yield Field(
                    ("taints",),
                    N_("Taints"),
                    host.get("taints"),
                    kind="list",
                    placeholder="key=value:NoSchedule",
                )
                yield Field(
                    ("labels",),
                    N_("Labels"),
                    _pairs(host.get("labels")),
                    kind="list",
                    placeholder="key=value",
                )
            yield Static(id="wrong")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one(Field).focus_input()

    @on(Button.Pressed, "#ok")
    def action_take(self) -> None:
        name, table = self._typed()
        if self._before != name and name in self._draft.hosts:
            taken = _("there is a host called {name} already").format(name=name)
            self._show([ProfileProblem("duplicate-name", taken, ("hosts", name), at="key")], name)
            return
        trial = Draft(self._draft.path, self._draft.document)
        trial.put_host(self._before, name, table)
        errors = [
            problem
            for problem in trial.problems(("hosts", name))
            if problem.severity == "error" and problem.code not in _OF_ALL
        ]
        if errors:
            self._show(errors, name)
            return
        self._draft.put_host(self._before, name, table)
        self.dismiss(True)

    def _show(self, errors: list[ProfileProblem], name: str) -> None:
        """Each problem below its field; the first wrong field gets the focus."""
        at = ("hosts", name)
        homeless = []
        fields = {str(field.place[0]): field for field in self.query(Field)}
        for field in fields.values():
            field.show([])
        roles = ""
        for problem in errors:
            key = str(problem.path[2]) if len(problem.path) > len(at) else "name"
            if key in fields:
                fields[key].show([problem])
            elif key == "roles":
                roles = tell(problem)
            else:
                homeless.append(tell(problem))
        self.query_one("#wrong-roles", Static).update(plain(roles))
        self.query_one("#wrong", Static).update(plain("\n".join(homeless)))
        wrong = next((field for field in fields.values() if field.is_wrong), None)
        if wrong is not None:
            wrong.focus_input()

    def _typed(self) -> tuple[str, dict[str, Any]]:
        name = ""
        table = dict(self._host)
        table["roles"] = [role for role in ROLES if self.query_one(f"#role-{role}", Tick).value]
        for field in self.query(Field):
            key, value = str(field.place[0]), field.typed
            if key == "name":
                name = str(value or _UNNAMED)
            elif value is None:
                table.pop(key, None)
            elif key == "labels":
                table[key] = dict(pair.partition("=")[::2] for pair in value)
            else:
                table[key] = value
        return name, table

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(False)


def _pairs(labels: object) -> list[str]:
    if not isinstance(labels, dict):
        return []
    return [f"{key}={value}" for key, value in labels.items()]
