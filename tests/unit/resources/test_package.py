from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change
from k3s_tui.core.errors import StepFailed
from k3s_tui.families.debian import DEBIAN
from k3s_tui.hosts.script import quote
from k3s_tui.resources.package import Packages, PackagesState, UnitState
from tests.unit.hands import LocalHands
from tests.unit.resources.systemctl import Systemctl

NGINX = "nginx.service"


class Host:
    """Packages as files in a folder; installing nginx brings a unit, which starts when it can."""

    def __init__(self, hands: LocalHands, root: Path, tmp_path: Path) -> None:
        self.systemd = Systemctl(hands, tmp_path / "systemd")
        self.state = root / "state"
        self.installed = tmp_path / "packages"
        self.installed.mkdir()
        self._units = tmp_path / "systemd"
        folder, units = quote(str(self.installed)), quote(str(self._units))
        self.family = replace(
            DEBIAN,
            installed=f'for p; do [ ! -e {folder}/"$p" ] || echo "$p"; done',
            install=f"""\
umask >{folder}/../umask
for p; do
    [ "$p" != nginx ] || {{
        : >{units}/{NGINX}.known; echo enabled >{units}/{NGINX}.enabled
        systemctl start {NGINX}
    }}
    case $p in missing) return 100 ;; deadly) kill -9 $$ ;; esac
    : >{folder}/"$p"
done
""",
        )

    def packages(self, *names: str) -> Packages:
        return Packages(names, self.family, (NGINX,), str(self.state))

    def put(self, name: str) -> None:
        (self.installed / name).write_text("")

    def marks(self, kind: str = "installed") -> list[str]:
        return sorted(path.name for path in (self.state / kind).glob("*"))


@pytest.fixture
def host(hands: LocalHands, root: Path, tmp_path: Path) -> Host:
    return Host(hands, root, tmp_path)


async def test_what_is_missing_is_named_and_installed(
    hands: LocalHands, host: Host, tmp_path: Path
) -> None:
    host.put("curl")
    packages = replace(host.packages("curl", "openssl"), quiet_units=())
    change = await hands.settle(packages)
    assert change.summary == "install openssl"
    assert hands.jobs == ["install-curl-openssl"]
    assert host.marks() == ["openssl"]
    # Packages' own scripts get the umask that they expect.
    assert (tmp_path / "umask").read_text().strip() in ("0022", "022")
    assert packages.diff(await hands.look(packages)) is None


async def test_a_service_that_came_along_never_runs(hands: LocalHands, host: Host) -> None:
    change = await hands.settle(host.packages("nginx", "libnginx-mod-stream"))
    assert change.summary == "install nginx, libnginx-mod-stream; disable nginx.service"
    assert host.systemd.read(f"{NGINX}.enabled") == "disabled"
    log = host.systemd.log
    assert log.index(f"mask {NGINX}") < log.index(f"start {NGINX}") < log.index(f"unmask {NGINX}")
    # Its start found it masked: not even for a moment did it take its port.
    assert host.systemd.read(f"{NGINX}.active") == "inactive"
    assert host.marks("quiet") == [NGINX]


async def test_a_service_that_was_there_goes_on(hands: LocalHands, host: Host) -> None:
    host.put("nginx")
    host.systemd.unit(NGINX)
    change = await hands.settle(host.packages("nginx", "libnginx-mod-stream"))
    assert change.summary == "install libnginx-mod-stream"
    assert host.systemd.log == []
    assert (host.marks(), host.marks("quiet")) == (["libnginx-mod-stream"], [])


async def test_one_that_is_ours_and_runs_again_is_quieted_again(
    hands: LocalHands, host: Host
) -> None:
    await hands.settle(host.packages("nginx"))
    assert host.systemd.log
    host.systemd.unit(NGINX)
    change = await hands.settle(host.packages("nginx"))
    assert change.summary == "disable nginx.service"
    assert host.systemd.log == [f"unmask {NGINX}", f"disable {NGINX} --now"]


async def test_a_failed_installation_leaves_no_claim(hands: LocalHands, host: Host) -> None:
    packages = host.packages("curl", "missing")
    with pytest.raises(StepFailed) as caught:
        await packages.apply(hands, Change(""))
    assert caught.value.status == 100
    assert (host.marks(), host.marks("quiet")) == (["curl"], [])
    assert not any(line.startswith("start") for line in host.systemd.log)


async def test_a_killed_installation_is_known_to_be_ours(hands: LocalHands, host: Host) -> None:
    packages = host.packages("nginx", "deadly")
    with pytest.raises(StepFailed):
        await packages.apply(hands, Change(""))
    state = await hands.look(packages)
    assert state.ours == {"nginx", "deadly"}
    host.put("nginx")
    host.put("deadly")
    # What was left masked is not quiet: a mask at run time is gone after a reboot.
    change = await hands.settle(packages)
    assert change.summary == "disable nginx.service"


async def test_what_is_ours_is_on_the_disk_before_it_is_there(
    hands: LocalHands, host: Host, tmp_path: Path
) -> None:
    """After a power cut a service that came along would otherwise be taken for somebody's."""
    log = tmp_path / "synced"
    state, packages = quote(str(host.state)), quote(str(host.installed))
    hands.tool("sync", f"{{ ls {packages}; cd {state}; ls installed quiet; }} >{log}\n")
    await hands.settle(host.packages("nginx"))
    assert log.read_text() == f"installed:\nnginx\n\nquiet:\n{NGINX}\n"


async def test_the_job_is_the_same_while_packages_come_in(hands: LocalHands, host: Host) -> None:
    packages = host.packages("nginx", "curl")
    await packages.apply(hands, Change(""))
    host.put("curl")
    await packages.apply(hands, Change(""))
    assert len(set(hands.jobs)) == 1
    assert hands.scripts[-1] == hands.scripts[-2]


@pytest.mark.parametrize("name", ["a b", "$(id)", "-y", "", "a;b"])
def test_names_are_names(name: str) -> None:
    with pytest.raises(ValueError, match="neither a package"):
        Packages((name,), DEBIAN)


@pytest.mark.parametrize(
    ("out", "state"),
    [
        (b"", PackagesState(frozenset(), frozenset())),
        (
            b"installed a\ninstalled b\nours b\n",
            PackagesState(frozenset({"a", "b"}), frozenset({"b"})),
        ),
        (
            b"unit x.service ours LoadState=loaded ActiveState=active UnitFileState=enabled\n",
            PackagesState(frozenset(), frozenset(), (UnitState("x.service", True, True, False),)),
        ),
        (
            b"unit x.service theirs LoadState=not-found ActiveState=inactive UnitFileState=\n",
            PackagesState(frozenset(), frozenset(), (UnitState("x.service", False, False, True),)),
        ),
        (  # a host without systemd
            b"unit x.service theirs\n",
            PackagesState(frozenset(), frozenset(), (UnitState("x.service", False, False, True),)),
        ),
    ],
)
def test_what_a_host_prints(out: bytes, state: PackagesState) -> None:
    assert Packages(("a", "b"), DEBIAN).probe().parse(out) == state


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="asks a real Debian")
async def test_this_machine(hands: LocalHands, root: Path) -> None:
    packages = Packages(("dpkg", "no-such-package"), DEBIAN, state_folder=str(root))
    state = await hands.look(packages)
    assert state.installed == {"dpkg"}
    change = packages.diff(state)
    assert isinstance(change, Change)
    assert change.summary == "install no-such-package"
    assert not list(root.iterdir())
