"""One host: its name, where it is, and what it is to be."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Checkbox, Static

from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field

_NEW = "new-host"
"""The name under which a host is judged while it has none."""


class HostDialog(Dialog[bool]):
    """Writes the draft only when OK is pressed and nothing is wrong with the host."""

    BINDINGS = [Binding("escape", "cancel", N_("Cancel"), key_display="Esc")]

    def __init__(self, draft: Draft, name: str | None) -> None:
        super().__init__()
        self._draft = draft
        self._before = name
        self._host: dict[str, Any] = dict(draft.hosts.get(name, {})) if name else {}

    def compose(self) -> ComposeResult:
        from k3s_tui.tui.screens.hosts import ROLES

        host = self._host
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Field(
                ("name",),
                N_("Name"),
                self._before,
                help=N_("Lower case; it becomes the node's name in Kubernetes."),
            )
            yield Field(("address",), N_("Address"), host.get("address"), help=N_("IP or name"))
            with Horizontal(classes="roles"):
                for role, label in ROLES.items():
                    yield Checkbox(
                        _(label), role in host.get("roles", ()), id=f"role-{role}", compact=True
                    )
            yield Field(("user",), N_("SSH user"), host.get("user"), help=N_("Leave empty"))
            yield Field(("port",), N_("SSH port"), host.get("port"), kind="number")
            yield Field(("jump",), N_("Jump host"), host.get("jump"))
            yield Field(("node-ip",), N_("Cluster address"), host.get("node-ip"))
            yield Field(("taints",), N_("Taints"), host.get("taints"), kind="list")
            yield Field(("labels",), N_("Labels"), _pairs(host.get("labels")), kind="list")
            yield Static(id="wrong")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one(Field).focus_input()

    @on(Button.Pressed, "#ok")
    def _save(self) -> None:
        name, table = self._typed()
        trial = Draft(self._draft.path, self._draft.document)
        trial.put_host(self._before, name, table)
        taken = self._before != name and name in self._draft.hosts
        problems = [
            p
            for p in trial.problems(("hosts", name))
            if p.severity == "error" and p.code not in ("port-conflict",)
        ]
        if problems or taken:
            self._complain(
                _("there is a host called {name} already").format(name=name)
                if taken
                else "\n".join(tell(problem) for problem in problems)
            )
            return
        self._draft.put_host(self._before, name, table)
        self.dismiss(True)

    def _typed(self) -> tuple[str, dict[str, Any]]:
        from k3s_tui.tui.screens.hosts import ROLES

        name = ""
        table = dict(self._host)
        table["roles"] = [role for role in ROLES if self.query_one(f"#role-{role}", Checkbox).value]
        for field in self.query(Field):
            key = str(field.place[0])
            if key == "name":
                name = field.typed or _NEW
                continue
            value = field.typed
            if key == "labels" and value is not None:
                value = dict(pair.partition("=")[::2] for pair in value)
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
        return name, table

    def _complain(self, text: str) -> None:
        self.query_one("#wrong", Static).update(plain(text))

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(False)


def _pairs(labels: object) -> list[str]:
    if not isinstance(labels, dict):
        return []
    return [f"{key}={value}" for key, value in labels.items()]
