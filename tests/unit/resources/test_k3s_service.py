"""K3s's units: installed once and whole, and judged by the files that they run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.resources.file import File
from k3s_tui.resources.k3s.service import (
    MARK,
    SCRIPT_PATH,
    UNFINISHED,
    K3sService,
    agent_service,
    server_service,
)
from k3s_tui.resources.service import Service
from tests.unit.hands import ME, LocalHands
from tests.unit.resources.systemctl import Systemctl

# As K3s's own does: each file written in place, the unit last, its start at its end.
_INSTALL = """\
#!/bin/sh
name=k3s
[ "$1" = server ] || name=k3s-$1
echo "script $1, told $(env | grep -c -e K3S_ -e TOKEN)" >>{log}
rm -f {units}/$name.service
{before}
printf '[Unit]\\nDescription=K3s\\n[Service]\\nExecStart=/usr/local/bin/k3s \\\\\\n    %s\\n' \
    "$1" >{units}/$name.service
{after}
"""

_START = """\
grep -q ^ExecStart= {unit} && ! grep -q refused {config} || exit 1
port=$(sed -n 's/^https-listen-port: //p' {config})
echo "https://127.0.0.1:${{port:-6443}}/ping" >{answers}
"""


class Node:
    """A host whose folders are below one of the test's; its K3s answers where it was told to."""

    def __init__(self, hands: LocalHands, folder: Path, role: str = "server") -> None:
        self.folder, self.role = folder, role
        folder.mkdir()
        self.name = "k3s.service" if role == "server" else "k3s-agent.service"
        self.systemd = Systemctl(hands, folder / "systemd")
        self.unit = self.path(f"/etc/systemd/system/{self.name}")
        self.config = self.path("/etc/rancher/k3s/config.yaml")
        self._log = folder / "log"
        answers = folder / "answers"
        for path in (self.unit, self.path(MARK)):
            path.parent.mkdir(parents=True)
        marks = f"{self.path(MARK)} {self.path(UNFINISHED)}"
        hands.tool("sync", f"echo sync $#, marks $(ls {marks} 2>/dev/null | wc -l) >>{self._log}\n")
        hands.tool("curl", f'for url; do :; done; grep -qxF "$url" {answers} && echo pong\n')
        self.systemd.put(
            f"{self.name}.start",
            _START.format(unit=self.unit, config=self.config, answers=answers),
        )
        self.install()

    def path(self, path: str) -> Path:
        return self.folder / path.removeprefix("/")

    def install(self, before: str = "", after: str = "") -> None:
        """What the install script is from now on."""
        self.path(SCRIPT_PATH).write_text(
            _INSTALL.format(
                log=self._log,
                units=self.unit.parent,
                before=before,
                after=after,
            )
        )

    def service(self, config: str = "node-name: x\n") -> Service:
        make: Callable[..., K3sService] = server_service if self.role == "server" else agent_service
        made = make(config, Secret("token: x\n"), inputs=("binary",)).service
        return replace(
            made,
            files=tuple(
                File(str(self.path(file.path)), file.content, file.mode, ME) for file in made.files
            ),
            installed=self._moved(made.installed),
            activate=self._moved(made.activate),
            ready=self._moved(made.ready),
            ready_seconds=0,
            follow_journal=False,
            state_folder=str(self.path("/var/lib/k3s-tui")),
        )

    def _moved(self, text: str) -> str:
        for path in ("/etc/", "/var/lib/k3s-tui"):
            text = text.replace(path, str(self.folder) + path)
        return text

    @property
    def ran(self) -> list[str]:
        """The script and how many options it was told; just before and after it, whole disks synced
        and how many marks there were.  Since the last time.
        """
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        told = [line for line in lines if line.startswith(("script", "sync 0"))]
        first = next((at for at, line in enumerate(told) if line.startswith("script")), None)
        return [] if first is None else told[first - 1 :]

    def power_off(self) -> None:
        self.systemd.put(f"{self.name}.active", "inactive")


def installation(node: Node) -> list[str]:
    """The marks are on the disk before the script begins, what it wrote before one of them goes."""
    return ["sync 0, marks 2", f"script {node.role}, told 2", "sync 0, marks 2"]


@pytest.fixture(params=["server", "agent"])
def node(request: pytest.FixtureRequest, hands: LocalHands, tmp_path: Path) -> Node:
    return Node(hands, tmp_path / "node", request.param)


@pytest.fixture
def server(hands: LocalHands, tmp_path: Path) -> Node:
    return Node(hands, tmp_path / "node")


async def test_it_is_installed_once(hands: LocalHands, node: Node) -> None:
    first = await hands.settle(node.service())
    assert first.summary.endswith(", install, start, enable")
    assert node.ran == installation(node)
    assert node.path(MARK).exists() and not node.path(UNFINISHED).exists()
    change = await hands.settle(node.service("node-name: y\n"))
    assert change.summary == f"{node.name}: write {node.config}, restart"
    assert node.ran == []


@pytest.mark.parametrize(
    "left",
    [b"", b"\0" * 300, b"[Unit]\nDescription=K3s\n[Service]\nExecStart=", None],
    ids=["empty", "zeroes", "torn", "none"],
)
@pytest.mark.parametrize("earlier", [False, True], ids=["", "of an earlier version"])
async def test_a_unit_that_a_power_cut_left_is_installed_anew(
    hands: LocalHands, node: Node, left: bytes | None, earlier: bool
) -> None:
    service = node.service()
    node.install(after="kill -9 0")
    with pytest.raises(StepFailed):
        await service.apply(hands, Change(""))
    assert (node.path(MARK).exists(), node.path(UNFINISHED).exists()) == (True, True)
    node.power_off()
    if earlier:
        node.path(UNFINISHED).unlink()
    node.unit.unlink()
    if left is not None:
        node.unit.write_bytes(left)
    assert node.ran
    node.install()
    change = await hands.settle(service)
    assert change.summary == f"{node.name}: install, start, enable"
    assert node.ran == installation(node)
    assert "ExecStart=/usr/local/bin/k3s" in node.unit.read_text()


async def test_a_script_that_did_not_end_is_run_again_even_if_its_unit_is_whole(
    hands: LocalHands, node: Node
) -> None:
    node.install(after="kill -9 0")
    with pytest.raises(StepFailed):
        await node.service().apply(hands, Change(""))
    assert node.ran and "ExecStart=" in node.unit.read_text()
    node.install(after="exit 1")
    with pytest.raises(StepFailed, match="it cannot be activated"):
        await node.service().apply(hands, Change(""))
    node.install()
    assert node.ran
    assert "install" in (await hands.settle(node.service())).summary
    assert node.ran


async def test_a_unit_that_is_lost_while_k3s_runs_is_installed_anew(
    hands: LocalHands, node: Node
) -> None:
    await hands.settle(node.service())
    node.unit.write_bytes(b"")
    assert (await hands.settle(node.service())).summary == f"{node.name}: install, restart"


async def test_what_an_earlier_version_installed_is_left_alone(
    hands: LocalHands, node: Node
) -> None:
    """It knew one mark, and no file that says that the script has ended."""
    await hands.settle(node.service())
    told = sorted(path.name for path in node.path(SCRIPT_PATH).parent.rglob("*") if path.is_file())
    assert told == sorted(["install.sh", "k3s", node.name, f"{node.name}.lock"])
    assert node.service().diff(await hands.look(node.service())) is None


async def test_a_script_that_leaves_no_unit(hands: LocalHands, node: Node) -> None:
    node.install(before="exit 0")
    with pytest.raises(StepFailed, match="it cannot be activated") as caught:
        await node.service().apply(hands, Change(""))
    assert f"no unit that starts anything: {node.unit}" in caught.value.tail
    assert node.path(MARK).exists()


async def test_a_port_that_is_refused_is_taken_back(hands: LocalHands, server: Node) -> None:
    """The K3s of before answers on the port of before."""
    await hands.settle(server.service())
    new = server.service("https-listen-port: 7443\nnode-name: refused\n")
    with pytest.raises(StepFailed, match=r"the files of before are back, and it runs on them$"):
        await new.apply(hands, Change(""))
    assert server.service().diff(await hands.look(server.service())) is None
    # And a port of its own is asked of that one.
    await hands.settle(server.service("https-listen-port: 7443\nnode-name: x\n"))
    with pytest.raises(StepFailed, match=r"the files of before are back, and it runs on them$"):
        await server.service("node-name: refused\n").apply(hands, Change(""))


async def test_one_that_answers_nowhere_is_not_ready(hands: LocalHands, server: Node) -> None:
    hands.tool("curl", "exit 7\n")
    with pytest.raises(StepFailed, match="it is not ready within 0 s"):
        await server.service().apply(hands, Change(""))
