"""One secret of the profile: made by k3s-tui, typed, or kept somewhere else.

The profile gets a reference, never a value.  What is typed stays in the draft, as a `Secret`, until
the review puts it into the encrypted store; no widget holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static

from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.profile.generate import check_token
from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.neighbours import secrets_file
from k3s_tui.profile.reference import NotAReference, SecretRef
from k3s_tui.tui import glyphs
from k3s_tui.tui.dialogs.secret_value import SHORT, SecretValueDialog
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import _, current
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.choice import Choice
from k3s_tui.tui.widgets.field import Field

Way: TypeAlias = Literal["none", "make", "type", "refer"]

_HIDDEN = "…"
"""Stands in the draft for a text that is no reference: it may be the secret itself."""

TOKENS = (("k3s", "token"), ("k3s", "agent-token"))


class SecretField(Field):
    """`made`: k3s-tui can make one; otherwise only a person knows it.  `needless` is what it means
    to have none, marked English; without it there must be one.
    """

    DEFAULT_CSS = """
    SecretField .own { height: auto; }
    SecretField .status { width: 1fr; height: auto; color: $text-muted; }
    SecretField .retype { min-width: 12; }
    """

    def __init__(
        self,
        place: Place,
        label: str,
        draft: Draft,
        *,
        help: str = "",
        made: bool = True,
        needless: str = "",
    ) -> None:
        super().__init__(place, label, draft.get(place), help=help)
        self._draft = draft
        self._made = made
        self._needless = needless
        self._way: Way = self._way_of(draft.get(place))

    @property
    def key(self) -> str:
        """Under which name the store keeps it."""
        reference = _parsed(self._draft.get(self.place))
        if reference is not None and reference.scheme == "store":
            return reference.rest
        return ".".join(str(part) for part in self.place)

    def _way_of(self, value: object) -> Way:
        if value is None and self._needless:
            return "none"
        reference = _parsed(value)
        if value is None or (reference is not None and reference.scheme == "store"):
            return "type" if self.key in self._draft.secrets or not self._made else "make"
        return "refer"

    def compose(self) -> ComposeResult:
        yield Choice(
            [(Text(label), way) for way, label in self._ways()],
            value=self._way,
            allow_blank=False,
            compact=True,
        )

    def _below(self) -> Iterator[Widget]:
        """What the way that was chosen needs and is not there yet; most fields need neither."""
        if self._way == "refer" and not self.query(".reference"):
            yield Input(
                self._reference_text(),
                placeholder="env:NAME  file:PATH  keyring:SERVICE/USER  prompt:",
                classes="reference",
                compact=True,
            )
        if self._way == "type" and not self.query(".own"):
            retype = Button(_("Type it …"), classes="retype", compact=True)
            status = Static(plain(self._status()), classes="status")
            yield Horizontal(status, retype, classes="own")

    def _ways(self) -> Iterator[tuple[Way, str]]:
        store = secrets_file(self._draft.path)
        if self._needless:
            yield "none", _(self._needless)
        if self._made and store.exists():
            yield "make", _("kept in {store}").format(store=store.name)
        elif self._made:
            yield "make", _("generate one, into {store}").format(store=store.name)
        yield "type", _("type one, into {store}").format(store=store.name)
        yield "refer", _("refer to where it is kept")

    def fix(self, why: str) -> None:
        """From now on the value stays; where it is kept may change.

        Who has the profile without its store has to give that value.
        """
        self.fixed = why
        self._tell(why)
        if self._way == "type" or (
            self._way == "make" and not secrets_file(self._draft.path).exists()
        ):
            return
        left: dict[Way, str] = dict(self._ways())
        ways = [way for way in dict.fromkeys((self._way, "refer")) if way in left]
        select = self.query_one(Select)
        select.set_options([(Text(left[way]), way) for way in ways])
        select.disabled = len(ways) == 1

    def _reference_text(self) -> str:
        """What stands in the profile, unless it may be the secret itself."""
        value = self._draft.get(self.place)
        if self._way_of(value) != "refer" or _is_literal(value):
            return ""
        return sanitize(str(value))

    def on_mount(self) -> None:
        self._draw()

    @property
    def typed(self) -> str | None:
        """The reference.  A text that is none is not kept: it may be the secret."""
        if self._way == "none":
            return None
        if self._way == "refer":
            typed = next(iter(self.query(".reference").results(Input)), None)
            text = typed.value.strip() if typed else self._reference_text()
            return _HIDDEN if _is_literal(text) else text
        return f"store:{self.key}"

    def write(self, draft: Draft) -> None:
        key = self.key
        draft.set(self.place, self.typed)
        if self._way != "type":
            draft.secrets.pop(key, None)

    @on(Select.Changed)
    def _choose(self, event: Select.Changed) -> None:
        way = event.value
        if way == self._way or not isinstance(way, str):
            return
        before, self._way = self._way, way  # type: ignore[assignment]  # one of `_ways`
        if way == "type":
            self._ask(before)
            return
        self._taken()
        if way == "refer":
            self.query_one(".reference").focus()

    @on(Button.Pressed, ".retype")
    def _retype(self, event: Button.Pressed) -> None:
        event.stop()
        self._ask("type")

    def _ask(self, before: Way) -> None:
        """Have it typed; given up, everything is as before."""

        def answered(value: Secret | None) -> None:
            if value is None:
                self._way = before
                self.query_one(Select).value = before
            else:
                self._draft.set(self.place, f"store:{self.key}")
                self._draft.secrets[self.key] = value
            self._taken()

        self.app.push_screen(
            SecretValueDialog(_(self.label), self._objection, warning=self._consequence()),
            answered,
        )

    def _taken(self) -> None:
        self.edited = True
        self._typed_before = self.typed
        self._draw()
        self.post_message(self.Changed(self))

    def _objection(self, value: Secret) -> str:
        """Why this value cannot be taken; '' when it can."""
        if self.place not in TOKENS:
            return ""
        try:
            check_token(value, ".".join(map(str, self.place)))
        except CredentialsError as error:
            if current() == "en":
                return error.text
            return f"{_('K3s cannot take this as a token')} ({error.text})"
        others = (_parsed(self._draft.get(place)) for place in TOKENS if place != self.place)
        keys = (other.rest for other in others if other is not None and other.scheme == "store")
        if any(self._draft.secrets.get(key) == value for key in keys):
            return _("servers and agents need different tokens, or agents could become servers")
        return ""

    def _consequence(self) -> str:
        if self.place in TOKENS:
            return _("Once the cluster exists, its token cannot be changed.")
        return ""

    def _draw(self) -> None:
        for widget in self._below():
            self.mount(widget, after=self.editor)
        for kind, way in ((".reference", "refer"), (".own", "type")):
            self.query(kind).set(display=self._way == way)
        for status in self.query(".status").results(Static):
            status.update(plain(self._status()))
        self.show_whole()

    def _status(self) -> str:
        value = self._draft.secrets.get(self.key)
        if value is None:
            store = secrets_file(self._draft.path)
            if store.exists():
                return _("kept in {store}").format(store=store.name)
            return f"{glyphs.glyph('warning')} {_('not typed yet')}"
        told = f"{glyphs.glyph('ok')} {_('typed, not stored yet')}"
        if len(value.reveal()) < SHORT:
            weak = _("shorter than {n} characters").format(n=SHORT)
            told += f"\n{glyphs.glyph('warning')} {weak}"
        return told


def _parsed(value: object) -> SecretRef | None:
    try:
        return SecretRef.parse(value) if isinstance(value, str) else None
    except NotAReference:
        return None


def _is_literal(value: object) -> bool:
    """Whether this may be a secret rather than a reference to one."""
    if not isinstance(value, str):
        return value is not None
    try:
        SecretRef.parse(value)
    except NotAReference as error:
        return error.literal
    return False
