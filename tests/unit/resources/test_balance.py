"""The proof that every server is reached, and the reload, on a real nginx and real sessions."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change
from k3s_tui.core.errors import StepFailed
from k3s_tui.families.debian import DEBIAN
from k3s_tui.hosts.script import quote
from k3s_tui.resources import nginx
from k3s_tui.resources.balance import BalanceState, EveryServerAnswers
from k3s_tui.resources.file import File
from k3s_tui.resources.service import Service
from tests.unit.hands import ME, LocalHands
from tests.unit.resources.balancer import Balancer, Server, free_port, wait_until
from tests.unit.resources.systemctl import Systemctl

UPSTREAMS = ("10.0.0.1:6443", "10.0.0.2:6443")
BOTH = frozenset(UPSTREAMS)
CHECK = EveryServerAnswers("https://10.0.0.9:6443", "/log", UPSTREAMS)


@pytest.mark.parametrize(
    ("out", "state", "problem"),
    [
        (
            "asked 8\nanswered 8\nlogged 10.0.0.1:6443\nlogged 10.0.0.2:6443\n",
            BalanceState(8, 8, BOTH),
            None,
        ),
        ("asked 8\nanswered 7\n", BalanceState(8, 7), "7 of 8 times"),
        (
            "asked 8\nanswered 8\nlogged 10.0.0.2:6443, 10.0.0.1:6443\n",
            BalanceState(8, 8, frozenset(UPSTREAMS[:1])),
            "10.0.0.2:6443 did not answer",
        ),
        (
            "asked 8\nanswered 8\nbusy 10.0.0.2:6443\ndirect 10.0.0.2:6443\nlogged 10.0.0.1:6443\n",
            BalanceState(8, 8, frozenset(UPSTREAMS[:1]), *[frozenset(UPSTREAMS[1:])] * 2),
            None,
        ),
        (
            "asked 8\nanswered 8\nbusy 10.0.0.2:6443\nlogged 10.0.0.1:6443\n",
            BalanceState(8, 8, frozenset(UPSTREAMS[:1]), frozenset(UPSTREAMS[1:])),
            "10.0.0.2:6443 did not answer",
        ),
        (
            "asked 8\nanswered 8\ndirect 10.0.0.2:6443\nlogged 10.0.0.1:6443\n",
            BalanceState(8, 8, frozenset(UPSTREAMS[:1]), direct=frozenset(UPSTREAMS[1:])),
            "10.0.0.2:6443 did not answer",
        ),
        ("", BalanceState(), "0 of 0 times"),
    ],
)
def test_the_proof_of_balance(out: str, state: BalanceState, problem: str | None) -> None:
    now = CHECK.probe().parse(out.encode())
    assert now == state
    found = CHECK.diff(now)
    assert (found is None) == (problem is None)
    assert found is None or problem in found.text  # type: ignore[operator]


@pytest.mark.parametrize(
    ("line", "upstream"),
    [
        ('1.2.3.4 [x] TCP 200 2048 512 0.012 "10.0.0.1:6443" 0.001', "10.0.0.1:6443"),
        (
            '1.2.3.4 [x] TCP 200 2048 512 2.012 "10.0.0.2:6443, [fd00::1]:6443" -, 0.001',
            "[fd00::1]:6443",
        ),
        ('1.2.3.4 [x] TCP 502 0 0 2.012 "10.0.0.2:6443" -', None),
        ('1.2.3.4 [x] TCP 200 1 1 2.012 "\x1b]0;x" 0.001', r"\x1b]0;x"),
    ],
)
async def test_upstreams_are_read_from_the_log(
    hands: LocalHands, tmp_path: Path, line: str, upstream: str | None
) -> None:
    log = tmp_path / "log"
    log.write_text("")
    hands.tool("ss", "exit 1\n")
    hands.tool("curl", f"cat >>{log} <<'END'\n{line}\nEND\n")
    check = EveryServerAnswers("https://10.0.0.9:6443", str(log), UPSTREAMS[:1])
    assert (await hands.look(check)).upstreams == ({upstream} if upstream else set())


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Balancer]:
    folder = tmp_path / "balancer"
    folder.mkdir()
    balancer = Balancer(folder)
    yield balancer
    balancer.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, Server]]:
    port = free_port()
    servers = {f"{a}:{port}": Server(a, port, tmp_path) for a in ("127.0.0.1", "127.0.0.2")}
    yield servers
    for server in servers.values():
        server.close()


def proof(balancer: Balancer, servers: dict[str, Server]) -> EveryServerAnswers:
    url = f"https://127.0.0.1:{balancer.port}"
    return EveryServerAnswers(url, str(balancer.access_log), tuple(servers))


async def test_every_server_is_reached(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    balancer.start(list(servers), hands)
    check = proof(balancer, servers)
    now = await hands.look(check)
    assert now.upstreams == set(servers)
    assert check.diff(now) is None


async def test_one_with_long_sessions_counts_by_these(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    """`least_conn` sends it nothing for as long as the others have less to do."""
    balancer.start(list(servers), hands)
    busy, idle = servers
    held = [balancer.connect() for _ in range(30)]
    wait_until(lambda: all(s.sessions == 15 for s in servers.values()), "sessions are balanced")
    servers[idle].hang_up()
    wait_until(lambda: balancer.access_log.read_text().count(idle) == 15, "they have ended")
    check = proof(balancer, servers)
    now = await hands.look(check)
    assert now.upstreams == {idle}
    assert now.busy == {busy}
    assert check.diff(now) is None
    # A session alone shows nothing: its other end may be gone without a word.
    assert check.diff(replace(now, direct=frozenset())) is not None
    for session in held:
        session.close()


async def test_one_that_is_not_behind_it(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    balancer.start(list(servers)[:1], hands)
    check = proof(balancer, servers)
    found = check.diff(await hands.look(check))
    assert found is not None and list(servers)[1] in found.text


async def test_one_that_is_down(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    balancer.start(list(servers), hands)
    gone = list(servers)[1]
    servers[gone].close()
    check = proof(balancer, servers)
    found = check.diff(await hands.look(check))
    assert found is not None and gone in found.text


# -- the reload -----------------------------------------------------------------------------------


async def test_a_reload_makes_the_new_configuration_live(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    first, second = servers
    balancer.start([first], hands)
    watch = balancer.connect()
    wait_until(lambda: servers[first].sessions == 1, "the session is there")
    balancer.configure([second])
    await hands.sh(f"set -e\n{balancer.moved(nginx.reload())}")
    # From this moment on, and without an end of what goes on.
    with balancer.connect():
        wait_until(lambda: servers[second].sessions == 1, "it leads to the new server")
    watch.settimeout(0.2)
    with pytest.raises(TimeoutError):
        watch.recv(1)
    await hands.sh(balancer.moved(nginx.ready()))


async def test_a_reload_to_another_port(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    balancer.start(list(servers), hands)
    port = free_port()
    balancer.configure(list(servers), port)
    await hands.sh(f"set -e\n{balancer.moved(nginx.reload())}")
    balancer.port = port
    balancer.connect().close()


async def test_a_reload_that_nginx_refuses(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    """`nginx -t` takes a port that is in use, and the reload goes on with what there was."""
    balancer.start(list(servers), hands)
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        balancer.configure(list(servers), port)
        with pytest.raises(StepFailed, match=r"\[emerg\].* in use.*: nginx goes on as before"):
            await hands.sh(f"set -e\n{balancer.moved(nginx.reload())}")
    balancer.connect().close()


async def test_a_reload_that_does_not_happen(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server]
) -> None:
    balancer.start(list(servers), hands)
    hands.tool("systemctl", "exit 0\n")
    hands.tool("date", "echo 7\n")  # a clock that is set back all the time is no deadline
    with pytest.raises(StepFailed, match="no new worker listens: nginx goes on as before"):
        await hands.sh(f"set -e\n{balancer.moved(nginx.reload(seconds=1))}")


async def test_a_port_that_is_taken_is_taken_back(
    hands: LocalHands, balancer: Balancer, servers: dict[str, Server], tmp_path: Path
) -> None:
    """On the port of before it goes on, and it is that one by which it is judged."""
    balancer.start(list(servers), hands)
    systemd = Systemctl(hands, tmp_path / "systemd")
    systemd.unit(nginx.UNIT)
    pid = quote(str(balancer.folder / "k3s-tui-lb.pid"))
    systemd.put(f"{nginx.UNIT}.reload", f"kill -HUP $(cat {pid})")

    def service(port: int) -> Service:
        text = nginx.config(
            list(servers),
            port=port,
            method="least_conn",
            user="www-data",
            load_stream=DEBIAN.nginx.load_stream,
        )
        path = balancer.moved(nginx.CONFIG_PATH)
        return Service(
            nginx.UNIT,
            (File(path, balancer.moved(text), "0644", ME),),
            reload=balancer.moved(nginx.reload()),
            reloadable=frozenset({path}),
            ready=balancer.moved(nginx.ready()),
            state_folder=str(tmp_path / "state"),
        )

    await hands.settle(service(balancer.port))
    with socket.create_server(("0.0.0.0", 0)) as taken:
        there = "the files of before are back, and it runs on them$"
        with pytest.raises(StepFailed, match=there) as caught:
            await service(taken.getsockname()[1]).apply(hands, Change(""))
    assert "in use" in caught.value.tail
    balancer.connect().close()
    # What it has loaded is still known.
    now = service(balancer.port)
    assert now.diff(await hands.look(now)) is None
