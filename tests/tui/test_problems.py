"""Each kind of problem that a profile can have is told in the wizard, where it belongs, in both
languages.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import tomli_w
from textual.widgets import Static

from k3s_tui.tui import language
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import _
from k3s_tui.tui.problems import KINDS
from k3s_tui.tui.screens.welcome import WelcomeScreen
from k3s_tui.tui.steps import responsible_for
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.rows import Rows
from tests.tui.operator import EXAMPLE, Operator, operator

Document: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Document], object]


@dataclass(frozen=True)
class Case:
    """`change` makes the how-to's profile have the problem, which then has these words at `place`.

    `where` is what tells it: the field of the place, the rows below the hosts' table, a line
    beside the buttons, or the lines above all fields.
    """

    code: str
    place: tuple[str, ...]
    words: str
    change: Change
    where: str = ""

    @property
    def teller(self) -> str:
        in_a_host = self.place[:1] == ("hosts",) and len(self.place) > 1
        return self.where or ("host" if in_a_host else "field")


def put(*path_and_value: Any) -> Change:
    """Sets what lies at a path; None takes it away."""
    *path, value = path_and_value

    def change(document: Document) -> None:
        *tables, last = path
        for key in tables:
            document = document.setdefault(key, {})
        if value is None:
            document.pop(last)
        else:
            document[last] = value

    return change


def both(*changes: Change) -> Change:
    def change(document: Document) -> None:
        for one in changes:
            one(document)

    return change


def host(name: str, key: str, value: Any) -> Change:
    return put("hosts", name, key, value)


def option(table: str, key: str, value: Any) -> Change:
    return put("k3s", table, {key: value})


def at(name: str) -> tuple[str, str]:
    return "hosts", name


SERVER_CONFIG = ("k3s", "server-config")
SECOND = "k3s-server-2"
AGENT = "k3s-agent"
NEW: Document = {"address": "10.161.129.7", "roles": ["agent"]}

CASES = (
    Case("bad-address", at("nginx"), "not a valid", host("nginx", "address", "10.0.0.300")),
    Case(
        "bad-database-name",
        ("datastore", "user"),
        "lower-case",
        put("datastore", "user", "K3s"),
    ),
    Case(
        "bad-dns-name", ("datastore", "hostname"), "DNS", put("datastore", "hostname", "10.0.0.1")
    ),
    Case("bad-host-name", at("Node_1"), "node name", put("hosts", "Node_1", NEW)),
    Case("bad-identity", ("ssh", "identity"), "SSH identity", put("ssh", "identity", "")),
    Case("bad-jump", at("nginx"), "jump host", host("nginx", "jump", "a b")),
    Case("bad-label", at(AGENT), "label", host(AGENT, "labels", {"a b": "c"})),
    Case("bad-name", ("name",), "profile name", put("name", "my cluster")),
    Case("bad-option", SERVER_CONFIG, "not an option", option("server-config", "no_such", 1)),
    Case(
        "bad-option-value", SERVER_CONFIG, "a table", option("server-config", "debug", {"a": True})
    ),
    Case(
        "bad-range",
        SERVER_CONFIG,
        "too large",
        option("server-config", "cluster-cidr", "10.0.0.0/4"),
    ),
    Case("bad-reference", ("k3s", "token"), "not a valid env:", put("k3s", "token", "env:1")),
    Case("bad-taint", at(AGENT), "NoSchedule", host(AGENT, "taints", ["nothing"])),
    Case("bad-url", ("install", "script-url"), "https", put("install", {"script-url": "http://x"})),
    Case("bad-user", ("ssh", "user"), "user name", put("ssh", "user", "a b")),
    Case(
        "bad-value",
        ("install", "bundle"),
        "not a valid folder",
        put("install", {"source": "airgap", "bundle": ""}),
    ),
    Case("bad-version", ("k3s", "version"), "release", put("k3s", "version", "latest")),
    Case("ca-too-short", ("pki", "ca-days"), "before its", put("pki", "ca-days", 400)),
    Case(
        "circular-jump",
        at(SECOND),
        "itself",
        both(host("k3s-server-1", "jump", SECOND), host(SECOND, "jump", "k3s-server-1")),
    ),
    Case(
        "duplicate-address",
        at("nginx"),
        "also the address",
        host("nginx", "address", "10.161.129.54"),
    ),
    Case("duplicate-role", at(AGENT), "twice", host(AGENT, "roles", ["agent", "agent"])),
    Case(
        "even-servers",
        at(SECOND),
        "odd number",
        both(
            put("datastore", {"mode": "embedded"}),
            put("hosts", "postgres", None),
            put("pki", None),
        ),
    ),
    Case("families-differ", at(AGENT), "same families", host(AGENT, "node-ip", "fd00::5")),
    Case(
        "foreign-registration-address",
        ("loadbalancer", "address"),
        "virtual address",
        put("loadbalancer", "address", "10.9.9.9"),
    ),
    Case("literal-secret", ("k3s", "token"), "literal secret", put("k3s", "token", "hunter2")),
    Case("missing-key", at("nginx"), "missing", host("nginx", "address", None)),
    Case(
        "needless-option",
        SERVER_CONFIG,
        "no etcd",
        option("server-config", "etcd-snapshot-retention", 5),
    ),
    Case(
        "needless-role",
        at("postgres"),
        "leave the role out",
        put(
            "datastore",
            {
                "mode": "existing",
                "hostname": "db.example.org",
                "password": "store:datastore.password",
                "ca": "ca.pem",
            },
        ),
    ),
    Case("needless-setting", ("pki", "ca"), "leave it out", put("pki", "ca", "ca.pem"), "above"),
    Case("no-datastore", ("hosts",), "exactly one", put("hosts", "postgres", None), "beside"),
    Case("no-loadbalancer", ("hosts",), "exactly one", put("hosts", "nginx", None), "beside"),
    Case("no-role", at(AGENT), "at least one role", host(AGENT, "roles", [])),
    Case(
        "no-server",
        ("hosts",),
        "no host has the role",
        both(put("hosts", "k3s-server-1", None), put("hosts", SECOND, None)),
        "beside",
    ),
    Case("old-k3s", ("k3s", "version"), "too old", put("k3s", "version", "v1.20.0+k3s1")),
    Case("one-family", at(AGENT), "both addresses", host(AGENT, "node-ip", "10.0.0.1,10.0.0.2")),
    Case("one-server", at("k3s-server-1"), "only one server", put("hosts", SECOND, None)),
    Case("out-of-range", ("ssh", "port"), "65535", put("ssh", "port", 70000)),
    Case(
        "owned-option", SERVER_CONFIG, "set by k3s-tui", option("server-config", "data-dir", "/x")
    ),
    Case(
        "port-conflict",
        ("loadbalancer", "port"),
        "cannot listen",
        host("nginx", "roles", ["loadbalancer", "server"]),
    ),
    Case(
        "registration-at-a-server",
        ("loadbalancer", "address"),
        "a server itself",
        both(
            put("hosts", "nginx", None),
            put("loadbalancer", {"mode": "external", "address": "10.161.129.54"}),
        ),
    ),
    Case("renewed-at-once", ("pki", "renew-days"), "every run", put("pki", "renew-days", 730)),
    Case(
        "reserved-label",
        at(AGENT),
        "a prefix of your own",
        host(AGENT, "labels", {"kubernetes.io/role": "x"}),
    ),
    Case("reserved-name", at("laptop"), "cannot be called", put("hosts", "laptop", NEW)),
    Case("server-and-agent", at(AGENT), "both server", host(AGENT, "roles", ["server", "agent"])),
    Case(
        "server-option",
        ("k3s", "agent-config"),
        "option of servers",
        option("agent-config", "disable", ["traefik"]),
    ),
    Case(
        "several-datastores",
        at("nginx"),
        "exactly one",
        host("nginx", "roles", ["loadbalancer", "datastore"]),
    ),
    Case(
        "several-loadbalancers",
        at("nginx"),
        "exactly one",
        host("postgres", "roles", ["datastore", "loadbalancer"]),
    ),
    Case(
        "shared-secret",
        ("k3s", "agent-token"),
        "are one secret",
        put("k3s", "agent-token", "store:k3s.token"),
    ),
    Case("unknown-host", at("nginx"), "k3s-server-1", host("nginx", "jump", "k3s-server-11")),
    Case("unknown-key", ("nmae",), 'unknown key "nmae"', put("nmae", 1), "above"),
    Case("unknown-key", ("k3s", "tokn"), 'unknown key "tokn"', put("k3s", "tokn", 1), "above"),
    Case("unknown-role", at(AGENT), "agnt", host(AGENT, "roles", ["agnt"])),
    Case("unknown-value", ("ssh", "become"), "sudo", put("ssh", "become", "su")),
    Case("unused-labels", at("nginx"), "no effect", host("nginx", "labels", {"a": "b"})),
    Case("wrong-type", ("note",), "a whole number", put("note", 5), "above"),
    Case("wrong-type", ("schema",), "text", put("schema", "1"), "above"),
)

UNREADABLE: dict[str, tuple[bytes | None, str]] = {
    "newer-schema": (b"schema = 99\n", "update k3s-tui"),
    "not-utf8": (b"name = '\xff'\n", "save the file as UTF-8"),
    "syntax": (b"schema = \n", "not valid TOML"),
    "too-large": (b"#" * (1 << 20) + b"\n", "larger than 1 MiB"),
    "unreadable": (None, "Is a directory"),
}
"""What is told where a profile is chosen: what lies there (None: a folder), and words of it."""


def test_no_kind_is_left_out() -> None:
    assert {case.code for case in CASES} | UNREADABLE.keys() == KINDS.keys()


def profile_with(case: Case, path: Path) -> None:
    document = tomllib.loads(EXAMPLE.read_text())
    case.change(document)
    # What is new at the top comes first, so that its line is known.
    first = {key: document.pop(key) for key in case.place[:1] if case.place == (key,)}
    path.write_text(tomli_w.dumps(first | document))


def told(user: Operator, case: Case) -> str:
    """What the screen says at the problem's place."""
    screen = user.wizard.screen
    match case.teller:
        case "field":
            return "\n".join(
                field.problem
                for field in screen.query(Field)
                if case.place[: len(field.place)] == field.place
            )
        case "host":
            return "\n".join(
                f"{row.label} {row.text}" for row in screen.query_one("#found", Rows).rows
            )
        case "beside":
            return str(screen.query_one("#summary", Static).render())
        case _:
            above = screen.query_one("#homeless", Static)
            return str(above.render()) if above.display else ""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("lang", ["en", "zh_CN"])
async def test_a_profile_with_each_kind_of_problem(folder: Path, lang: str) -> None:
    language.use(lang)
    path = folder / "spoiled.toml"
    silent = []
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        for case in CASES:
            profile_with(case, path)
            step = responsible_for(case.place).id
            user.wizard.work_on(Draft.open(path))
            user.wizard.go(step, case.place)
            await user.at(step)
            await user.pilot.pause()
            said = told(user, case)
            kind = _(KINDS[case.code]) if lang != "en" else ""
            if kind not in said or case.words not in said:
                silent.append(f"{case.code} at {case.place}: {said or 'nothing'}")
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("lang", ["en", "zh_CN"])
async def test_a_file_that_cannot_be_opened(folder: Path, lang: str) -> None:
    language.use(lang)
    async with operator(folder, size=(120, 40)) as user:
        screen = await user.on(WelcomeScreen)
        assert isinstance(screen, WelcomeScreen)
        for code, (content, words) in UNREADABLE.items():
            path = folder / f"{code}.toml"
            path.mkdir() if content is None else path.write_bytes(content)
            screen._open(path)
            await user.sees(words)
            if lang != "en":
                await user.sees(_(KINDS[code]))
