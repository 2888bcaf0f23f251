from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.resources.file import File, FileState
from tests.unit.hands import ME, LocalHands


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


async def test_a_file_is_made_with_its_folders(hands: LocalHands, root: Path) -> None:
    path = root / "a/b/it's.conf"
    change = await hands.settle(File(str(path), "x: 1\n\té\n", "0640", ME, folder_mode="0750"))
    assert change.summary == f"create {path}"
    assert change.diff.endswith("@@ -0,0 +1,2 @@\n+x: 1\n+\té\n")
    assert path.read_text() == "x: 1\n\té\n"
    assert [mode(p) for p in (path, path.parent, path.parent.parent)] == [0o640, 0o750, 0o750]
    assert list(path.parent.iterdir()) == [path]


async def test_only_the_difference_is_shown(hands: LocalHands, root: Path) -> None:
    path = root / "file"
    path.write_text("one\ntwo")
    path.chmod(0o644)
    change = await hands.settle(File(str(path), "one\nthree\n", "0644", ME))
    assert change.summary == f"write {path}"
    assert change.diff.splitlines()[3:] == [
        " one",
        "-two",
        "\\ no newline at the end",
        "+three",
    ]


async def test_what_a_host_holds_cannot_reach_the_terminal(hands: LocalHands, root: Path) -> None:
    path = root / "file"
    path.write_bytes(b"one\x0ctwo\x1b]52;c;AAAA\x07\r\n\xff\n")
    change = await hands.settle(File(str(path), "x\n", "0644", ME))
    assert change.diff.splitlines()[3:] == [
        "-one\\x0ctwo\\x1b]52;c;AAAA\\x07\\x0d",
        "-\ufffd",
        "+x",
    ]


async def test_bytes_that_are_no_text_are_placed_as_they_are(hands: LocalHands, root: Path) -> None:
    raw = b"# Gr\xf6\xdfe\r\n\xe2\x82"
    path = root / "file"
    file = File(str(path), raw.decode(errors="surrogateescape"), "0644", ME)
    change = await hands.settle(file)
    assert path.read_bytes() == raw
    assert change.diff.encode()  # what is shown can be written anywhere
    assert file.diff(await hands.look(file)) is None


async def test_a_right_file_is_left_alone(hands: LocalHands, root: Path) -> None:
    file = File(str(root / "file"), "text", "0644", ME)
    await hands.settle(file)
    before = (root / "file").stat()
    assert file.diff(await hands.look(file)) is None
    assert (root / "file").stat() == before


async def test_mode_alone(hands: LocalHands, root: Path) -> None:
    path = root / "file"
    path.write_text("x")
    path.chmod(0o4755)
    change = await hands.settle(File(str(path), "x", "0600", ME))
    assert change.summary == f"set mode 4755 → 0600 of {path}"
    assert change.diff == ""


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file away, as only root can")
async def test_owner_by_name_or_by_number(hands: LocalHands, root: Path) -> None:
    path = root / "file"
    path.write_text("x")
    os.chown(path, 1, 1)
    change = await hands.settle(File(str(path), "x", "0644", "root:root"))
    assert "owner daemon:daemon → root:root" in change.summary
    for owner in ("0:0", "root:0", "root:root"):
        same = File(str(path), "x", "0644", owner)
        assert same.diff(await hands.look(same)) is None


async def test_a_secret_never_shows(hands: LocalHands, root: Path) -> None:
    path = root / "secret"
    path.write_text("older-secret")
    path.chmod(0o600)
    file = File(str(path), Secret("hunter22"), "0600", ME)
    now = await hands.look(file)
    change = await hands.settle(file)
    assert path.read_text() == "hunter22"
    after = await hands.look(file)
    told = f"{file} {now} {change} {after} {hands.said}"
    assert "hunter22" not in told
    assert "older-secret" not in told
    assert change.diff == ""


def test_a_secret_is_nobody_else_s() -> None:
    with pytest.raises(ValueError, match="too wide"):
        File("/etc/secret", Secret("x"), "0640")


@pytest.mark.parametrize("path", ["etc/x", "", "/etc/", "/etc/../x"])
def test_paths_are_absolute(path: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        File(path, "")


async def test_a_link_is_replaced_and_not_followed(hands: LocalHands, root: Path) -> None:
    (root / "other").write_text("theirs")
    (root / "link").symlink_to("other")
    change = await hands.settle(File(str(root / "link"), "ours", "0644", ME))
    assert change.summary == f"replace {root}/link, a link"
    assert (root / "other").read_text() == "theirs"


async def test_a_folder_in_the_way_is_a_problem(hands: LocalHands, root: Path) -> None:
    (root / "it").mkdir()
    file = File(str(root / "it"), "x", "0644", ME)
    assert isinstance(file.diff(await hands.look(file)), Problem)


async def test_a_host_that_cannot_be_written_to(hands: LocalHands, root: Path) -> None:
    (root / "file").write_text("")
    file = File(str(root / "file/below"), "x", "0644", ME)
    with pytest.raises(StepFailed):
        await file.apply(hands, Change(""))


async def test_a_huge_file_is_not_brought_back_whole(hands: LocalHands, root: Path) -> None:
    (root / "log").write_bytes(b"x" * 300_000)
    state = await hands.look(File(str(root / "log"), "small", "0644", ME))
    assert len(state.text or "") == 65536


@pytest.mark.parametrize(
    ("out", "state"),
    [
        (b"absent\n\n", FileState("absent")),
        (b"file ab 644 0:0 root:root\n\n", FileState("file", "ab", "0644", "0:0")),
        (
            b"file ab 4755 0:5 root:domain users\n\n",
            FileState("file", "ab", "4755", "root:domain users"),
        ),
        (
            b"file \x1b[2J \x1b[1m 0:0 \x1b]0;x:y\n\n",
            FileState("file", r"\x1b[2J", r"\x1b[1m", "0:0"),
        ),
        (b"link - 777 7:7 UNKNOWN:UNKNOWN\n\n", FileState("link", "", "0777", "UNKNOWN:UNKNOWN")),
    ],
)
def test_what_a_host_prints(out: bytes, state: FileState) -> None:
    assert File("/x", "", owner="0:0").probe().parse(out) == state


@pytest.mark.parametrize("out", [b"", b"nonsense\n\n", b"socket - 1 0:0 a:b\n\n"])
def test_what_no_host_prints(out: bytes) -> None:
    with pytest.raises(ValueError):
        File("/x", "").probe().parse(out)
