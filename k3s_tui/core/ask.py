"""Questions to the operator, whoever asks them: a terminal, a wizard, or nobody at all."""

from __future__ import annotations

from typing import Protocol

from k3s_tui.core.secret import Secret


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
