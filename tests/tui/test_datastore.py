"""The datastore's step, and the ways of giving a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from textual.widgets import Input, Select

from k3s_tui.core.secret import Secret
from k3s_tui.profile.neighbours import secrets_file
from k3s_tui.tui.backend import Engine
from k3s_tui.tui.dialogs.secret_value import SecretValueDialog
from k3s_tui.tui.widgets.rows import Rows
from k3s_tui.tui.widgets.secret_field import SecretField
from tests.tui.fields import (
    HOSTILE,
    SIZES,
    choose,
    everywhere,
    field,
    fill,
    go,
    leave,
    paste,
    put,
    told,
    wrong,
)
from tests.tui.operator import Operator, how_to, operator

HARMLESS = re.compile("[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*")
CANARY = "canary-that-must-not-sing"
PASSWORD = ("datastore", "password")
GENERATE = "generate one, into how-to.secrets"
TYPE = "type one, into how-to.secrets"
REFER = "refer to where it is kept"


def preview(user: Operator) -> str:
    rows = user.wizard.screen.query_one("#written", Rows).rows
    return "\n".join(f"{row.label} {row.text}".strip() for row in rows)


async def type_secret(user: Operator, *values: str) -> SecretValueDialog:
    """Into the two fields of the dialog; then Enter."""
    dialog = await user.on(SecretValueDialog)
    await paste(user, values[0])
    await user.press("enter")
    await paste(user, values[-1])
    await user.press("enter")
    return dialog


@pytest.mark.parametrize("size", SIZES)
async def test_a_typed_password_stays_in_the_draft_and_is_seen_nowhere(
    folder: Path, size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await go(user, "datastore")
        await choose(user, TYPE, *PASSWORD)
        await user.on(SecretValueDialog)
        await user.type(CANARY)
        await user.press("home", "shift+end", "ctrl+c", "ctrl+x")
        assert CANARY not in everywhere(user)
        await user.press("enter")
        await user.type(CANARY)
        assert CANARY not in everywhere(user)
        await user.press("enter")
        await user.at("datastore")
        await user.sees("typed, not stored yet")
        assert CANARY not in everywhere(user)
        draft = user.wizard.draft
        assert draft.secrets == {"datastore.password": Secret(CANARY)}
        assert draft.get(PASSWORD) == "store:datastore.password"
        # Back and forth: it is there, and there to be changed.
        await user.press("escape")
        await user.at("certificates")
        await user.press("ctrl+n")
        await user.at("datastore")
        field(user, *PASSWORD).focus_input()
        await user.sees("typed, not stored yet")
        assert draft.secrets == {"datastore.password": Secret(CANARY)}
        assert CANARY not in everywhere(user)


async def test_a_typed_password_goes_into_the_store(folder: Path) -> None:
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    async with operator(folder, how_to(folder), passphrase_file=passphrase) as user:
        await go(user, "datastore")
        await choose(user, TYPE, *PASSWORD)
        await type_secret(user, CANARY)
        await user.at("datastore")
        wizard = user.wizard
        assert isinstance(wizard.backend, Engine)
        await wizard.backend.prepare(wizard.draft)
        assert wizard.draft.secrets == {}
        assert (await wizard.secrets.store()).get("datastore.password") == Secret(CANARY)
        assert CANARY.encode() not in secrets_file(wizard.draft.path).read_bytes()
        assert CANARY not in wizard.draft.path.read_text()
        await go(user, "datastore")
        await user.sees("kept in how-to.secrets")


async def test_what_is_typed_must_be_the_same_twice_and_something(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        await choose(user, TYPE, *PASSWORD)
        await type_secret(user, CANARY, "canary-that-sings")
        await user.sees("the two differ")
        await user.press("end", "ctrl+u", "tab", "end", "ctrl+u", "enter")
        await user.sees("nothing was typed")
        await user.press("escape")
        await user.at("datastore")
        assert user.wizard.draft.secrets == {}
        assert field(user, *PASSWORD).query_one(Select).value == "make"


async def test_a_short_one_is_taken_with_a_warning(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        await choose(user, TYPE, *PASSWORD)
        await user.on(SecretValueDialog)
        await user.type("short")
        await user.sees("! 5 characters; 16 or more are better")
        await user.press("enter")
        await user.type("short")
        await user.press("enter")
        await user.at("datastore")
        field(user, *PASSWORD).scroll_visible(animate=False)
        await user.sees("! shorter than 16 characters")
        assert user.wizard.draft.secrets == {"datastore.password": Secret("short")}


async def test_to_have_one_made_after_all_drops_what_was_typed(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        await choose(user, TYPE, *PASSWORD)
        await type_secret(user, CANARY)
        await user.at("datastore")
        await choose(user, GENERATE, *PASSWORD)
        assert user.wizard.draft.secrets == {}
        await choose(user, TYPE, *PASSWORD)
        await type_secret(user, CANARY)
        await user.at("datastore")
        await choose(user, REFER, *PASSWORD)
        await user.type("env:K3S_PASSWORD")
        assert user.wizard.draft.secrets == {}
        assert user.wizard.draft.get(PASSWORD) == "env:K3S_PASSWORD"
        assert user.wizard.draft.valid


async def test_a_reference_is_kept_and_shown_again(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        draft = user.wizard.draft
        for text in (
            "env:NAME",
            "file:~/secret",
            "keyring:k3s/password",
            "prompt:",
            "store:other.key",
        ):
            draft.set(PASSWORD, "store:datastore.password")
            await go(user, "datastore")
            await choose(user, REFER, *PASSWORD)
            assert user.focused is field(user, *PASSWORD).query_one(".reference")
            await paste(user, text)
            assert draft.get(PASSWORD) == text
            assert draft.valid
            await user.press("ctrl+n", "escape")
            await user.at("datastore")
            shown = field(user, *PASSWORD)
            way = shown.query_one(Select).value
            assert way == ("make" if text.startswith("store:") else "refer")
            assert shown.typed == text


async def test_what_is_no_reference_is_told_and_a_secret_is_not_kept(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        draft = user.wizard.draft
        for text, problem in (
            ("env:1-BAD", "reference"),
            ("keyring:only-one", "reference"),
            (CANARY, "literal"),
            ("", '"password" is empty'),
        ):
            draft.set(PASSWORD, "store:datastore.password")
            await go(user, "datastore")
            await choose(user, REFER, *PASSWORD)
            await paste(user, text)
            await leave(user)
            assert problem in told(user, *PASSWORD)
            assert CANARY not in repr(draft.document)
            await user.press("ctrl+n")
            await user.at("datastore")
            assert field(user, *PASSWORD).is_wrong


async def test_a_letter_leads_to_where_it_begins(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        field(user, *PASSWORD).focus_input()
        await user.press("enter", "r")
        await user.press("enter")
        await user.until(lambda: user.wizard.draft.get(PASSWORD) == "", "a reference is asked for")


async def test_a_literal_secret_in_the_file_is_not_shown(folder: Path) -> None:
    path = how_to(folder)
    path.write_text(path.read_text().replace("store:datastore.password", CANARY))
    async with operator(folder, path) as user:
        await go(user, "datastore")
        shown = field(user, *PASSWORD)
        assert isinstance(shown, SecretField)
        shown.focus_input()
        await user.pilot.pause()
        assert "literal" in told(user, *PASSWORD)
        assert CANARY not in user.text
        assert CANARY not in user.wizard.export_screenshot()
        assert shown.query_one(".reference", Input).value == ""


async def test_the_preview_follows_what_is_typed(folder: Path) -> None:
    async with operator(folder, how_to(folder), (120, 40)) as user:
        await go(user, "datastore")
        assert "hostssl k3s k3s 10.161.129.54/32 scram-sha-256 clientcert=verify-full" in preview(
            user
        )
        assert "10.161.129.212 postgres.rancher.rke2" in preview(user)
        await fill(user, "kine", "datastore", "user")
        await fill(user, "cluster", "datastore", "database")
        await fill(user, "db.example.org", "datastore", "hostname")
        assert "hostssl cluster kine 10.161.129.154/32" in preview(user)
        assert "host all kine all reject" in preview(user)
        assert "10.161.129.212 db.example.org" in preview(user)
        assert "postgres://kine:PASSWORD@db.example.org:5432/cluster" in preview(user)
        await choose(user, "no, DNS knows the name", "datastore", "hosts-entry")
        assert "/etc/hosts" not in preview(user)


async def test_each_problem_is_told_below_its_field(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        for place, text, message in (
            ("hostname", "Postgres", "DNS name in lower case"),
            ("hostname", "10.0.0.1", "an IP address does not do"),
            ("port", "0", "from 1 to 65535"),
            ("port", "many", "whole number"),
            ("port", "22", "SSH does"),
            ("database", "K3S", "lower-case letters"),
            ("database", "postgres", "PostgreSQL's own"),
            ("user", "K3s", "lower case"),
            ("user", "all", "PostgreSQL's own"),
        ):
            await wrong(user, "datastore", ("datastore", place), text, message)


async def test_hostile_text_in_every_field(folder: Path) -> None:
    async with operator(folder, how_to(folder), (120, 40)) as user:
        await go(user, "datastore")
        await choose(user, REFER, *PASSWORD)
        for text in HOSTILE:
            for place in ("hostname", "port", "database", "user"):
                put(user, text, "datastore", place)
            field(user, *PASSWORD).query_one(".reference", Input).value = f"env:{text}"
            await user.press("ctrl+n")
            await user.at("datastore")
            wrong = [
                p for p in ("hostname", "port", "user") if field(user, "datastore", p).is_wrong
            ]
            assert wrong == ["hostname", "port", "user"], text
            for step in ("certificates", "servers", "review", "datastore"):
                assert HARMLESS.fullmatch(user.text), text
                await go(user, step)


async def test_hostile_text_of_a_file_is_shown_as_text(folder: Path) -> None:
    path = how_to(folder)
    before = path.read_text()
    for text in HOSTILE[:-1]:
        quoted = json.dumps(text)
        path.write_text(
            before.replace('user = "k3s" ', f"user = {quoted} ").replace(
                '"store:datastore.password"', json.dumps(f"env:{text}")
            )
        )
        async with operator(folder, path, (120, 40)) as user:
            await go(user, "datastore")
            assert field(user, "datastore", "user").is_wrong
            assert HARMLESS.fullmatch(user.text), text
            # Looked at, and not touched: the file's own words are kept.
            assert user.wizard.draft.get(("datastore", "user")) == text


async def test_a_store_with_a_hostile_name(folder: Path) -> None:
    path = folder / "[@click=app.quit]x[.toml"
    path.write_text(how_to(folder).read_text())
    async with operator(folder, path) as user:
        await go(user, "datastore")
        await user.sees("generate one, into [@click=app.quit]x[.secrets")


@pytest.mark.parametrize("size", SIZES)
async def test_everything_is_reached_by_tab_and_arrows(folder: Path, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        screen = await go(user, "datastore")
        await user.until(lambda: user.focused is not None)
        for _ in range(20):
            if isinstance(user.focused, Rows):
                break
            await user.press("tab")
        assert isinstance(user.focused, Rows)
        seen = user.text
        body = screen.query_one("#body")
        for _ in range(80):
            if body.scroll_y >= body.max_scroll_y:
                break
            await user.press("down")
            seen += user.text
        assert "host all k3s all reject" in seen
        assert "postgres://k3s:PASSWORD" in seen
