from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from pathlib import Path

import pytest

from k3s_tui.core.errors import Lost, StepFailed
from k3s_tui.hosts import ssh
from k3s_tui.hosts.facts import parse, skew
from k3s_tui.hosts.facts_script import facts_script
from k3s_tui.hosts.script import literal
from k3s_tui.hosts.shell import ShellTransport
from tests.ssh.conftest import Connect
from tests.ssh.processes import eventually, marked
from tests.ssh.sshd import Sshd, running_sshd


async def test_a_script_comes_back_with_status_and_both_outputs(web: ShellTransport) -> None:
    lines: list[str] = []
    result = await web.exec("echo out; echo err >&2; exit 7", on_line=lines.append)
    assert (result.status, result.out, result.err) == (7, b"out\n", b"err\n")
    assert lines == ["err"]


async def test_the_prelude_is_in_force(web: ShellTransport) -> None:
    result = await web.exec('echo "$LC_ALL $PWD"; umask; id -u')
    assert result.out.split() == [b"C", b"/", b"0077", b"0"]


async def test_standard_input_is_empty_and_the_script_is_not_eaten(web: ShellTransport) -> None:
    result = await web.exec("cat\necho after")
    assert result.out == b"after\n"


async def test_standard_input_is_binary_safe(web: ShellTransport) -> None:
    data = bytes(range(256)) * 2000
    result = await web.exec("cat; exit 3", stdin=data)
    assert (result.status, result.out) == (3, data)


async def test_bytes_that_are_not_utf8_pass_and_harm_nothing(web: ShellTransport) -> None:
    lines: list[str] = []
    result = await web.exec(
        f"{literal(bytes(range(256)))}; printf 'a\\377\\033]52;c;x\\007\\n' >&2",
        on_line=lines.append,
    )
    assert result.out == bytes(range(256))
    assert lines == ["a\ufffd\\x1b]52;c;x\\x07"]
    assert (await web.exec("echo still here")).out == b"still here\n"


async def test_huge_output_and_a_huge_script(web: ShellTransport) -> None:
    result = await web.exec("head -c 15000000 /dev/zero; head -c 3000000 /dev/zero >&2")
    assert (len(result.out), len(result.err)) == (15_000_000, 3_000_000)
    padding = "# " + "x" * 1_000_000
    assert (await web.exec(f"{padding}\necho end")).out == b"end\n"


async def test_a_syntax_error_is_a_status_and_runs_nothing(web: ShellTransport) -> None:
    result = await web.exec("echo ran\nif then")
    assert result.status != 0
    assert result.out == b""


async def test_death_by_a_signal_is_told_as_a_shell_would(web: ShellTransport) -> None:
    assert (await web.exec("kill -9 $$")).status == 128 + signal.SIGKILL


async def test_cancelling_ends_everything_that_the_script_started(web: ShellTransport) -> None:
    mark = f"3{os.getpid()}.25"
    script = f"trap '' TERM\nsleep {mark} & sleep {mark} | cat\nsleep {mark}"
    running = asyncio.create_task(web.exec(script))
    await eventually(lambda: len(marked(f"sleep\0{mark}")) == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(lambda: not marked(f"sleep\0{mark}"))
    assert (await web.exec("echo on")).out == b"on\n"


async def test_cancelling_before_the_script_runs(web: ShellTransport) -> None:
    mark = f"4{os.getpid()}.25"
    for _ in range(5):
        running = asyncio.create_task(web.exec(f"sleep {mark}"))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await eventually(lambda: not marked(f"sleep\0{mark}"))


async def test_a_connection_lost_in_mid_script_is_no_success(connect: Connect) -> None:
    with running_sshd() as server:
        web = await connect(server)
        said: list[str] = []
        running = asyncio.create_task(web.exec("echo begun >&2; sleep 60", on_line=said.append))
        await eventually(lambda: bool(said))
        for pid in server.sessions():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(Lost) as caught:
            await running
        assert caught.value.host == "web-1"
        with pytest.raises(Lost):
            await web.exec("true")


async def test_more_calls_than_sshd_has_sessions(web: ShellTransport) -> None:
    results = await asyncio.gather(*(web.exec(f"sleep 0.1; echo {n}") for n in range(14)))
    assert [int(result.out) for result in results] == list(range(14))


async def test_a_server_with_few_sessions_is_waited_for(connect: Connect) -> None:
    with running_sshd("MaxSessions 2") as server:
        web = await connect(server)
        async with web.hold("echo held; exec cat") as line:
            assert line == "held"
            results = await asyncio.gather(*(web.exec(f"echo {n}") for n in range(5)))
        assert [int(result.out) for result in results] == list(range(5))


async def test_a_file_is_placed_whole(web: ShellTransport, tmp_path: Path) -> None:
    source, there = tmp_path / "source", tmp_path / "there" / "it's a file"
    there.parent.mkdir()
    source.write_bytes(os.urandom(20_000_000))
    await web.put(str(there), source)
    assert there.read_bytes() == source.read_bytes()
    assert there.stat().st_mode & 0o7777 == 0o600
    assert [entry.name for entry in there.parent.iterdir()] == [there.name]


async def test_a_cancelled_upload_is_gone_on_with(web: ShellTransport, tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "there"
    folder.mkdir()
    with source.open("wb") as file:
        file.truncate(300_000_000)
        file.seek(299_999_990)
        file.write(b"the end")
    running = asyncio.create_task(web.put(str(folder / "file"), source))
    await eventually(lambda: any(entry.stat().st_size for entry in folder.iterdir()))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (part,) = folder.iterdir()
    assert part.name != "file" and part.stat().st_mode & 0o7777 == 0o600
    arrived = part.stat().st_size
    assert 0 < arrived < 300_000_000

    steps: list[int] = []
    await web.put(str(folder / "file"), source, lambda sent, of: steps.append(sent))
    assert arrived < steps[0] <= arrived + (1 << 18) and steps[-1] == 300_000_000
    assert steps == sorted(steps)
    assert [entry.name for entry in folder.iterdir()] == ["file"]
    assert (folder / "file").read_bytes() == source.read_bytes()


async def test_what_an_upload_left_is_not_trusted(web: ShellTransport, tmp_path: Path) -> None:
    """Its beginning is of another content, or it is too long: sent anew, as a whole."""
    source, folder = tmp_path / "source", tmp_path / "there"
    folder.mkdir()
    source.write_bytes(os.urandom(1_000_000))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    part = folder / f".k3s-tui.{digest[:32]}.part"
    for left in (bytes(400_000), bytes(1_000_000), bytes(1_000_001)):
        part.write_bytes(left)
        await web.put(str(folder / "file"), source)
        assert (folder / "file").read_bytes() == source.read_bytes()
        assert [entry.name for entry in folder.iterdir()] == ["file"]
        (folder / "file").unlink()


async def test_a_file_that_cannot_be_read(web: ShellTransport, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"cannot read .*none: No such file"):
        await web.put(str(tmp_path / "file"), tmp_path / "none")


async def test_what_is_held_is_free_again_afterwards(web: ShellTransport, tmp_path: Path) -> None:
    lock = f"exec 9>>{tmp_path}/lock; flock -n 9 || {{ echo busy; exit 75; }}; echo held"
    async with web.hold(f"{lock}; exec cat >/dev/null") as first:
        assert first == "held"
        async with web.hold(f"{lock}; exec cat >/dev/null") as second:
            assert second == "busy"
    async with web.hold(f"{lock}; exec cat >/dev/null") as third:
        assert third == "held"


async def test_holding_a_script_that_does_not_read_ends_it_too(web: ShellTransport) -> None:
    mark = f"5{os.getpid()}.25"
    async with web.hold(f"echo held; sleep {mark}") as line:
        assert line == "held"
    await eventually(lambda: not marked(f"sleep\0{mark}"))


async def test_holding_a_script_that_says_nothing(web: ShellTransport) -> None:
    async with web.hold("exit 3") as line:
        assert line == ""


async def test_what_is_held_is_free_when_the_connection_dies(
    connect: Connect, sshd: Sshd, tmp_path: Path
) -> None:
    lock = f"exec 9>>{tmp_path}/lock; flock -n 9 || exit 75; echo held; exec cat >/dev/null"
    with running_sshd() as server:
        web = await connect(server)
        async with web.hold(lock) as first:
            assert first == "held"
            for pid in server.sessions():
                os.kill(pid, signal.SIGKILL)
            other = await connect(sshd)

            async def free() -> str:
                async with other.hold(lock) as line:
                    return line

            async with asyncio.timeout(10):
                while await free() != "held":
                    await asyncio.sleep(0.05)


async def test_a_peer_that_falls_silent_is_lost(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (ssh._DISCIPLINE["keepalive_interval"], ssh._DISCIPLINE["keepalive_count_max"]) == (
        2.5,
        3,
    )
    monkeypatch.setattr(ssh, "_DISCIPLINE", {**ssh._DISCIPLINE, "keepalive_interval": 0.6})
    with running_sshd() as server:
        web = await connect(server)
        said: list[str] = []
        running = asyncio.create_task(web.exec("echo begun >&2; sleep 60", on_line=said.append))
        await eventually(lambda: bool(said))
        for pid in server.sessions():
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Lost):
                await running
        finally:
            for pid in server.sessions():
                os.kill(pid, signal.SIGKILL)


async def test_the_facts_of_a_host_in_one_script(web: ShellTransport) -> None:
    before = time.time()
    result = await web.exec(facts_script(["127.0.0.1"], ["/var/lib/rancher"]))
    found = parse(result.out)
    offset = skew(before, time.time(), found)
    assert offset is not None and abs(offset[0]) <= offset[1]
    assert found.route_sources == {"127.0.0.1": "127.0.0.1"}
    assert (found.arch, list(found.disk_free_kib)) == (os.uname().machine, ["/var/lib/rancher"])
