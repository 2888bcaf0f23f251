"""Reads the wizard's sources for text that is shown untranslated, or read as markup by chance."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

MARKUP: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "Static": ((0,), ("content",)),
    "Label": ((0,), ("content",)),
    "Button": ((0,), ("label",)),
    "Tick": ((0,), ()),
    "Checkbox": ((0,), ("label",)),
    "RadioButton": ((0,), ("label",)),
    "Option": ((0,), ("prompt",)),
    "TabPane": ((0,), ("title",)),
    "Collapsible": ((), ("title",)),
    "SystemCommand": ((0, 1), ("title", "help")),
    "add_column": ((0,), ("label",)),
    "add_columns": (tuple(range(20)), ()),
    "add_row": (tuple(range(20)), ("label",)),
    "add_leaf": ((0,), ("label",)),
    "set_label": ((0,), ("label",)),
}
"""By what is called: the arguments in which Textual reads markup, by place and by name."""

SHOWN = frozenset({"border_title", "border_subtitle", "tooltip"})
"""The same for what is assigned, or given by name to any widget."""

MARKED = frozenset(
    {"label", "help", "title", "placeholder", "description", "question", "yes", "no", "needless"}
)
"""Arguments, by name, that are shown later: a literal there is marked for translation."""

OURS = frozenset({"_", "N_", "ngettext"})
SAFE = frozenset({"plain", "cell", "Content", "Text", "glyph", "word", "labelled", "separator"})
"""Calls whose result may be shown as it is."""
TYPES = frozenset({"Content", "Text", "VisualType"})
"""Types that hold no markup; a function that is declared to return one is as good as SAFE."""

PROSE = re.compile(r"[^\W\d_]{2,}[,:;]? +[^\W\d_]{2,}")
LETTERS = re.compile(r"[^\W\d_]{2,}")

ENGLISH = frozenset(
    {
        # Printed after the screen has gone, with log lines and exit codes.
        "run again to resume: ",
        "a bug in k3s-tui ended this run",
        "; its log is ",
        "the run goes on without a screen",
        "what is under way ends first",
        # Why it is not Chinese: said where Chinese cannot be shown.
        "English, because ASCII has no Chinese characters",
        "English, because a Linux console has no Chinese characters",
        "English, because the terminal's encoding is not UTF-8: ",
        "English, because there is no ",
        " here, only: ",
        # Commands, and examples of what is typed.
        " kubectl get nodes",
        "ssh-keygen -lf ",
        "k3s-tui ",
        "k3s-server-1 10.0.0.11 ops server",
        "env:NAME  file:PATH  keyring:SERVICE/USER  prompt:",
        "key=value:NoSchedule",
        "key=value",
        "v1.36.3+k3s1",
        # Names of what a certificate may be used for, as the core has them; shown by their labels.
        "server authentication",
        "client authentication",
        "digital signature",
        "certificate signing",
        "CRL signing",
        # Style classes and selectors.
        "good heading",
        "bad heading",
        "Input, Tick",
    }
)
"""Literals that are the same in every language."""


@dataclass(frozen=True)
class Finding:
    line: int
    text: str


Function = ast.FunctionDef | ast.AsyncFunctionDef


class Reader:
    """Reads one module.  `safe` are functions of any module that return what holds no markup."""

    def __init__(self, tree: ast.Module, safe: frozenset[str]) -> None:
        self._tree = tree
        self._safe = SAFE | safe
        self._asked: list[str] = []
        self._above: dict[ast.AST, ast.AST] = {
            child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)
        }

    def findings(self) -> Iterator[Finding]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._call(node)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = {t.attr if isinstance(t, ast.Attribute) else _name(t) for t in targets}
                if node.value is not None and names & SHOWN:
                    yield from self._shown(node.value)
            elif isinstance(node, ast.Constant):
                yield from self._prose(node)

    def _call(self, call: ast.Call) -> Iterator[Finding]:
        name = _name(call.func)
        if name in OURS:
            yield from self._translation(call)
        if name == "from_markup":
            yield Finding(call.lineno, "from_markup() reads markup: use plain(...)")
        if name == "notify":
            yield from self._notify(call)
        if name == "Binding" and len(call.args) > 2:
            yield from self._marked(call.args[2])
        if name in ("plain", "cell") and call.args:
            yield from self._marked(call.args[0])
        places, names = MARKUP.get(name, ((), ()))
        if name == "update" and self._updates_text(call):
            places = (0,)
        for at in places:
            if at < len(call.args):
                yield from self._shown(call.args[at])
        for keyword in call.keywords:
            if keyword.arg in names or keyword.arg in SHOWN:
                yield from self._shown(keyword.value)
            elif keyword.arg in MARKED and name not in ("run", "Theme"):
                yield from self._marked(keyword.value)

    def _translation(self, call: ast.Call) -> Iterator[Finding]:
        name = _name(call.func)
        texts = call.args[:2] if name == "ngettext" else call.args[:1]
        for text in texts:
            if isinstance(text, ast.JoinedStr | ast.BinOp) or _is_format(text):
                told = f"{name}() must get the text itself: translate first, .format() after"
                yield Finding(call.lineno, told)
        if name != "N_" and not self._within(call, (*_FUNCTIONS, ast.Lambda)):
            told = (
                f"{name}() is called once, when the module is loaded: use N_() here and _() later"
            )
            yield Finding(call.lineno, told)

    def _notify(self, call: ast.Call) -> Iterator[Finding]:
        plainly = any(
            k.arg == "markup" and isinstance(k.value, ast.Constant) and k.value.value is False
            for k in call.keywords
        )
        if not plainly:
            yield Finding(call.lineno, "notify() reads markup: add markup=False")
        shown = [*call.args[:1], *(k.value for k in call.keywords if k.arg in ("message", "title"))]
        for value in shown:
            yield from self._marked(value)

    def _shown(self, value: ast.expr) -> Iterator[Finding]:
        """What a widget would read as markup."""
        if isinstance(value, ast.Constant | ast.JoinedStr):
            yield from self._marked(value)
        if isinstance(value, ast.Constant):
            return
        if isinstance(value, ast.IfExp):
            yield from self._shown(value.body)
            yield from self._shown(value.orelse)
        elif isinstance(value, ast.BoolOp):
            for part in value.values:
                yield from self._shown(part)
        elif _name(getattr(value, "func", value)) in OURS and "[" in ast.unparse(value):
            yield Finding(value.lineno, "its [ would begin markup: wrap it in plain(...)")
        elif not self._is_safe(value):
            told = f"{ast.unparse(value)} may hold text from outside: wrap it in plain(...)"
            yield Finding(value.lineno, told)

    def _marked(self, value: ast.expr) -> Iterator[Finding]:
        if isinstance(value, ast.JoinedStr):
            for part in value.values:
                yield from self._marked(part)
        elif (
            isinstance(value, ast.Constant)
            and isinstance(value.value, str)
            and LETTERS.search(value.value)
            and value.value not in ENGLISH
        ):
            yield Finding(value.lineno, _untranslated(value.value))

    def _prose(self, node: ast.Constant) -> Iterator[Finding]:
        """A literal of several words is shown to somebody, whoever it is given to."""
        if not isinstance(node.value, str) or not PROSE.search(node.value):
            return
        if node.value in ENGLISH or self._within(node, (ast.Raise, ast.Assert)):
            return
        above = self._above[node]
        if isinstance(above, ast.Expr) or self._is_translated(node):
            return
        if isinstance(above, ast.Assign) and any(_name(t).endswith("CSS") for t in above.targets):
            return
        yield Finding(node.lineno, _untranslated(node.value))

    def _is_translated(self, node: ast.AST) -> bool:
        call = self._within(node, (ast.Call,))
        while call is not None:
            if isinstance(call, ast.Call) and _name(call.func) in OURS:
                return True
            call = self._within(call, (ast.Call,))
        return False

    def _is_safe(self, value: ast.expr) -> bool:
        match value:
            case ast.Call(func=ast.Attribute(value=text, attr="format")):
                # Our text with our words in it.
                given = (*value.args, *(keyword.value for keyword in value.keywords))
                return all(map(self._is_safe, (text, *given)))
            case ast.Call():
                return _name(value.func) in OURS | self._safe
            case ast.JoinedStr():
                parts = (v.value for v in value.values if isinstance(v, ast.FormattedValue))
                return all(map(self._is_safe, parts))
            case ast.Starred() | ast.Subscript():
                return self._is_safe(value.value)
            case ast.List() | ast.Tuple():
                return all(map(self._is_safe, value.elts))
            case ast.ListComp() | ast.GeneratorExp():
                return self._is_safe(value.elt)
            case ast.Name():
                return self._is_safe_name(value)
        return False

    def _is_safe_name(self, name: ast.Name) -> bool:
        """Whether everything that is called so around it is safe."""
        function = self._within(name, _FUNCTIONS)
        if not isinstance(function, Function) or name.id in self._asked:
            return False
        self._asked.append(name.id)
        given = list(self._given(name, function))
        self._asked.pop()
        return bool(given) and all(given)

    def _given(self, name: ast.Name, function: Function) -> Iterator[bool]:
        inner = self._within(name, _COMPREHENSIONS)
        while inner is not None:
            assert isinstance(inner, _COMPREHENSIONS)
            for each in inner.generators:
                if _binds(each, name.id):
                    yield self._gives_safe(each.target, each.iter, name.id)
                    return
            inner = self._within(inner, _COMPREHENSIONS)
        arguments = function.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if argument.arg == name.id:
                yield _is_of_type(argument.annotation)
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and name.id in map(_name, node.targets):
                yield self._is_safe(node.value)
            elif isinstance(node, ast.AnnAssign) and _name(node.target) == name.id:
                yield _is_of_type(node.annotation)
            elif isinstance(node, ast.For) and _binds(node, name.id):
                yield self._gives_safe(node.target, node.iter, name.id)

    def _gives_safe(self, target: ast.expr, source: ast.expr, name: str) -> bool:
        """Whether a loop calls only safe things by this name."""
        if not isinstance(target, ast.Tuple):
            return self._is_safe(source)
        if ast.unparse(source) == "language.LANGUAGES.items()":
            return True
        if isinstance(source, ast.Call) and _name(source.func) == "zip":
            pairs = zip(target.elts, source.args, strict=False)
            return any(_name(one) == name and self._is_safe(many) for one, many in pairs)
        return False

    def _updates_text(self, call: ast.Call) -> bool:
        """Whether `.update()` is that of a widget of text: dictionaries have one, too."""
        if not isinstance(call.func, ast.Attribute):
            return False
        return _is_static(call.func.value) or self._is_own_static(call) or self._was_static(call)

    def _is_own_static(self, call: ast.Call) -> bool:
        around = self._within(call, (ast.ClassDef,))
        own = isinstance(call.func, ast.Attribute) and _name(call.func.value) == "self"
        bases = {_name(base) for base in around.bases} if isinstance(around, ast.ClassDef) else ()
        return own and bool({"Static", "Label"} & set(bases))

    def _was_static(self, call: ast.Call) -> bool:
        function = self._within(call, _FUNCTIONS)
        assert isinstance(call.func, ast.Attribute)
        if function is None or not isinstance(call.func.value, ast.Name):
            return False
        return any(
            isinstance(node, ast.Assign)
            and call.func.value.id in map(_name, node.targets)
            and _is_static(node.value)
            for node in ast.walk(function)
        )

    def _within(self, node: ast.AST, kinds: tuple[type[ast.AST], ...]) -> ast.AST | None:
        above = self._above.get(node)
        while above is not None and not isinstance(above, kinds):
            above = self._above.get(above)
        return above


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return _name(node.value) if isinstance(node, ast.Subscript) else ""


def _binds(loop: ast.For | ast.comprehension, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(loop.target))


def _is_format(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) == "format"


def _is_static(node: ast.expr) -> bool:
    """`….query_one(…, Static)`."""
    return (
        isinstance(node, ast.Call)
        and _name(node.func) == "query_one"
        and any(_name(argument) in ("Static", "Label") for argument in node.args)
    )


def _is_of_type(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    names = {_name(n) for n in ast.walk(annotation) if isinstance(n, ast.Name | ast.Attribute)}
    return bool(names & TYPES) and "str" not in names


def _untranslated(text: str) -> str:
    return f"{text!r} is not translated: _(...), or N_(...) where it is declared"


def returning_safe(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and _is_of_type(node.returns):
            yield node.name
