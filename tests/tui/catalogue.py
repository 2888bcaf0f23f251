"""The translations: what the wizard says, what is translated, and both brought together.

``python -m tests.tui.catalogue`` (``make messages``) brings the catalogue up to the sources and
compiles it.  A text that is not translated yet is shown in English, and fails the tests.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "k3s_tui"
SOURCES = PACKAGE / "tui"
PO = ROOT / "k3s_tui" / "locale" / "zh_CN" / "LC_MESSAGES" / "k3s_tui.po"
MO = PO.with_suffix(".mo")

HEADER = """\
# Simplified Chinese for the wizard of k3s-tui.
#
# Terms: server, agent, token, taint, label and pod stay English where the Chinese documentation
# of Kubernetes keeps them; datastore 数据存储, load balancer 负载均衡器, fixed registration
# address 固定注册地址, certificate 证书, fingerprint 指纹, plan 计划, step 步骤, run 运行."""

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}


def said() -> Catalog:
    """Every text in the sources, untranslated."""
    found = Catalog(locale="zh_CN")
    for _file, _line, message, comments, context in extract_from_dir(
        str(SOURCES), [("**.py", "python")], keywords=_KEYWORDS, comment_tags=("width:",)
    ):
        found.add(message, auto_comments=comments, context=context)
    for message in (*_in_the_syntax(), *_asked_below()):
        if message not in found:
            found.add(message)
    return found


def _in_the_syntax() -> Iterator[str | tuple[str, str]]:
    """Babel reads tokens, and before Python 3.12 an f-string with all that is in it is one."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                texts = [a.value for a in node.args[:2] if isinstance(a, ast.Constant)]
                if node.func.id in ("_", "N_") and texts:
                    yield str(texts[0])
                elif node.func.id == "ngettext" and len(texts) == 2:
                    yield str(texts[0]), str(texts[1])


def _asked_below() -> Iterator[str]:
    """Questions of the layers below, which know no language but their own."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Question"), args=[ast.Constant(value=str(text))]):
                    yield text


def translated() -> Catalog:
    """The catalogue as it is written."""
    with PO.open("rb") as file:
        return read_po(file, locale="zh_CN", domain="k3s_tui")


def updated() -> Catalog:
    """The catalogue with just what the sources say."""
    catalogue = translated() if PO.exists() else Catalog(locale="zh_CN")
    catalogue.update(said(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def compiled(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, _plain(catalogue))
    return out.getvalue()


def written(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, _plain(catalogue), no_location=True, sort_output=True, width=100)
    return out.getvalue()


def _plain(catalogue: Catalog) -> Catalog:
    """Without dates and names, which would change with every run."""
    plain = Catalog(
        locale="zh_CN",
        header_comment=HEADER,
        project="k3s-tui",
        version="1",
        copyright_holder="-",
        msgid_bugs_address="-",
        creation_date=_SOME_DAY,
        revision_date=_SOME_DAY,
        last_translator="-",
        language_team="zh_CN",
        fuzzy=False,
    )
    for message in catalogue:
        if message.id:
            plain.add(message.id, message.string, auto_comments=message.auto_comments)
    return plain


def main() -> None:
    PO.parent.mkdir(parents=True, exist_ok=True)
    catalogue = updated()
    PO.write_bytes(written(catalogue))
    MO.write_bytes(compiled(catalogue))
    missing = [message.id for message in catalogue if message.id and not is_done(message.string)]
    print(f"{len(catalogue)} texts, {len(missing)} not translated yet")


def is_done(string: str | tuple[str, ...] | list[str] | None) -> bool:
    """Whether every form of it is translated."""
    return all(string) if isinstance(string, (tuple, list)) else bool(string)


if __name__ == "__main__":
    main()
