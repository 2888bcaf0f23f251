from __future__ import annotations

import pytest

from k3s_tui.core.errors import CredentialsError, OperatorError, SudoDenied
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.privilege import LOOK, Privilege, choose, denied
from tests.unit.shells import SHELLS, run

ASKS = "uid 1000\nsudo /usr/bin/sudo\nstatus 1\nsudo: a password is required\n"
TTY = "uid 1000\nsudo /usr/bin/sudo\nstatus 1\nsudo: sorry, you must have a tty to run sudo\n"
NOT = "uid 1000\nsudo /usr/bin/sudo\nstatus 1\nann is not in the sudoers file.\n"


def pick(found: str, become: str = "sudo", password: Secret | None = None) -> Privilege:
    how: object = become
    return choose(found.encode(), become=how, password=password, host="web-1", user="ann")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "become", "kind"),
    [
        ("uid 0\n", "root", "direct"),
        ("uid 0\n", "sudo", "direct"),
        ("uid 1000\nsudo /usr/bin/sudo\nstatus 0\n\n", "sudo", "sudo"),
        (ASKS, "sudo", "password"),
    ],
)
def test_the_way_to_root(found: str, become: str, kind: str) -> None:
    assert pick(found, become, Secret("pw")).kind == kind


@pytest.mark.parametrize(
    ("found", "become", "error", "text"),
    [
        ("uid 1000\nsudo /usr/bin/sudo\nstatus 0\n", "root", CredentialsError, "not root"),
        ("uid 1000\n", "sudo", SudoDenied, "not installed"),
        ("", "sudo", SudoDenied, "not installed"),
        ("uid 1000\nsudo /bin/su do;id\nstatus 0\n", "sudo", SudoDenied, "not installed"),
        (ASKS, "sudo", SudoDenied, "needs a password"),
        (TTY, "sudo", SudoDenied, "requiretty"),
        (NOT, "sudo", SudoDenied, "does not allow ann"),
    ],
)
def test_no_way_to_root(found: str, become: str, error: type[OperatorError], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        pick(found, become)
    assert caught.value.hint and caught.value.host == "web-1"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"Sorry, try again.\nsudo: 1 incorrect password attempt\n", "refused the password"),
        (b"ann is not in the sudoers file.\n", "does not allow"),
        (b"sudo: \x1b[31mpolicy plugin broken\n", r"\\x1b\[31mpolicy plugin broken"),
        (b"", "it said nothing"),
    ],
)
def test_what_sudo_said(said: bytes, text: str) -> None:
    with pytest.raises(SudoDenied, match=text):
        raise denied(said, host="web-1", user="ann")


def test_no_command_holds_the_password() -> None:
    privilege = Privilege("password", "/usr/bin/sudo", Secret("hunter22"))
    assert "hunter22" not in privilege.command("n") + privilege.trial("n") + repr(privilege)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_look_works_as_root(shell: str) -> None:
    assert run(shell, LOOK).stdout == b"uid 0\n"
