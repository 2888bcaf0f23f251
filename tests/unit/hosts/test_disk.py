"""A full or a read-only disk has one text, whichever tool met it first."""

from __future__ import annotations

import pytest

from k3s_tui.hosts.reasons import of_disk

FULL = "there is no space left on the device"
READ_ONLY = "its file system is read-only"


@pytest.mark.parametrize(
    ("said", "text", "hint"),
    [
        (
            "cat: write error: No space left on device\ncannot place /etc/k3s-tui/a.conf",
            f"/etc/k3s-tui/a.conf: {FULL}",
            "df -h /etc/k3s-tui/a.conf",
        ),
        (
            "mktemp: failed to create file via template '/etc/rancher/k3s/.k3s-tui.XXXXXX':"
            " No space left on device",
            f"/etc/rancher/k3s: {FULL}",
            "df -i /etc/rancher/k3s",
        ),
        ("tar: write error: Disk quota exceeded", f"a file could not be written: {FULL}", "df -h"),
        (
            "mktemp: failed to create file via template '/etc/.k3s-tui.XXXXXX':"
            " Read-only file system",
            f"/etc: {READ_ONLY}",
            "findmnt -T /etc;",
        ),
        (
            "sh: 12: cannot create /run/k3s-tui/x: Read-only file system",
            f"/run/k3s-tui/x: {READ_ONLY}",
            "findmnt -T /run/k3s-tui/x",
        ),
        (
            "mkdir: can't create directory '/var/lib/a': Read-only file system\nit failed",
            f"/var/lib/a: {READ_ONLY}",
            "findmnt -T /var/lib/a",
        ),
    ],
)
def test_the_path_is_named(said: str, text: str, hint: str) -> None:
    found = of_disk(said.splitlines())
    assert found is not None and found[0] == text
    assert hint in found[1] and "then run again" in found[1]


def test_what_else_fails_has_its_own_words() -> None:
    assert of_disk(["cannot place /etc/x", "Permission denied"]) is None
    assert of_disk([]) is None
