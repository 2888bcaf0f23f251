"""P13: what a profile says is data to shell, SQL, YAML and every other reader, or is refused."""

from __future__ import annotations

import itertools
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import tomli_w
import yaml

from k3s_tui.core.errors import OperatorError, Refused
from k3s_tui.core.secret import Secret
from k3s_tui.hosts import script
from k3s_tui.profile.load import parse
from k3s_tui.profile.model import Profile
from k3s_tui.profile.problem import ProfileInvalid
from k3s_tui.resources import nginx
from k3s_tui.resources.k3s import config
from k3s_tui.resources.postgres import scram
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql
from k3s_tui.resources.postgres.role import Role
from tests.faults import grammars
from tests.faults.hostile import (
    DOCUMENTS,
    KEY,
    PLACES,
    SECRETS,
    SING,
    VALUES,
    Place,
    bypassed,
    fitting,
    places,
    put,
)
from tests.faults.overheard import Heard, Said, said, unheard
from tests.faults.sandbox import CANARY, SHELLS, Sandbox
from tests.faults.tally import FULL, Tally, amount
from tests.unit.hands import LocalHands
from tests.unit.postgres.conftest import every_shell, server, template
from tests.unit.postgres.server import Server

__all__ = ["every_shell", "server", "template"]

pytestmark = pytest.mark.timeout(14_400 if FULL else 600)
as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="namespaces need root on Linux"
)


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


@dataclass
class Together:
    """A profile with as many hostile values as it may have at once."""

    document: dict[str, Any]
    places: set[Place]


def loaded(document: dict[str, Any]) -> Profile | None:
    """None when the loader refuses it."""
    try:
        return parse(tomli_w.dumps(document), "x.toml").profile
    except ProfileInvalid:
        return None


def join(wholes: list[Together], document: dict[str, Any], place: Place, text: str) -> None:
    """What is allowed alone may not go with the others: then it gets a profile of its own."""
    for whole in wholes:
        joined = put(whole.document, place, text)
        if place not in whole.places and loaded(joined) is not None:
            whole.document = joined
            whole.places.add(place)
            return
    wholes.append(Together(put(document, place, text), {place}))


@as_root
async def test_a_hostile_file(sandboxes: list[Sandbox], tally: Tally) -> None:
    """Through the loader, as the operator's file would come."""
    row = tally("P13", "a hostile value in each field of a profile's file")
    scripts: set[Said] = set()
    carried = ""
    accepted: dict[Place, set[str]] = {}
    every = amount(9, 1)
    for name, document in DOCUMENTS.items():
        together: dict[str, list[Together]] = {}
        chosen = PLACES if name == "online" else [p for p in PLACES if p[0] != "hosts"]
        for number, place in enumerate(chosen):
            for value in dict.fromkeys((VALUES[0], *VALUES[number % every :: every])):
                row.injected += 1
                texts = [value, fitting(document, place, value)]
                if place[-1] in SECRETS:
                    texts += [f"{kind}:{value}" for kind in ("store", "file", "keyring")]
                for text in texts:
                    profile = loaded(put(document, place, text))
                    if profile is None:
                        continue
                    if place[0] == "k3s" and "config" in str(place[1]):
                        _arrives_in_yaml(profile, place)
                    accepted.setdefault(place, set()).add(text)
                    join(together.setdefault(value, []), document, place, text)
                row.survived += 1
        heard = list(together.values())[:: amount(5, 1)]
        for whole in itertools.chain.from_iterable(heard):
            profile = loaded(whole.document)
            assert profile is not None
            told = await said(profile)
            assert not unheard(profile, told), name
            as_meant(profile, told)
            carried += told.payload
            scripts |= told.scripts
    # Free text is free where it is a path of the laptop, a note, or K3s's own option.
    free = {("note",), ("ssh", "identity"), ("install", "bundle")}
    free |= {("datastore", key) for key in ("ca", "client-certificate", "client-key")}
    free |= {("pki", "ca"), ("pki", "ca-key")}
    dangerous = {p for p, texts in accepted.items() if any(SING in text for text in texts)}
    for place in dangerous - free:
        assert place[1] in ("server-config", "agent-config") or place[-1] in SECRETS, place
    assert free <= dangerous, "what is allowed was not tried"
    # What is allowed and goes to hosts is K3s's own options: they did go there.
    assert SING in carried
    assert listen(sandboxes, scripts) >= 2 * len(DOCUMENTS)


def as_meant(profile: Profile, heard: Heard) -> None:
    """What other programs read in the files that are written for them is what the profile says."""
    wanted = profile.datastore
    for kind, text in heard.files:
        if kind == "yaml":
            assert isinstance(yaml.safe_load(text), dict), text
            continue
        read = grammars.READERS[kind](text)
        match kind:
            case "pg_hba":
                names = {(database.strip('"'), role.strip('"')) for _, database, role, *_ in read}
                user, database = wanted.user, wanted.database
                assert names == {(database, user), ("all", user), (database, "all")}, text
            case "hosts":
                pinned = wanted.hosts_entry == "auto" and (
                    wanted.mode == "managed" or wanted.address
                )
                entries = [[wanted.hostname]] if pinned else []
                assert [names for _, *names in read] == entries, text
            case "nginx":
                found = [words for words in read if words[:3] == ("stream", "upstream", "server")]
                assert len(found) == len(profile.servers), text
            case _:
                assert read == grammars.unit(nginx.unit()), text


BREAKS = {
    "pg_hba": (
        "host all all 0.0.0.0/0 trust\n",
        "hostssl k3s,postgres k3s 10.0.0.1/32 scram-sha-256 clientcert=verify-full\n",
        "hostssl k3s k3s 10.0.0.1/32 scram-sha-256 clientcert=verify-ca\n",
        "hostssl k3s\nhost all all all trust\n",
    ),
    "hosts": ("10.0.0.1 a; b\n", "$(x) a\n", "10.0.0.1\n"),
    "nginx": (
        "stream { upstream k { server 10.0.0.1:1 max_fails=2 fail_timeout=5s; evil on; } }",
        "stream { upstream k { server x}y:1 max_fails=2 fail_timeout=5s; } }",
        "include /etc/passwd;",
        "stream {",
    ),
    "unit": ("[Service]\nExecStartPost=/bin/x\n", "[Service]\nExecStart=/bin/%n\n"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_reader_finds_what_was_not_meant(kind: str) -> None:
    for text in BREAKS[kind]:
        with pytest.raises(ValueError, match=r"."):
            grammars.READERS[kind](text)


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


REFUSED_BEHIND = {
    ValueError: (
        r"does not appear to be an IPv4 or IPv6 (address|network)$"
        r"|^a line of pg_hba\.conf cannot hold "
    ),
    Refused: r" is not an https:// address$",
}
"""What steps themselves refuse to be built of: what else is raised is a mistake."""


def is_address(place: Place) -> bool:
    return place[0] == "hosts" and place[-1] in ("address", "node-ip")


REFUSABLE = {("install", "script-url"), ("install", "mirror")} | {
    ("datastore", name) for name in ("database", "user")
}
"""Where steps look at a value before they put it into anything; and every address."""


@as_root
@pytest.mark.parametrize("name", DOCUMENTS)
async def test_behind_the_loader_nothing_runs_either(
    sandboxes: list[Sandbox], tally: Tally, name: str
) -> None:
    """As if every rule of the loader had a hole: scripts still hold the value as data."""
    row = tally("P13", "the same behind the loader's back, in scripts of the whole procedure")
    document = DOCUMENTS[name]
    base = parse(tomli_w.dumps(document), "x.toml").profile
    texts = list(places(Profile, base, choices=False))
    texts.sort(key=lambda place: place == ("hosts", KEY))
    singing = [value for value in VALUES if SING in value]
    rotated = singing[list(DOCUMENTS).index(name) % len(singing)]
    scripts: set[Said] = set()
    for value in singing if FULL else dict.fromkeys((singing[0], rotated)):
        for fits in (True, False) if FULL else (value == singing[0],):
            together = base
            for place in texts:
                if is_address(place) and not (FULL or name == "online"):
                    continue  # refused one by one, which takes its time
                text = fitting(document, place, value) if fits else value
                row.injected += 1
                row.survived += 1
                both = bypassed(together, place, text)
                if is_address(place) or place in REFUSABLE:
                    try:
                        await said(both)
                    except (ValueError, OperatorError) as refused:
                        assert re.search(REFUSED_BEHIND[type(refused)], str(refused)), place
                        continue
                together = both
            heard = await said(together)
            assert not unheard(together, heard)
            assert any(SING in text for text, _ in heard.scripts), "no value reached a script"
            scripts |= heard.scripts
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
