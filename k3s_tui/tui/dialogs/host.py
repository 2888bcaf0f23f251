"""One host: its name, where it is, and what it is to be."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Grid, Horizontal, Vertical, VerticalScroll
from textual.events import DescendantBlur, DescendantFocus
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Static

from k3s_tui.procedure.fixed import Code
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui.draft import Draft, roles_of
from k3s_tui.tui.fixed import tell as tell_fixed
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_table import ROLES
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.labelled import Labelled
from k3s_tui.tui.widgets.tick import Tick

_UNNAMED = "new-host"
"""The name under which a host is judged while it has none."""

_OF_ALL = frozenset({"no-server", "one-server", "no-datastore", "no-loadbalancer"})
"""Problems of all hosts together, which another one may mend."""

_ABOUT_ROLES = N_(
    "One of them or several: a server runs the control plane, an agent only the work."
)


class HostDialog(Dialog[bool]):
    """Writes the draft only when OK is pressed and nothing is wrong with the host."""

    HELP = N_(
        "OK puts the host into the profile, once nothing is wrong with it; no host is touched by "
        "that. Only name, address and a role are needed."
    )
    BINDINGS = [
        Binding("escape", "cancel", N_("Cancel"), key_display="Esc"),
        Binding("ctrl+s", "take", N_("OK"), key_display="^s", priority=True),
    ]

    def __init__(self, draft: Draft, name: str | None) -> None:
        super().__init__()
        self._draft = draft
        self._before = name
        self._host: dict[str, Any] = dict(draft.hosts.get(name, {})) if name else {}
        self._all_told = False
        self._fixed_roles = ""
        """Why some cannot be given or taken any more."""

    def compose(self) -> ComposeResult:
        host = self._host
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
                yield from self._roles()
                yield Field(
                    ("user",),
                    N_("SSH user"),
                    host.get("user"),
                    placeholder=N_("the same as for all"),
                    help=N_("Who logs in on this host, if it is somebody else than on the others."),
                )
                yield Field(
                    ("port",),
                    N_("SSH port"),
                    host.get("port"),
                    kind="number",
                    placeholder=N_("the same as for all"),
                    help=N_("Where sshd listens on this host, if it is another port."),
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
                    help=N_("What keeps work away from the node, such as key=value:NoSchedule."),
                )
                yield Field(
                    ("labels",),
                    N_("Labels"),
                    _pairs(host.get("labels")),
                    kind="list",
                    placeholder="key=value",
                    help=N_("What work can choose the node by, such as disk=ssd."),
                )
            yield Static(id="wrong")
            yield Static(id="explained")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True)
            yield KeyBar(palette=False)

    def _roles(self) -> ComposeResult:
        roles = roles_of(self._host) if self._before else ["server"]
        with Labelled(N_("Roles"), id="roles-of"):
            with Grid(classes="roles"):
                for role, label in ROLES.items():
                    yield Tick(_(label), role in roles, id=f"role-{role}")
            yield Static(id="wrong-roles", classes="problem")

    def on_mount(self) -> None:
        self._fix()
        first = next(field for field in self.query(Field) if not field.fixed)
        first.focus_input()

    def _fix(self) -> None:
        """A node that is there keeps its name, its address and what it is."""
        if self._before is None:
            return
        node = ("hosts", self._before)
        codes = self._draft.fixed
        for field in self.query(Field):
            place = node if field.place == ("name",) else (*node, *field.place)
            if place in codes:
                field.fix(tell_fixed(codes[place]))
        told: dict[Code, list[str]] = {}
        for role, label in ROLES.items():
            if code := codes.get((*node, "roles", role)):
                self.query_one(f"#role-{role}").disabled = True
                told.setdefault(code, []).append(_(label))
        self._fixed_roles = "\n".join(
            f"{', '.join(labels)}: {tell_fixed(code)}" for code, labels in told.items()
        )
        self._tell_roles([])

    @on(Input.Submitted)
    @on(Button.Pressed, "#ok")
    def action_take(self) -> None:
        name, table = self._typed()
        problems = self._problems(name, table)
        if any(problem.severity == "error" for problem in problems):
            self._all_told = True
            self._show(problems)
            for field in self.query(".field.-wrong"):
                field.query("Input, Tick").first().focus()
                break
            return
        self._draft.put_host(self._before, name, table)
        self._follow_name(name)
        self.dismiss(True)

    def _follow_name(self, name: str) -> None:
        """Hosts that are reached by way of this one still are when it is called something else."""
        if self._before is None or self._before == name:
            return
        for other, host in self._draft.hosts.items():
            if host.get("jump") == self._before:
                self._draft.set(("hosts", other, "jump"), name)

    def _problems(self, name: str, table: dict[str, Any]) -> list[ProfileProblem]:
        """What is wrong with the host as it is typed; the draft is not touched."""
        place = ("hosts", name)
        if not name:
            needed = ProfileProblem("missing-key", _("a host needs a name"), place, at="key")
            return [needed, *self._problems(_UNNAMED, table)]
        if self._before != name and name in self._draft.hosts:
            taken = _("there is a host called {name} already").format(name=name)
            return [ProfileProblem("duplicate-name", taken, place, at="key")]
        trial = Draft(self._draft.path, self._draft.document)
        trial.put_host(self._before, name, table)
        return [problem for problem in trial.problems(place) if problem.code not in _OF_ALL]

    def _show(self, problems: list[ProfileProblem], only: str = "") -> None:
        """Each problem below its field; `only` one field, while the others are not typed yet."""
        by_key: dict[str, list[ProfileProblem]] = {}
        for problem in problems:
            key = str(problem.path[2]) if len(problem.path) > 2 else "name"
            by_key.setdefault(key, []).append(problem)
        for field in self.query(Field):
            told = by_key.pop(str(field.place[0]), [])
            if not only or field.place[0] == only:
                field.show(told)
        roles = by_key.pop("roles", [])
        if not only or only == "roles":
            self._tell_roles(roles)
        homeless = [problem for rest in by_key.values() for problem in rest]
        self.query_one("#wrong", Static).update(plain(_lines(homeless) if not only else ""))

    def _tell_roles(self, problems: list[ProfileProblem]) -> None:
        box = self.query_one("#roles-of")
        box.set_class(bool(problems or self._fixed_roles), "-told")
        box.set_class(any(p.severity == "error" for p in problems), "-wrong")
        said = "\n".join(filter(None, (self._fixed_roles, _lines(problems))))
        self.query_one("#wrong-roles", Static).update(plain(said))

    @on(Field.Changed)
    @on(Checkbox.Changed)
    def _mend(self) -> None:
        """What was told is told anew as it is mended."""
        if self._all_told:
            self._show(self._problems(*self._typed()))

    @on(DescendantBlur)
    def _judge(self, event: DescendantBlur) -> None:
        for node in event.widget.ancestors_with_self:
            if isinstance(node, Field) and node.edited and not self._all_told:
                self._show(self._problems(*self._typed()), only=str(node.place[0]))

    @on(DescendantFocus)
    def _explain(self, event: DescendantFocus) -> None:
        _label, help = self.explained(event.widget)
        self.query_one("#explained", Static).update(plain(_(help) if help else ""))

    def explained(self, widget: Widget) -> tuple[str, str]:
        return (
            (N_("Roles"), _ABOUT_ROLES) if isinstance(widget, Tick) else super().explained(widget)
        )

    def _typed(self) -> tuple[str, dict[str, Any]]:
        """The name, '' for none, and the table as the profile would have it."""
        name = ""
        table = dict(self._host)
        table["roles"] = [role for role in ROLES if self.query_one(f"#role-{role}", Tick).value]
        for field in self.query(Field):
            key, value = str(field.place[0]), field.typed
            if key == "name":
                name = str(value or "")
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


def _lines(problems: list[ProfileProblem]) -> str:
    return "\n".join(tell(problem) for problem in problems)


def _pairs(labels: object) -> list[str]:
    if not isinstance(labels, dict):
        return []
    return [f"{key}={value}" for key, value in labels.items()]
