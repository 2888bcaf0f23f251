"""The keys that do something now, in the last line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.content import Content
from textual.events import MouseDown
from textual.screen import Screen
from textual.widget import Widget

from k3s_tui.tui import glyphs
from k3s_tui.tui.text import plain

_ALWAYS = ("help", "command_palette", "next")
"""Actions whose keys stay where there is no room for all: the first two tell of the others."""


@dataclass(frozen=True)
class Key:
    """One key: what is pressed, as what it is shown, and what it does."""

    key: str
    shown: str
    does: str
    action: str
    enabled: bool = True

    @property
    def width(self) -> int:
        """Cells, with the blank after it."""
        return plain(f"{self.shown} {self.does} ").cell_length


class KeyBar(Widget):
    """Draws all keys itself: each step has this bar, and Textual's footer is a widget a key.

    Where there is no room for all, whole keys are left out, the last ones first.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--off"}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: 1;
        color: $footer-description-foreground;
        background: $footer-background;
        text-wrap: nowrap;
        pointer: pointer;
        & > .key-bar--key { color: $footer-key-foreground; text-style: bold; }
        & > .key-bar--off { text-style: dim; }
    }
    """

    def __init__(self, *, palette: bool = True) -> None:
        """Without `palette`, the key that opens it is not told: a dialog is answered first."""
        super().__init__()
        self._palette = palette
        self._keys: tuple[Key, ...] = ()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._take)
        self._take(self.screen)

    def _take(self, screen: Screen[object]) -> None:
        # While another window has the focus, nothing here has: its keys would go and come.
        if not self.app.app_focus or screen is not self.screen or not self.is_attached:
            return
        keys = tuple(self._found())
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _found(self) -> Iterator[Key]:
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            palette = binding.action == "command_palette"
            if (palette and self._palette) or (binding.show and not palette):
                if binding.action in seen:
                    continue
                seen.add(binding.action)
                shown = self.app.get_key_display(binding)
                yield Key(binding.key, shown, binding.description, binding.action, active.enabled)

    @property
    def shown(self) -> list[tuple[int, Key]]:
        """The keys that there is room for, each with its column; the palette's is on the right."""
        keys = fitting(self._keys, self.content_size.width)
        at, placed = 0, []
        for key in keys:
            if key.action == "command_palette":
                # Its blank is before it.
                placed.append((self.content_size.width - key.width + 1, key))
            else:
                placed.append((at, key))
                at += key.width
        return placed

    def render(self) -> Content:
        line = Content("")
        for at, key in self.shown:
            line = line.pad_right(at - line.cell_length)
            if key.action == "command_palette" and at:
                line = line[:-1] + Content(glyphs.separator())
            told = plain(key.shown).stylize(self.get_visual_style("key-bar--key"))
            told = told + plain(f" {key.does} ")
            if not key.enabled:
                told = told.stylize(self.get_visual_style("key-bar--off"))
            line = line + told
        return line

    def on_mouse_down(self, event: MouseDown) -> None:
        event.stop()
        for at, key in self.shown:
            if at <= event.x < at + key.width - 1:
                if key.enabled:
                    self.app.simulate_key(key.key)
                else:
                    self.app.bell()


def fitting(keys: Iterable[Key], width: int) -> list[Key]:
    """Those that have room in `width` cells: the needed ones first, then from the left."""
    keys = list(keys)
    room = width
    chosen = set()
    for key in sorted(keys, key=lambda key: key.action not in _ALWAYS):
        if key.width <= room + 1:  # the blank after the last one may go
            chosen.add(key)
            room -= key.width
    return [key for key in keys if key in chosen]
