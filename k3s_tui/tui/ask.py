"""Questions of the layers below, as dialogs."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from textual.app import App

from k3s_tui.core.ask import HostKeyQuestion, Question
from k3s_tui.core.errors import CredentialsError, UsageError
from k3s_tui.core.secret import Secret
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host_key import HostKeyDialog
from k3s_tui.tui.dialogs.secret import SecretDialog
from k3s_tui.tui.language import _
from k3s_tui.tui.screens.base import Dialog

T = TypeVar("T")


class DialogAsk:
    """Asks one question at a time.  Once the screen is gone, it asks nothing more."""

    def __init__(self, app: App[int]) -> None:
        self._app = app
        self._turn = asyncio.Lock()
        self.gone = False

    async def secret(self, question: str, *, flag: str) -> Secret:
        """Raises CredentialsError when nothing is entered, or nobody is there."""
        answer = None if self.gone else await self.show(SecretDialog(_told(question)))
        if not answer:
            raise CredentialsError(
                f"{question}: nothing was entered", hint=f"try again, or use {flag}"
            )
        return answer

    async def confirm(self, question: str, *, flag: str) -> bool:
        """Raises UsageError when nobody is there."""
        if self.gone:
            raise UsageError(f"there is no terminal to ask on: {question}", hint=f"use {flag}")
        dialog: Dialog[bool]
        if isinstance(question, HostKeyQuestion):
            dialog = HostKeyDialog(question.values["host"], question.values["key"])
        else:
            dialog = ConfirmDialog(_told(question))
        return await self.show(dialog) is True

    async def show(self, dialog: Dialog[T]) -> T | None:
        """The dialog's answer.  Unlike a screen's own waiting, this works from the run's task."""
        async with self._turn:
            answer: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()

            def answered(value: T | None) -> None:
                if not answer.done():
                    answer.set_result(value)

            self._app.push_screen(dialog, answered)
            try:
                return await answer
            finally:
                if not answer.done() or answer.cancelled():
                    self._withdraw(dialog)

    def _withdraw(self, dialog: Dialog[T]) -> None:
        """Whoever asked was stopped, and wants no answer any more."""
        if self._app.is_running and self._app.screen is dialog:
            dialog.dismiss(None)


def _told(question: str) -> str:
    """In the operator's language, when it is a question of the layers below."""
    if isinstance(question, Question):
        return _(question.template).format(**question.values)
    return question
