"""An input whose text does not leave it but as a `Secret`."""

from __future__ import annotations

from textual.widgets import Input

from k3s_tui.core.secret import Secret


class SecretInput(Input):
    """Textual copies even a masked input's text to the clipboard; this one copies nothing."""

    def __init__(self, *, id: str | None = None, placeholder: str = "") -> None:
        super().__init__(password=True, compact=True, id=id, placeholder=placeholder)

    def action_copy(self) -> None:
        self.app.bell()

    def action_cut(self) -> None:
        self.app.bell()

    def take(self) -> Secret | None:
        """What was typed; None for nothing.  The input is empty afterwards."""
        value = self.value
        self.value = ""
        return Secret(value) if value else None
