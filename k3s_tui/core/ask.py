"""Questions to the operator, whoever asks them: a terminal, a wizard, or nobody at all."""

from __future__ import annotations

from typing import Protocol, Self

from k3s_tui.core.secret import Secret


class Question(str):
    """What is asked, in English, and what it is made of: a front end may speak another language.

    `template` has a place in braces for each of `values`.
    """

    __slots__ = ("template", "values")
    template: str
    values: dict[str, str]

    def __new__(cls, template: str, /, **values: str) -> Self:
        question = super().__new__(cls, template.format(**values))
        question.template, question.values = template, values
        return question


class HostKeyQuestion(Question):
    """Whether `key` (OpenSSH format) is that of `host`: both are among its values."""

    __slots__ = ()


class Ask(Protocol):
    """Answers may take as long as a person takes; asking must not block the event loop."""

    async def secret(self, question: str, *, flag: str) -> Secret:
        """Ask for a value that is not echoed.

        Without a terminal it raises `CredentialsError`, which names `flag` as the other way.
        """
        ...

    async def confirm(self, question: str, *, flag: str) -> bool:
        """Ask yes or no.  Without a terminal it raises `UsageError`, which names `flag`."""
        ...
