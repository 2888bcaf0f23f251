"""Questions on a real terminal, and without one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k3s_tui.core.errors import CredentialsError, Exit, UsageError
from k3s_tui.headless.ask import NoTerminal
from tests.unit.headless.operator import Terminal, on_terminal

SECRET = "correct horse battery"

ASKING = """
import sys
from k3s_tui.core.errors import OperatorError
from k3s_tui.headless import interrupts
from k3s_tui.headless.ask import TerminalAsk

async def work(_):
    ask = TerminalAsk(lambda event: print(type(event).__name__, getattr(event, "given", "")))
    secret = await ask.secret("Passphrase", flag="--passphrase-file")
    print("length", len(secret.reveal()))
    print("confirmed", await ask.confirm("Go on?", flag="--yes"))

try:
    interrupts.run(work)
except OperatorError as error:
    print("refused:", error, "|", error.hint)
    sys.exit(int(error.exit))
"""


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Terminal]:
    with on_terminal(sys.executable, "-c", ASKING, state=tmp_path) as terminal:
        yield terminal


def test_a_secret_is_not_echoed_and_an_answer_is(asking: Terminal) -> None:
    asking.until("Passphrase: ")
    assert not asking.echoes
    asking.type(f"{SECRET}\n")
    asking.until("Go on? [y/N] ")
    assert asking.echoes
    asking.type("yes\n")
    assert asking.end() == 0
    assert SECRET not in asking.seen
    assert f"length {len(SECRET)}\n" in asking.seen
    assert "Go on? [y/N] yes\n" in asking.seen
    assert "confirmed True\n" in asking.seen


@pytest.mark.parametrize("answer", ["\n", "n\n", "maybe\n", "\x04"])
def test_only_yes_is_yes(asking: Terminal, answer: str) -> None:
    asking.until("Passphrase: ")
    asking.type(f"{SECRET}\n")
    asking.until("Go on? [y/N] ")
    asking.type(answer)
    asking.until("confirmed False\n")
    assert asking.end() == 0


@pytest.mark.parametrize("nothing", ["\n", "\x04"])
def test_nothing_entered(asking: Terminal, nothing: str) -> None:
    """Enter alone, or Ctrl-D."""
    asking.until("Passphrase: ")
    asking.type(nothing)
    assert asking.end() == Exit.CREDENTIALS
    said = "refused: Passphrase: nothing was entered | try again, or use --passphrase-file\n"
    assert said in asking.seen
    assert "Answered False\n" in asking.seen


def test_what_was_typed_before_the_question_is_no_answer(tmp_path: Path) -> None:
    late = f"print('ready', flush=True)\nsys.stdin.readline()\n{ASKING}"
    with on_terminal(sys.executable, "-c", f"import sys\n{late}", state=tmp_path) as terminal:
        terminal.until("ready\n")
        terminal.type("\n" + "y\n" * 3)
        terminal.until("Passphrase: ")
        terminal.type(f"{SECRET}\n")
        terminal.until("Go on? [y/N] ")
        terminal.type("n\n")
        terminal.until("confirmed False\n")
        assert f"length {len(SECRET)}\n" in terminal.seen
        assert terminal.end() == 0


@pytest.mark.parametrize("answered", [False, True], ids=["at the secret", "at the question"])
def test_ctrl_c_needs_no_enter_and_leaves_a_terminal_that_echoes(
    asking: Terminal, answered: bool
) -> None:
    asking.until("Passphrase: ")
    if answered:
        asking.type(f"{SECRET}\n")
        asking.until("Go on? [y/N] ")
    asking.interrupt()
    asking.until("refused: interrupted before anything was changed")
    assert asking.echoes
    assert asking.end() == Exit.INTERRUPTED


async def test_nobody_to_ask_for_a_secret() -> None:
    with pytest.raises(CredentialsError) as raised:
        await NoTerminal().secret("Passphrase of a.secrets", flag="--passphrase-file")
    assert (raised.value.exit, raised.value.hint) == (4, "use --passphrase-file")
    assert str(raised.value) == "there is no terminal to ask on: Passphrase of a.secrets"


async def test_nobody_to_confirm() -> None:
    with pytest.raises(UsageError) as raised:
        await NoTerminal().confirm("Go on?", flag="--yes")
    assert (raised.value.exit, raised.value.hint) == (2, "use --yes")
