"""The keys that do something now, in the last line."""

from __future__ import annotations

from textual.widgets import Footer


class KeyBar(Footer):
    """Textual's footer, made anew only when it would say something else.

    It is told of every change of focus, and a step has many fields whose keys are the same: to
    mount its dozen of widgets each time was a good part of the time that a step takes to appear.
    """

    DEFAULT_CSS = """
    KeyBar { layout: horizontal; }
    """

    def __init__(self) -> None:
        super().__init__(compact=True)
        self._shown: list[tuple[str, str, bool]] | None = None

    async def recompose(self) -> None:
        if not self.is_attached:  # the screen went away before its turn came
            return
        now = [
            (self.app.get_key_display(active.binding), active.binding.description, active.enabled)
            for active in self.screen.active_bindings.values()
            if active.binding.show
        ]
        if now != self._shown:
            self._shown = now
            await super().recompose()
