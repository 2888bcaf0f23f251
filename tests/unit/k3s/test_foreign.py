"""What others have left on a node, and what they must not have set."""

from __future__ import annotations

from pathlib import Path

import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.foreign import ForeignState, NoForeignK3s
from k3s_tui.resources.k3s.service import MARK
from tests.unit.hands import LocalHands
from tests.unit.shells import SHELLS

D = config.SECRETS.rpartition("/")[0]
OURS = config.agent_secrets(Secret("x")).reveal()


@pytest.fixture(params=SHELLS)
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> LocalHands:
    return LocalHands(request.param, tmp_path / "tools")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "it's a $root"


def write(root: Path, path: str, text: str = "") -> None:
    at = Path(f"{root}{path}")
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(text)


async def judged(hands: LocalHands, root: Path) -> str:
    check = NoForeignK3s(str(root))
    found = check.diff(await hands.look(check))
    assert found is None or isinstance(found, Problem)
    return f"{found.text} — {found.hint}".replace(str(root), "") if found else ""


async def test_a_bare_host(hands: LocalHands, root: Path) -> None:
    assert await hands.look(NoForeignK3s(str(root))) == ForeignState()


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/rancher/k3s/server/token",
        "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
        "/etc/systemd/system/k3s.service",
        "/etc/systemd/system/k3s-agent.service",
        "/usr/lib/systemd/system/k3s.service",
    ],
)
async def test_a_k3s_of_somebody_else(hands: LocalHands, root: Path, path: str) -> None:
    write(root, path)
    assert f"did not install: {path}" in await judged(hands, root)
    write(root, MARK)
    assert not await judged(hands, root)


async def test_a_masked_unit(hands: LocalHands, root: Path) -> None:
    unit = Path(f"{root}/etc/systemd/system/k3s.service")
    unit.parent.mkdir(parents=True)
    unit.symlink_to("/nowhere")
    assert "did not install" in await judged(hands, root)


@pytest.mark.parametrize("path", [config.CONFIG, config.SECRETS])
async def test_a_configuration_that_would_be_lost(hands: LocalHands, root: Path, path: str) -> None:
    write(root, path, "flannel-backend: none\n")
    told = await judged(hands, root)
    assert f"of somebody else: {path}" in told
    # Ours, from a run that was cut off before it left its mark; and drift on ours.
    write(root, path, OURS)
    assert not await judged(hands, root)
    write(root, path, "token: changed by hand\n")
    write(root, MARK)
    assert not await judged(hands, root)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("99-own.yaml", "token: s3cret-value\n", "99-own.yaml sets token"),
        ("99-own.YML", "node-label+: [a=b]\n", "99-own.YML sets node-label+"),
        (".hidden.yaml", "datastore-endpoint: s3cret-value\n", ".hidden.yaml sets datastore-end"),
        ("it's.yaml", "'odd key': 1\n'--server': x\n", "it's.yaml sets --server"),
        ("99.yaml", "disable: [traefik]\nprotect-kernel-defaults: true\n", ""),
        ("99.yaml", "", ""),
        ("99.yaml.bak", "token: x\n", ""),
        ("99.yaml", "- token\n", "99.yaml is not YAML with options"),
        ("99.yaml", "token: [s3cret-value\n", "99.yaml is not YAML with options"),
    ],
)
@pytest.mark.parametrize("mark", [True, False])
async def test_files_beside_ours(
    hands: LocalHands, root: Path, name: str, text: str, told: str, mark: bool
) -> None:
    write(root, f"{D}/{name}", text)
    write(root, config.SECRETS, OURS)
    if mark:
        write(root, MARK)
    found = await judged(hands, root)
    assert told in found if told else not found
    assert "s3cret" not in found
    state = await hands.look(NoForeignK3s(str(root)))
    assert "s3cret" not in repr(state)


async def test_where_to_set_it_is_said(hands: LocalHands, root: Path) -> None:
    write(root, f"{D}/a.yaml", "tls-san: [x]\n")
    assert await judged(hands, root) == (
        f"another file sets what k3s-tui sets: {D}/a.yaml sets tls-san — "
        "remove it there. For tls-san: set k3s.tls-san"
    )
