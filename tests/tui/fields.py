"""What tests do with the fields of a step."""

from __future__ import annotations

import copy
import html
from typing import Any

from textual.events import Paste
from textual.screen import Screen
from textual.widgets import Input, Select, TextArea

from k3s_tui.core.secret import Secret
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.steps import STEPS, number
from k3s_tui.tui.widgets.field import Field
from tests.tui.operator import Operator

SIZES = [(60, 15), (80, 24), (120, 40)]

HOSTILE = (
    "[/",
    "[/usr/lib]",
    "[@click=app.quit]quit[/]",
    "[b",
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J",
    "a\u202eb",
    "x" * 10_000,
)
"""Text that has ended, or fooled, other programs."""


async def go(user: Operator, step: str) -> StepScreen:
    """To a step that was visited before."""
    user.wizard.go(step)
    return await user.at(step)


def field(user: Operator, *place: str) -> Field:
    return next(f for f in user.wizard.screen.query(Field) if f.place == place)


async def fill(user: Operator, text: str, *place: str) -> None:
    """Replace a field's text, by one paste: keys take their time."""
    field(user, *place).focus_input()
    await user.pilot.pause()
    if isinstance(user.focused, TextArea):
        user.focused.select_all()
        await user.press("delete")
    else:
        await user.press("end", "ctrl+u")
    if text:
        await paste(user, text)


async def paste(user: Operator, text: str) -> None:
    """Into what has the focus."""
    user.wizard.post_message(Paste(text))
    await user.pilot.pause()
    await user.pilot.pause()


async def leave(user: Operator) -> None:
    """To the next field, so that what was typed is judged."""
    await user.press("tab")


def put(user: Operator, text: str, *place: str) -> None:
    """As if it was pasted: text that no key types."""
    editor = field(user, *place).editor
    if isinstance(editor, TextArea):
        editor.text = text
    else:
        assert isinstance(editor, Input)
        editor.value = text


def told(user: Operator, *place: str) -> str:
    """What stands below a field; '' when nothing does."""
    return field(user, *place).problem


async def choose(user: Operator, label: str, *place: str) -> None:
    """Pick from a field's list, by keys."""
    field(user, *place).focus_input()
    await user.press("enter")
    select = field(user, *place).query_one(Select)
    labels = [str(prompt) for prompt, _value in select._options]
    at = labels.index(label)
    now = [value for _prompt, value in select._options].index(select.value)
    await user.press(*["down" if at > now else "up"] * abs(at - now), "enter")


def everywhere(user: Operator) -> str:
    """All that leaves the program but for the store: screen, picture, clipboard, profile."""
    wizard = user.wizard
    picture = html.unescape(wizard.export_screenshot()).replace("\xa0", " ")
    return "\n".join(
        (
            user.text,
            picture,
            wizard.clipboard,
            repr(wizard.draft.document),
            repr(_all(wizard.screen)),
        )
    )


def _all(screen: Screen[Any]) -> list[object]:
    """What widgets would tell a debugger, without what masked inputs hold."""
    return [repr(widget) for widget in screen.query("*")]


def typed_secrets(user: Operator) -> dict[str, Secret]:
    return user.wizard.draft.secrets


async def wrong(user: Operator, step: str, place: tuple[str, ...], text: str, message: str) -> None:
    """Type something wrong into a field: it is told there, it keeps one here, and it is there again
    when one comes back.  Afterwards the draft is as before.
    """
    draft = user.wizard.draft
    before = copy.deepcopy(draft.document)
    await go(user, step)
    await fill(user, text, *place)
    await leave(user)
    assert message in told(user, *place), (place, text, told(user, *place))
    await user.press("ctrl+n")
    await user.at(step)
    editor = field(user, *place).editor
    assert user.focused is editor, (place, text)
    await user.press("escape")
    await user.at(STEPS[number(step) - 1].id)
    await go(user, step)
    again = field(user, *place).editor
    assert text_of(again) == text
    assert message in told(user, *place), (place, text)
    draft.unparsed.clear()
    draft.set(place[:1], before.get(place[0]))


def text_of(editor: object) -> str:
    """What stands in an input or a text area."""
    if isinstance(editor, TextArea):
        return editor.text
    assert isinstance(editor, Input)
    return editor.value
