from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.hosts.script import quote
from k3s_tui.resources.block import Block, BlockState
from tests.unit.hands import LocalHands

BODY = "10.0.0.1 pg\n10.0.0.2 lb\n"
BLOCK = f"# BEGIN k3s-tui\n{BODY}# END k3s-tui\n"
HOSTS = "127.0.0.1 localhost\n::1 localhost ip6\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BLOCK),
        (HOSTS, BLOCK + HOSTS),
        (BLOCK + HOSTS, BLOCK + HOSTS),
        (HOSTS + BLOCK, BLOCK + HOSTS),
        (BLOCK + HOSTS + BLOCK, BLOCK + HOSTS),
        ("# BEGIN k3s-tui\n1.1.1.1 old\n# END k3s-tui\n" + HOSTS, BLOCK + HOSTS),
        ("# BEGIN k3s-tui\r\n1.1.1.1 old\r\n# END k3s-tui \r\n" + HOSTS, BLOCK + HOSTS),
        # Halves: what we would write ourselves goes, what might be theirs stays.
        ("# BEGIN k3s-tui\n10.0.0.1 pg\n9.9.9.9 theirs\n", BLOCK + "9.9.9.9 theirs\n"),
        ("9.9.9.9 theirs\n10.0.0.2 lb\n# END k3s-tui\n", BLOCK + "9.9.9.9 theirs\n"),
        ("# BEGIN k3s-tui\n10.0.0.1 pg\n" + BLOCK + HOSTS, BLOCK + HOSTS),
        ("# BEGIN k3s-tui\n", BLOCK),
        ("# END k3s-tui\n" + HOSTS, BLOCK + HOSTS),
        # Somebody else's markers, and ours of another name.
        ("# BEGIN other\nx\n# END other\n", BLOCK + "# BEGIN other\nx\n# END other\n"),
        ("no line end", BLOCK + "no line end"),
        ("crlf\r\n\n\n\tx \n", BLOCK + "crlf\r\n\n\n\tx \n"),
    ],
)
def test_the_block_and_the_rest(before: str, after: str) -> None:
    assert Block("/etc/hosts", BODY).within(before.encode()) == after.encode()


def test_at_the_bottom() -> None:
    block = Block("/etc/hosts", BODY, at="bottom")
    assert block.within(HOSTS.encode()) == (HOSTS + BLOCK).encode()
    assert block.within(b"no line end") == f"no line end\n{BLOCK}".encode()
    assert block.within(b"") == BLOCK.encode()


def test_no_body_is_no_block() -> None:
    assert Block("/etc/hosts", "").within((BLOCK + HOSTS).encode()) == HOSTS.encode()
    assert Block("/etc/hosts", "").diff(BlockState(HOSTS.encode())) is None


def test_a_body_cannot_hold_markers() -> None:
    with pytest.raises(ValueError, match="marker"):
        Block("/etc/hosts", "x\n# END k3s-tui\n")


@given(
    st.lists(
        st.sampled_from([b"a\n", b"\n", b"\xff\r\n", b"# BEGIN k3s-tui\n", b"# END k3s-tui\n"])
    ),
    st.sampled_from(["top", "bottom"]),
)
def test_writing_twice_is_writing_once(lines: list[bytes], at: str) -> None:
    block = Block("/f", BODY, at="top" if at == "top" else "bottom")
    once = block.within(b"".join(lines))
    assert block.within(once) == once
    assert once.count(b"# BEGIN k3s-tui\n") == 1


@given(st.binary().filter(lambda content: b"k3s-tui" not in content))
def test_the_rest_stays_byte_for_byte(content: bytes) -> None:
    with_block = Block("/f", BODY).within(content)
    assert with_block.endswith(content)
    assert Block("/f", "").within(with_block) == content


async def test_it_is_written_and_the_original_is_kept(hands: LocalHands, root: Path) -> None:
    path = root / "hosts"
    path.write_text(HOSTS)
    path.chmod(0o604)
    if os.getuid() == 0:
        os.chown(path, 1, 2)
    change = await hands.settle(Block(str(path), BODY))
    assert change.summary == f"write the k3s-tui block in {path}"
    assert "+10.0.0.1 pg" in change.diff
    assert path.read_text() == BLOCK + HOSTS
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o604
    if os.getuid() == 0:
        assert (status.st_uid, status.st_gid) == (1, 2)
    original = root / "hosts.k3s-tui.orig"
    assert original.read_text() == HOSTS
    # A second change keeps the first original, and nothing else is left lying about.
    await hands.settle(Block(str(path), "1.1.1.1 x"))
    assert original.read_text() == HOSTS
    original.unlink()
    await hands.settle(Block(str(path), BODY))
    assert sorted(p.name for p in root.iterdir()) == ["hosts"]


async def test_a_missing_file_is_a_problem(hands: LocalHands, root: Path) -> None:
    block = Block(str(root / "none"), BODY)
    assert isinstance(block.diff(await hands.look(block)), Problem)


async def test_an_empty_file_is_not_a_missing_one(hands: LocalHands, root: Path) -> None:
    (root / "empty").write_text("")
    await hands.settle(Block(str(root / "empty"), BODY))
    assert (root / "empty").read_text() == BLOCK


async def test_a_link_is_followed(hands: LocalHands, root: Path) -> None:
    (root / "real").write_text(HOSTS)
    (root / "hosts").symlink_to("real")
    await hands.settle(Block(str(root / "hosts"), BODY))
    assert (root / "hosts").is_symlink()
    assert (root / "real").read_text() == BLOCK + HOSTS


async def test_somebody_else_s_edit_is_not_lost(hands: LocalHands, root: Path) -> None:
    path = root / "hosts"
    path.write_text(HOSTS)
    # The edit comes after our reading and before our writing.
    edit = f"echo '9.9.9.9 new' >>{quote(str(path))}"
    hands.tool("readlink", f'{edit}\nexec /usr/bin/readlink "$@"')
    block = Block(str(path), BODY)
    with pytest.raises(StepFailed, match="changed by somebody else"):
        await block.apply(hands, Change(""))
    assert path.read_text() == HOSTS + "9.9.9.9 new\n"
    assert [p.name for p in root.iterdir()] == ["hosts"]


@pytest.mark.skipif(os.getuid() != 0, reason="mounts, as only root can")
async def test_a_file_that_is_a_mount_point(hands: LocalHands, root: Path) -> None:
    path, other = root / "hosts", root / "other"
    path.write_text("")
    other.write_text(HOSTS)
    subprocess.run(["mount", "--bind", other, path], check=True)
    try:
        await hands.settle(Block(str(path), BODY))
    finally:
        subprocess.run(["umount", path], check=True)
    assert other.read_text() == BLOCK + HOSTS
    assert path.read_text() == ""


async def test_a_rename_that_fails_otherwise_is_a_failure(hands: LocalHands, root: Path) -> None:
    path = root / "hosts"
    path.write_text(HOSTS)
    hands.tool("mv", "exit 1")
    block = Block(str(path), BODY)
    (root / "hosts.k3s-tui.orig").write_text("")
    with pytest.raises(StepFailed, match="cannot write"):
        await block.apply(hands, Change(""))
    assert path.read_text() == HOSTS
    assert sorted(p.name for p in root.iterdir()) == ["hosts", "hosts.k3s-tui.orig"]
