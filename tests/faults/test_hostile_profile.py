"""P13: whatever a profile says is data to shell, SQL, YAML and every other reader, or is refused.

The fields are found by walking the types of the profile, so that a new one is attacked too.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import psycopg
import pytest
import tomli_w
import yaml

from k3s_tui.core.contract import Change, Host, Step
from k3s_tui.core.errors import OperatorError
from k3s_tui.core.secret import Secret
from k3s_tui.engine.graph import ordered
from k3s_tui.engine.plan import States, build
from k3s_tui.hosts import script
from k3s_tui.procedure import cluster
from k3s_tui.profile.bundle import Bundle, BundleFile, Kind
from k3s_tui.profile.load import parse
from k3s_tui.profile.model import Profile
from k3s_tui.profile.problem import ProfileInvalid
from k3s_tui.profile.reference import SecretRef
from k3s_tui.resources.block import Block
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.service import K3sService
from k3s_tui.resources.postgres import scram
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql
from k3s_tui.resources.postgres.role import Role
from k3s_tui.resources.service import Service
from tests.faults.sandbox import CANARY, SHELLS, Sandbox
from tests.faults.tally import FULL, Tally, amount
from tests.lab import paths
from tests.unit.hands import LocalHands
from tests.unit.postgres.conftest import every_shell, server, template
from tests.unit.postgres.server import Server
from tests.unit.procedure.sites import HOW_TO, site
from tests.unit.procedure.test_cluster import _promised

__all__ = ["every_shell", "server", "template"]

pytestmark = pytest.mark.timeout(14_400 if FULL else 600)
as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="namespaces need root on Linux"
)

SING = f": >{CANARY}"
VALUES = [
    f"$({SING})",
    f"`{SING}`",
    f"'; {SING}; '",
    f'"; {SING}; "',
    f"'\"; {SING} #",
    f"a\n{SING}\nb",
    f"a; {SING}",
    f"a\r\n{SING}",
    f"a | {SING} & {SING}",
    f"${{x:-$({SING})}}",
    f"\\'; {SING}; \\'",
    f"-oProxyCommand={SING}",
    "'; drop table canary; --",
    '"; drop table canary; --',
    "../../../../canary",
    "%s%n%d%(x)s",
    "{{ x }} {x} $x",
    "host all all 0.0.0.0/0 trust",
    "k3s\n",
    "a\tb",
    "a b",
    "*",
    "#",
    "é日本",
    "a\u202eb",
    "a\x00b",
    "a\x1b[2Jb",
    "",
]

KEY = object()
"""Stands for a key of a table where otherwise a key's name is."""

Place = tuple[Any, ...]


def plain(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = annotation.__origin__
        elif origin in (Union, UnionType):
            annotation = next(a for a in get_args(annotation) if a is not type(None))
        else:
            return annotation


def places(annotation: Any, value: Any, at: Place = (), choices: bool = True) -> Iterator[Place]:
    """Every place of a type that can hold a text, whether `value` says something there or not.

    `choices`: those too where only some words are allowed.
    """
    kind = plain(annotation)
    origin = get_origin(kind) or kind
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for spec in msgspec.structs.fields(kind):
            yield from places(
                spec.type, getattr(value, spec.name, None), (*at, spec.encode_name), choices
            )
    elif origin is dict:
        item = get_args(kind)[1]
        yield (*at, KEY)
        inner = dict(value or {}) or {"a-key": None}
        for name, element in inner.items():
            yield from places(item, element, (*at, name), choices)
        if item is Any:
            yield (*at, "a-list", 0)
    elif origin is list:
        yield from places(get_args(kind)[0], None, (*at, 0), choices)
    elif origin in (str, SecretRef) or kind is Any or (choices and origin is Literal):
        yield at


def put(document: Any, place: Place, value: Any) -> Any:
    """A document with a text at a place, made where it is missing."""
    if not place:
        return value
    first, *rest = place
    if isinstance(first, int):
        return [put(None, tuple(rest), value), *(document or [])[1:]]
    table = dict(document or {})
    if first is KEY:
        old = next(iter(table), None)
        return {(value if key == old else key): item for key, item in table.items()} or {value: "x"}
    return {**table, first: put(table.get(first), tuple(rest), value)}


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return value


def example(name: str) -> dict[str, Any]:
    return tomllib.loads((paths.REPOSITORY / f"docs/examples/{name}.toml").read_text())


HOW_TO_DOCUMENT = without_none(msgspec.to_builtins(HOW_TO, enc_hook=str))
del HOW_TO_DOCUMENT["datastore"]["engine"]  # a default that means nothing there
DOCUMENTS = {
    "online": HOW_TO_DOCUMENT,
    "mirror": {
        **HOW_TO_DOCUMENT,
        "install": {"source": "mirror", "mirror": "https://mirror.example.org/k3s"},
    },
    "airgap": {**HOW_TO_DOCUMENT, "install": {"source": "airgap", "bundle": "bundle"}},
    "external": {
        **HOW_TO_DOCUMENT,
        "loadbalancer": {"mode": "external", "address": "10.161.129.118"},
        "hosts": {n: h for n, h in HOW_TO_DOCUMENT["hosts"].items() if n != "nginx"},
    },
    "existing": put(
        put(example("existing-postgresql"), ("datastore", "client-certificate"), "client.pem"),
        ("datastore", "client-key"),
        "client.key",
    ),
    "own-pki": {
        **HOW_TO_DOCUMENT,
        "pki": {
            "mode": "bring-your-own",
            "ca": "ca.pem",
            "ca-key": "ca.key",
            "ca-key-passphrase": "prompt:",
        },
    },
    "existing-mysql": example("existing-mysql"),
    "embedded": example("embedded"),
}
SECRETS = {"password", "sudo-password", "token", "agent-token", "ca-key-passphrase"}
PLACES = list(places(Profile, HOW_TO))
TEXTS = list(places(Profile, HOW_TO, choices=False))


def test_the_walk_finds_fields_of_every_kind() -> None:
    class New(msgspec.Struct, rename="kebab"):
        a_new_one: str | None = None

    assert list(places(New, None)) == [("a-new-one",)]
    assert {
        ("name",),
        ("ssh", "identity"),
        ("hosts", KEY),
        ("hosts", "postgres", "jump"),
        ("hosts", "postgres", "roles", 0),
        ("hosts", "k3s-agent", "labels", KEY),
        ("hosts", "k3s-agent", "labels", "a-key"),
        ("hosts", "k3s-agent", "taints", 0),
        ("datastore", "password"),
        ("k3s", "tls-san", 0),
        ("k3s", "server-config", "a-key"),
        ("install", "script-url"),
    } <= set(PLACES)
    for name, document in DOCUMENTS.items():
        assert parse(tomli_w.dumps(document), name).profile


@dataclass
class Overheard:
    """Hands that only listen: what a step would have said to its host."""

    host: Host
    scripts: list[tuple[str, bytes]] = field(default_factory=list)

    async def sh(self, script: str, *, stdin: bytes = b"") -> bytes:
        self.scripts.append((script, stdin))
        return b""

    async def put(self, path: str, source: Path) -> None:
        raise ConnectionError

    async def job(self, name: str, script: str) -> None:
        self.scripts.append((script, b""))

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> Any:
        raise ConnectionError
        yield 0

    @asynccontextmanager
    async def through(self, script: str) -> Any:
        self.scripts.append((script, b""))
        raise ConnectionError
        yield 0

    def waiting(self, condition: str, seen: str) -> None:
        pass


_FILES: tuple[tuple[str, Kind, str], ...] = (
    ("install.sh", "script", ""),
    ("k3s-amd64", "binary", "amd64"),
    ("k3s-airgap-images-amd64.tar.zst", "images", "amd64"),
)
BUNDLE = Bundle(
    tuple(BundleFile(name, kind, arch, f"/bundle/{name}", "1" * 64) for name, kind, arch in _FILES)
)


def promised(step: Step[Any]) -> Any:
    """What the step's needs would tell the others."""
    return BUNDLE if step.id == "laptop/preflight/bundle" else _promised(step)


def placed(check: Any) -> Iterator[str]:
    """What a step writes into files of nginx, systemd, PostgreSQL and the resolver."""
    match check:
        case Block():
            yield check.body
        case Access():
            yield check.block()
        case Service():
            yield from (f.raw.decode() for f in check.files if not f.path.endswith(".yaml"))
        case K3sService():
            yield from placed(check.service)


async def said(profile: Profile, *, loaded: bool = True) -> list[tuple[str, bytes]]:
    """Every script, with its input, that the procedure of this profile has for its hosts.

    `loaded`: it came through the loader, so that no other program's file holds a hostile word.
    """
    here = site(profile)
    states = States()
    found: list[tuple[str, bytes]] = []
    probes: dict[str, list[str]] = {}
    for step in ordered((*cluster.build(here), *cluster.prove(here))):
        check = build(step, states)
        for text in placed(check) if loaded else ():
            assert "canary" not in text and "trust" not in text, f"{step.id}: {text}"
        states.put(step, promised(step))
        hands = Overheard(step.host)
        ask = check.probe().ask
        # They see nothing they could go on with; what they say until then is heard.
        if isinstance(ask, str):
            probes.setdefault(step.host.name, []).append(ask)
        else:
            with suppress(Exception):
                await ask(hands)
        if hasattr(check, "apply"):
            with suppress(Exception):
                await check.apply(hands, Change(""))
        found += hands.scripts
    found += [(script.batch(asks, "f00d"), b"") for asks in probes.values()]
    return found


@pytest.fixture(scope="module")
def sandboxes(tmp_path_factory: pytest.TempPathFactory) -> list[Sandbox]:
    folder = tmp_path_factory.mktemp("sandboxes")
    return [Sandbox.make(folder / shell, shell) for shell in SHELLS]


def listen(sandboxes: list[Sandbox], scripts: set[tuple[str, bytes]]) -> int:
    """Run them all, under every shell; no canary may sing."""
    for text, stdin in sorted(scripts):
        for sandbox in sandboxes:
            sandbox.run(script.PRELUDE + text, stdin or None)
            sang = sandbox.sang()
            assert not sang, f"{sandbox.shell}: {sang} after\n{text}"
    return len(scripts) * len(sandboxes)


@as_root
def test_a_canary_would_sing(sandboxes: list[Sandbox]) -> None:
    for sandbox in sandboxes:
        sandbox.run(f'x="$({SING})"')
        assert sandbox.sang() == ["canary"]
        sandbox.run(f"echo {SING!r} | /bin/sh")
        assert sandbox.sang() == ["canary"]
        done = sandbox.run("ls /proc; cat /etc/shadow; ip link; exit 3")
        assert done.returncode == 3 and sandbox.argv()[-1] == ["ip", "link"]


@as_root
async def test_a_hostile_file(sandboxes: list[Sandbox], tally: Tally) -> None:
    """Through the loader, as the operator's file would come."""
    row = tally("P13", "a hostile value in each field of a profile's file")
    scripts: set[tuple[str, bytes]] = set()
    accepted: dict[Place, set[str]] = {}
    for name, document in DOCUMENTS.items():
        together: dict[str, Any] = {}
        chosen = PLACES if name == "online" else [p for p in PLACES if p[0] != "hosts"]
        for number, place in enumerate(chosen):
            for value in VALUES[number % amount(4, 1) :: amount(4, 1)]:
                row.injected += 1
                texts = [value]
                if place[-1] in SECRETS:
                    texts = [value, *(f"{kind}:{value}" for kind in ("store", "file", "keyring"))]
                for text in texts:
                    try:
                        whole = tomli_w.dumps(put(document, place, text))
                        profile = parse(whole, "x.toml").profile
                    except ProfileInvalid:
                        continue
                    if place[0] == "k3s" and "config" in str(place[1]):
                        _arrives_in_yaml(profile, place)
                    accepted.setdefault(place, set()).add(text)
                    together[value] = put(together.get(value, document), place, text)
                row.survived += 1
        for whole in list(together.values())[:: amount(3, 1)]:
            with suppress(ProfileInvalid):  # what is allowed alone may not go together
                scripts |= set(await said(parse(tomli_w.dumps(whole), "x.toml").profile))
    # Free text is free where it is a path of the laptop, a note, or K3s's own option.
    free = {("note",), ("ssh", "identity"), ("install", "bundle")}
    free |= {("datastore", key) for key in ("ca", "client-certificate", "client-key")}
    free |= {("pki", "ca"), ("pki", "ca-key")}
    dangerous = {p for p, texts in accepted.items() if any(SING in text for text in texts)}
    for place in dangerous - free:
        assert place[1] in ("server-config", "agent-config") or place[-1] in SECRETS, place
    assert free <= dangerous, "what is allowed was not tried"
    assert any(SING in text for text, _ in scripts) or len(scripts) > 50
    assert listen(sandboxes, scripts)


def _arrives_in_yaml(profile: Profile, place: Place) -> None:
    extra = profile.k3s.server_config if place[1] == "server-config" else profile.k3s.agent_config
    node = config.Node("a", "10.0.0.1")
    files = config.DatastoreFiles("/a", "/b", "/c")
    for text in (
        config.server_config(node, [], files, extra),
        config.agent_config(node, "https://10.0.0.1:6443", extra),
    ):
        read = yaml.safe_load(text)
        assert {key: read[key] for key in extra} == dict(extra)


def bypassed(profile: Any, place: Place, value: str) -> Any:
    """The profile with a text at a place, unchecked: as if the loader had let it through."""
    if not place:
        return SecretRef("file", value) if isinstance(profile, SecretRef) else value
    first, *rest = place
    if isinstance(profile, msgspec.Struct):
        names = {spec.encode_name: spec.name for spec in msgspec.structs.fields(type(profile))}
        inner = bypassed(getattr(profile, names[first]), tuple(rest), value)
        return msgspec.structs.replace(profile, **{names[first]: inner})
    if isinstance(first, int):
        return [value, *(profile or [])[1:]]
    table = dict(profile or {})
    if first is KEY:
        old = next(iter(table), None)
        return {(value if key == old else key): item for key, item in table.items()} or {value: "x"}
    if first not in table and any(isinstance(item, msgspec.Struct) for item in table.values()):
        raise LookupError(first)  # a host that has got another name meanwhile
    return {**table, first: bypassed(table.get(first), tuple(rest), value)}


@as_root
@pytest.mark.parametrize("name", DOCUMENTS if FULL else ["online", "existing"])
async def test_behind_the_loader_nothing_runs_either(
    sandboxes: list[Sandbox], tally: Tally, name: str
) -> None:
    """As if every rule of the loader had a hole: scripts still hold the value as data."""
    row = tally("P13", "the same behind the loader's back, in scripts of the whole procedure")
    base = parse(tomli_w.dumps(DOCUMENTS[name]), "x.toml").profile
    scripts: set[tuple[str, bytes]] = set()
    for value in [value for value in VALUES if SING in value][:: amount(4, 1)]:
        together = base
        for place in sorted(TEXTS, key=lambda place: place == ("hosts", KEY)):
            row.injected += 1
            try:
                both = bypassed(together, place, value)
                await said(both, loaded=False)
                together = both
            except (ValueError, OperatorError, LookupError):
                pass  # refused
            row.survived += 1
        scripts |= set(await said(together, loaded=False))
    assert any(SING in text for text, _ in scripts), "no value reached a script"
    listen(sandboxes, scripts)


# -- argv, SQL and passwords ----------------------------------------------------------------------

WORDS = [value for value in VALUES if "\0" not in value]


@as_root
def test_argv_received_is_argv_meant(sandboxes: list[Sandbox], tally: Tally) -> None:
    row = tally(
        "P13", "hostile words as arguments: in a script, a batch, and a command in a command"
    )
    words = " ".join(script.quote(word) for word in WORDS)
    nested = [Psql(5432, f"/run/{word}").run("select 1", database=word) for word in WORDS]
    for sandbox in sandboxes:
        sandbox.argv()
        sandbox.run(f"curl {words}")
        assert sandbox.argv() == [["curl", *WORDS]]
        sandbox.run(script.batch([f"curl {words}", f"nginx {words}"], "f00d"))
        assert sandbox.argv() == [["curl", *WORDS], ["nginx", *WORDS]]
        for word, command in zip(WORDS, nested, strict=True):
            sandbox.run(
                f'{AS_POSTGRES}as_postgres() {{ runuser -u postgres -- /bin/sh -c "$1"; }}'
                f"\n{command}"
            )
            ((program, *argv),) = sandbox.argv()
            assert program == "psql"
            assert argv[argv.index("-h") + 1] == f"/run/{word}"
            assert argv[argv.index("-d") + 1] == word
            row.injected += 3
            row.survived += 3
        assert not sandbox.sang()
    with pytest.raises(ValueError, match="NUL"):
        script.quote("a\0b")


async def test_values_of_sql(every_shell: LocalHands, server: Server, tally: Tally) -> None:
    row = tally("P13", "hostile values in SQL, through psql to a real server")
    server.sql("create table canary (n int)")
    for value in WORDS:
        ask = 'select :\'value\';\nselect :"value" from (select 1 as :"value") x;'
        out = await every_shell.sh(
            AS_POSTGRES + server.psql.run(ask if value else "select :'value';", value=value)
        )
        found = out.decode().removesuffix("\n")
        wanted = f"{value}\n1" if value else value
        assert found == wanted, (value, found)
        row.injected += 1
        row.survived += 1
    assert server.sql("select count(*) from canary") == "0"
    assert not Path(CANARY).exists()


PASSWORDS = [
    *(value for value in VALUES if value and value.isascii() and value.isprintable()),
    "p@ss:w/rd?sslmode=disable&x=%41#",
    "\\ \\\\ '' \"\" $$ $1 :x :'role' \\g",
    " leading and trailing ",
    "".join(map(chr, range(0x20, 0x7F))),
]


async def test_passwords(every_shell: LocalHands, server: Server, tally: Tally) -> None:
    """As a SCRAM verifier into the server, and out of the DSN that K3s gets, parsed by libpq."""
    row = tally("P13", "hostile passwords, through SCRAM, psql and the DSN")
    server.hba_file.write_text(
        "local all postgres trust\nlocal all all scram-sha-256\nhost all k3s all scram-sha-256\n"
        + server.hba_file.read_text()
    )
    server.sql("select pg_reload_conf()")
    for password in map(Secret, PASSWORDS):
        assert scram.usable(password)
        await every_shell.settle(Role(server.psql, "k3s", password))
        dsn = config.datastore_endpoint("k3s", password, "127.0.0.1", server.port, "postgres")
        plain_tcp = dsn.reveal().replace("?sslmode=verify-full", "?sslmode=disable")
        assert plain_tcp != dsn.reveal()
        with psycopg.connect(plain_tcp) as connection:
            assert connection.execute("select current_user").fetchone() == ("k3s",)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(plain_tcp.replace("postgres://k3s:", "postgres://k3s:x"))
        row.injected += 1
        row.survived += 1
    for unusable in ("", "\x00", "a\nb", "é", "\x7f"):
        assert not scram.usable(Secret(unusable))
    said_by_scripts = "".join(every_shell.scripts)
    assert not any(p in said_by_scripts for p in PASSWORDS if len(p) > 12)


def test_passwords_of_the_secrets_file_are_yaml() -> None:
    for password in map(Secret, PASSWORDS):
        text = config.server_secrets(password, password, password).reveal()
        assert set(yaml.safe_load(text).values()) == {password.reveal()}
        assert yaml.safe_load(config.agent_secrets(password).reveal()) == {
            "token": password.reveal()
        }


def test_lines_of_pg_hba() -> None:
    """Behind the loader's back: a name is one word of one line, or refused."""
    for value in VALUES:
        wanted = Access(Psql(), "/hba", value, "k3s", ("10.0.0.1",))
        plain_lines = Access(Psql(), "/hba", "k3s", "k3s", ("10.0.0.1",)).block().count("\n")
        if value.isprintable():
            assert wanted.block().count("\n") == plain_lines
        else:
            with pytest.raises(ValueError, match="cannot hold"):
                wanted.block()
