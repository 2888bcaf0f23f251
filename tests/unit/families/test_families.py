from __future__ import annotations

from pathlib import Path

import pytest

from k3s_tui.core.errors import Refused
from k3s_tui.families import FAMILIES, Family, family_of
from k3s_tui.families.alpine import ALPINE
from k3s_tui.families.arch import ARCH
from k3s_tui.families.debian import DEBIAN
from k3s_tui.families.rhel import RHEL
from k3s_tui.families.suse import SUSE
from k3s_tui.hosts.script import quote
from tests.unit.shells import SHELLS, run


@pytest.mark.parametrize(
    ("os_id", "os_like", "family"),
    [
        ("debian", "", DEBIAN),
        ("ubuntu", "debian", DEBIAN),
        ("raspbian", "debian", DEBIAN),
        ("linuxmint", "ubuntu debian", DEBIAN),
        ("sles", "suse", SUSE),
        ("opensuse-leap", "suse opensuse", SUSE),
        ("opensuse-tumbleweed", "opensuse suse", SUSE),
        ("rocky", "rhel centos fedora", RHEL),
        ("fedora", "", RHEL),
        ("ol", "fedora", RHEL),
        ("alpine", "", ALPINE),
        ("arch", "", ARCH),
        ("endeavouros", "arch", ARCH),
    ],
)
def test_a_host_has_a_family(os_id: str, os_like: str, family: Family) -> None:
    assert family_of(os_id, os_like) is family


@pytest.mark.parametrize(("os_id", "os_like"), [("plan9", ""), ("", ""), ("nixos", "unknown")])
def test_an_unknown_distribution_is_refused(os_id: str, os_like: str) -> None:
    with pytest.raises(Refused) as caught:
        family_of(os_id, os_like)
    assert "Debian, SUSE, RHEL, Alpine, Arch" in caught.value.hint


def test_no_two_families_claim_a_distribution() -> None:
    ids = [word for family in FAMILIES for word in family.ids]
    assert len(ids) == len(set(ids))


def test_packages_for_roles() -> None:
    assert DEBIAN.packages_for("nginx", "download", "nginx") == (
        "nginx",
        "libnginx-mod-stream",
        "curl",
        "ca-certificates",
    )
    with pytest.raises(Refused, match="postgresql on Alpine"):
        ALPINE.packages_for("postgresql")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_an_operator_types_what_the_family_runs(family: Family) -> None:
    tool, verb = family.by_hand.split()
    assert tool in family.install.replace("\n", " ").split()
    assert verb in family.install.split()


class Tools:
    """Package managers of the test's own; each writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"

    def tool(self, name: str, script: str = "") -> None:
        file = self._folder / name
        words = f'echo "{name} $*" >>{quote(str(self._log))}\n'
        file.write_text(f"#!/bin/sh\n{words}{script}")
        file.chmod(0o755)

    def run(self, shell: str, body: str, *names: str) -> tuple[int, list[str]]:
        """Status and printed lines of one of a family's functions."""
        script = f"PATH={self._folder}:$PATH\nf() {{\n{body}\n}}\nf {' '.join(names)}\n"
        done = run(shell, script)
        return done.returncode, done.stdout.decode().splitlines()

    @property
    def calls(self) -> list[str]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


APT = (
    "apt-get -y -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"
    " -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
)
ADD = f"{APT} --no-install-recommends --no-upgrade install a b"
ASK = ["apt-cache show a", "apt-cache show b"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("cache", "apt", "status", "calls"),
    [
        # Lists that know the packages are used as they are.
        ("", "", 0, [*ASK, ADD]),
        # Lists that are empty, or know only one of them, are fetched first.
        ("exit 1", "", 0, [ASK[0], f"{APT} update", ADD]),
        ('[ "$2" != b ]', "", 0, [*ASK, f"{APT} update", ADD]),
        # A mirror that has replaced a file: once more, and not for ever.
        (
            "",
            "case $* in *install*) exit 100;; esac",
            100,
            [*ASK, ADD, "dpkg --configure -a", f"{APT} update", ADD],
        ),
        # A repository that does not answer is no reason to give up the others.
        ("exit 1", "case $* in *update*) exit 100;; esac", 0, [ASK[0], f"{APT} update", ADD]),
    ],
)
def test_debian_installs(
    shell: str, tools: Tools, cache: str, apt: str, status: int, calls: list[str]
) -> None:
    tools.tool("apt-cache", cache)
    tools.tool("apt-get", f'[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 9\n{apt}')
    tools.tool("dpkg")
    assert tools.run(shell, DEBIAN.install, "a", "b")[0] == status
    assert tools.calls == calls


@pytest.mark.parametrize("shell", SHELLS)
def test_debian_knows_what_is_installed(shell: str, tools: Tools) -> None:
    answer = "installed a\\nconfig-files b\\nhalf-configured c\\ninstalled d\\n"
    tools.tool("dpkg-query", f"printf '{answer}'; exit 1")
    assert tools.run(shell, DEBIAN.installed, "a", "b", "c", "d", "e")[1] == ["a", "d"]


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="asks a real Debian")
@pytest.mark.parametrize("shell", SHELLS)
def test_debian_asks_the_real_dpkg(shell: str, tools: Tools) -> None:
    assert tools.run(shell, DEBIAN.installed, "dpkg", "no-such-package")[1] == ["dpkg"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("clusters", "unit"),
    [
        ("", []),
        ("15 main 5432 online postgres /d /l", ["postgresql@15-main.service"]),
        (
            "9.6 main 5433 down postgres /d /l\\n15 main 5432 online postgres /d /l",
            ["postgresql@15-main.service"],
        ),
    ],
)
def test_debian_finds_the_cluster_s_unit(
    shell: str, tools: Tools, clusters: str, unit: list[str]
) -> None:
    tools.tool("pg_lsclusters", f"printf '{clusters}\\n'" if clusters else "")
    assert tools.run(shell, DEBIAN.postgres.unit)[1] == unit
    tools.tool("pg_createcluster")
    assert tools.calls
    tools.run(shell, DEBIAN.postgres.initdb)
    made = any(call.startswith("pg_createcluster") for call in tools.calls)
    assert made == (not clusters)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("family", "tool", "call"),
    [
        (SUSE, "zypper", "zypper -n install --no-recommends a b"),
        (RHEL, "dnf", "dnf -y install --setopt=install_weak_deps=False a b"),
        (ALPINE, "apk", "apk --wait 300 add a b"),
        (ARCH, "pacman", "pacman -S --needed --noconfirm a b"),
    ],
)
def test_others_install(shell: str, tools: Tools, family: Family, tool: str, call: str) -> None:
    tools.tool(tool)
    assert tools.run(shell, family.install, "a", "b")[0] == 0
    assert tools.calls == [call]
    tools.tool(tool, "exit 7")
    assert tools.run(shell, family.install, "a", "b")[0] != 0


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("status", "result"), [(102, 0), (103, 0), (106, 0), (7, 7), (104, 104)])
def test_zypper_s_statuses(shell: str, tools: Tools, status: int, result: int) -> None:
    tools.tool("zypper", f'[ "$ZYPP_LOCK_TIMEOUT" = 300 ] || exit 1\nexit {status}')
    assert tools.run(shell, SUSE.install, "a")[0] == result


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("family", "tool", "answer"),
    [
        (SUSE, "rpm", 'echo "$3-1.0"; [ "$3" = a ]'),
        (RHEL, "rpm", 'echo "$3-1.0"; [ "$3" = a ]'),
        (ALPINE, "apk", '[ "$3" = a ] && echo a'),
        (ARCH, "pacman", '[ "$2" = a ] || { echo "$2"; exit 127; }'),
    ],
)
def test_others_know_what_is_installed(
    shell: str, tools: Tools, family: Family, tool: str, answer: str
) -> None:
    tools.tool(tool, answer)
    assert tools.run(shell, family.installed, "a", "b")[1] == ["a"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_text_is_sh(shell: str, family: Family) -> None:
    for text in (family.installed, family.install, family.postgres.unit, family.postgres.initdb):
        done = run(shell, f"f() {{\n:\n{text}\n}}\necho parsed")
        assert done.stdout == b"parsed\n", done.stderr


def test_this_machine_has_a_family() -> None:
    """The family of the machine that the tests run on, from the file that hosts have."""
    if not Path("/etc/os-release").exists():
        pytest.skip("no os-release here")
    lines = Path("/etc/os-release").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    family = family_of(told["ID"].strip('"'), told.get("ID_LIKE", "").strip('"'))
    assert family in FAMILIES
