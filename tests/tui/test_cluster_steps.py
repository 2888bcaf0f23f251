"""The steps of servers, load balancer and agents."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Select, Static, TextArea

from k3s_tui.core.secret import Secret
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.dialogs.secret_value import SecretValueDialog
from k3s_tui.tui.widgets.node_table import NodeTable
from k3s_tui.tui.widgets.rows import Rows
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

CANARY = "canary-that-must-not-sing"
TOKEN = ("k3s", "token")
AGENT_TOKEN = ("k3s", "agent-token")
SERVER_OPTIONS = ("k3s", "server-config")
AGENT_OPTIONS = ("k3s", "agent-config")
TYPE = "type one, into how-to.secrets"


def said(user: Operator, id: str) -> str:
    return str(user.wizard.screen.query_one(f"#{id}", Static).render())


def preview(user: Operator) -> str:
    rows = user.wizard.screen.query_one("#written", Rows).rows
    return "\n".join(f"{row.label} {row.text}".strip() for row in rows)


def table(user: Operator) -> list[list[str]]:
    nodes = user.wizard.screen.query_one(NodeTable)
    return [[str(cell) for cell in nodes.get_row_at(row)] for row in range(nodes.row_count)]


async def type_secret(user: Operator, value: str) -> None:
    await user.on(SecretValueDialog)
    for key in ("enter", "enter"):
        await user.press("end", "ctrl+u")
        await paste(user, value)
        await user.press(key)


@pytest.mark.parametrize(
    ("step", "place", "size"),
    [*(("servers", TOKEN, size) for size in SIZES), ("agents", AGENT_TOKEN, SIZES[1])],
)
async def test_a_token_that_k3s_cannot_take_is_refused_and_another_taken(
    folder: Path, step: str, place: tuple[str, str], size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await go(user, step)
        await choose(user, TYPE, *place)
        await user.on(SecretValueDialog)
        await user.sees("cannot be changed")
        for token, why in (
            (f"K10{CANARY}", "K10"),
            ("abcdef.0123456789abcdef", "bootstrap"),
            (f"{CANARY} {CANARY}", "white space"),
        ):
            await type_secret(user, token)
            wrong = user.wizard.screen.query_one("#wrong", Static)
            assert why in str(wrong.render())
            await user.sees("cannot be a cluster's token")
            assert token not in everywhere(user)
        await type_secret(user, CANARY)
        await user.at(step)
        await user.sees("typed, not stored yet")
        assert user.wizard.draft.secrets == {".".join(place): Secret(CANARY)}
        assert CANARY not in everywhere(user)


async def test_agents_may_not_have_the_servers_token(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "servers")
        await choose(user, TYPE, *TOKEN)
        await type_secret(user, CANARY)
        await go(user, "agents")
        await choose(user, TYPE, *AGENT_TOKEN)
        await type_secret(user, CANARY)
        await user.sees("servers and agents need different tokens")
        await user.press("escape")
        await user.at("agents")
        assert field(user, *AGENT_TOKEN).query_one(Select).value == "make"
        assert set(user.wizard.draft.secrets) == {"k3s.token"}


async def test_each_problem_of_servers_is_told_below_its_field(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        for place, text, message in (
            ("version", "1.36.3", "an exact release, such as v1.36.3+k3s1"),
            ("version", "v1.20.1+k3s1", "too old"),
            ("version", "", "version"),
            ("tls-san", "k3s_example", "an IP address or a host name"),
            ("tls-san", "10.0.0.1, 10.0.0.300", "not a valid address"),
        ):
            await wrong(user, "servers", ("k3s", place), text, message)


async def test_options_that_are_wrong_are_told_with_their_line(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        for step, place, text, line, message in (
            ("servers", SERVER_OPTIONS, 'a = 1\nb = "', 0, "(at "),
            ("servers", SERVER_OPTIONS, "a = 1\n\nb 2\n", 0, "(at line 3"),
            ("servers", SERVER_OPTIONS, 'debug = true\n\ntoken = "x"\n', 3, "is set by k3s-tui"),
            ("servers", SERVER_OPTIONS, 'debug = true\nno_such = "x"\n', 2, "not an option of K3s"),
            ("servers", SERVER_OPTIONS, "https-listen-port = 70000", 1, "not a port"),
            ("servers", SERVER_OPTIONS, 'x = 1\nvpn-auth = "joinKey=y"', 2, "literal secret"),
            ("servers", SERVER_OPTIONS, "disable = [[1]]", 1, "text, a number"),
            ("agents", AGENT_OPTIONS, '\ndisable = "traefik"', 2, "an option of servers"),
            ("agents", AGENT_OPTIONS, "node-ip = '10.0.0.1'", 1, "hosts.NAME.node-ip"),
        ):
            # What is no TOML is told with its place already.
            await wrong(user, step, place, text, f"line {line}: " if line else message)
            await go(user, step)
            await fill(user, text, *place)
            await user.press("ctrl+n")
            assert message in told(user, *place)
            area = field(user, *place).query_one(TextArea)
            assert user.focused is area
            if line:
                assert area.cursor_location == (line - 1, 0)
            user.wizard.draft.set_table(place, "")


async def test_options_that_are_right_go_into_the_profile(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "servers")
        await fill(user, 'flannel-backend = "host-gw"\ndisable = ["traefik"]', *SERVER_OPTIONS)
        await user.press("ctrl+n")
        await user.at("loadbalancer")
        assert user.wizard.draft.get(SERVER_OPTIONS) == {
            "flannel-backend": "host-gw",
            "disable": ["traefik"],
        }


async def test_names_of_the_api_are_those_that_are_always_there_and_more(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "servers")
        assert "The certificate says: 10.161.129.118\n" in said(user, "names")
        await fill(user, "k3s.example.org, 10.0.0.9", "k3s", "tls-san")
        assert "10.161.129.118, k3s.example.org, 10.0.0.9" in said(user, "names")
        assert user.wizard.draft.get(("k3s", "tls-san")) == ["k3s.example.org", "10.0.0.9"]


@pytest.mark.parametrize("size", SIZES)
async def test_what_joins_what_and_a_server_edited_in_place(
    folder: Path, size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size) as user:
        screen = await go(user, "servers")
        assert said(user, "joins").endswith("makes the cluster; then, one by one: k3s-server-2")
        for _ in range(10):
            if isinstance(user.focused, NodeTable):
                break
            await user.press("tab")
        await user.press("down", "enter")
        dialog = await user.on(HostDialog)
        labels = next(f for f in dialog.query("Field").results() if f.place == ("labels",))  # type: ignore[attr-defined]
        labels.focus_input()  # type: ignore[attr-defined]
        await user.type("example.com/pool=a")
        await user.press("ctrl+s")
        await user.at("servers")
        assert screen is user.wizard.screen
        assert table(user)[1] == ["k3s-server-2", "10.161.129.154", "example.com/pool=a", "-"]
        draft = user.wizard.draft
        assert draft.hosts["k3s-server-2"]["labels"] == {"example.com/pool": "a"}
        draft.drop_host("k3s-server-2")
        await go(user, "servers")
        assert "is its only server" in said(user, "joins")
        draft.drop_host("k3s-server-1")
        await go(user, "servers")
        assert said(user, "joins") == "No host has the role server yet."


@pytest.mark.parametrize("size", SIZES)
async def test_the_load_balancer_shows_what_leads_where(
    folder: Path, size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await go(user, "loadbalancer")
        await user.sees("From  https://10.161.129.118:6443")
        assert "k3s-server-2  10.161.129.154:6443" in preview(user)
        assert "nginx: /etc/nginx/k3s-tui-lb.conf  0644" in preview(user)
        await fill(user, "8443", "loadbalancer", "port")
        assert "https://10.161.129.118:8443" in preview(user)
        await choose(user, "in turn", "loadbalancer", "method")
        assert user.wizard.draft.get(("loadbalancer", "method")) == "round_robin"
        hosts = user.wizard.draft.hosts
        user.wizard.draft.put_host(
            "k3s-server-2", "k3s-server-2", {**hosts["k3s-server-2"], "address": "two.example.org"}
        )
        await go(user, "loadbalancer")
        assert "k3s-server-2  its address, once it has said it" in preview(user)


async def test_each_problem_of_the_load_balancer_is_told_below_its_field(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        for place, text, message in (
            ("address", "10.161.129.999", "not a valid address"),
            ("address", "", "address"),
            ("port", "99999", "from 1 to 65535"),
            ("port", "22", "SSH does"),
        ):
            await wrong(user, "loadbalancer", ("loadbalancer", place), text, message)


async def test_an_address_that_is_not_the_load_balancers_own_is_a_warning(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "loadbalancer")
        await fill(user, "10.161.129.200", "loadbalancer", "address")
        await leave(user)
        assert "virtual address" in told(user, "loadbalancer", "address")
        assert not field(user, "loadbalancer", "address").is_wrong
        await user.press("ctrl+n")
        await user.at("agents")


@pytest.mark.parametrize("size", SIZES)
async def test_agents_join_through_the_load_balancer(folder: Path, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await go(user, "agents")
        assert said(user, "joins") == "They join through https://10.161.129.118:6443, side by side."
        assert table(user) == [["k3s-agent", "10.161.129.196", "-", "-"]]
        user.wizard.draft.drop_host("k3s-agent")
        await go(user, "agents")
        assert said(user, "joins").startswith("No host has the role agent")


async def test_back_keeps_what_was_typed(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        for step, place, text in (
            ("servers", ("k3s", "version"), "v1.35.1+k3s1"),
            ("servers", ("install", "script-url"), "https://mirror.example.org/k3s.sh"),
            ("loadbalancer", ("loadbalancer", "port"), "16443"),
            ("agents", AGENT_OPTIONS, 'kubelet-arg = ["max-pods=50"]'),
        ):
            await go(user, step)
            await fill(user, text, *place)
            await user.press("escape")
            await user.press("ctrl+n")
            await user.at(step)
            shown = field(user, *place).typed
            assert str(shown).strip() == text
        assert user.wizard.draft.valid


async def test_hostile_text_in_every_field(folder: Path) -> None:
    async with operator(folder, how_to(folder), (120, 40)) as user:
        draft = user.wizard.draft
        for text in HOSTILE:
            host = {"address": text, "roles": ["server", "agent"], "labels": {text: text}}
            draft.set(("hosts",), {text: {**host, "taints": [text]}})
            for step, places in (
                ("servers", (("k3s", "version"), ("k3s", "tls-san"), SERVER_OPTIONS)),
                ("loadbalancer", (("loadbalancer", "address"), ("loadbalancer", "port"))),
                ("agents", (AGENT_OPTIONS,)),
            ):
                await go(user, step)
                for place in places:
                    put(user, text, *place)
                await user.press("ctrl+n")
                await user.at(step)
                assert "\x1b" not in user.text and "\u202e" not in user.text


@pytest.mark.parametrize("step", ["servers", "agents"])
@pytest.mark.parametrize("size", SIZES[1:])
async def test_enter_on_a_node_is_said_to_edit_it(
    folder: Path, step: str, size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await user.at("hosts")
        await go(user, step)
        await user.sees("Enter edits a node")
        user.wizard.screen.query_one(NodeTable).focus()
        await user.sees("⏎ Edit")
        await user.press("enter")
        await user.on(HostDialog)
