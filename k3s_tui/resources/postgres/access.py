"""Who may log in: our block on top of pg_hba.conf, because the first line that matches decides.

One line per K3s server, then two that reject everyone else for this role and this database:
without them a wider rule further down lets the role in over plain TCP.  The block has no `local`
line, so the ways in over the Unix socket stay what they are.
"""

from __future__ import annotations

import hashlib
import ipaddress
import posixpath
import re
from dataclasses import dataclass, replace

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.hosts.script import COPY, PLACE, literal, quote
from k3s_tui.resources.file import unified
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer, field, fields

BEGIN = "# BEGIN k3s-tui"
END = "# END k3s-tui"

_BLOCK = re.compile(rf"^{BEGIN}\n.*?^{END}(?:\n|\Z)".encode(), re.MULTILINE | re.DOTALL)
_MARKER = re.compile(rf"^(?:{BEGIN}|{END})$".encode(), re.MULTILINE)
_NAME = r'("(?:[^"\n]|"")*"|[^\s"]+)'
_REJECTS = re.compile(rf"^host all {_NAME} all reject\nhost {_NAME} all all reject$", re.MULTILINE)
_KEYWORDS = ("all", "sameuser", "samerole", "samegroup", "replication")

# `error` alone is not enough: a `clientcert=1` leaves everything but the line number empty.
# Through jsonb, because `file_name` exists from version 16 on.
_REFUSED = """
from (select to_jsonb(r) as rule from pg_hba_file_rules r
      where error is not null or type is null or auth_method is null) bad
"""
_LOOK = f"""
select json_build_object(
    'fresh', pg_conf_load_time() >= (pg_stat_file(:'file')).modification,
    'refused', (select coalesce(json_agg(json_build_array(
        coalesce(rule ->> 'file_name', :'file'), rule -> 'line_number',
        coalesce(rule ->> 'error', 'not a valid line'))), '[]') {_REFUSED}));
"""
_CHECK = f"""
select 'line ' || (rule ->> 'line_number') || ': ' || coalesce(rule ->> 'error', 'not a valid line')
{_REFUSED};
"""


@dataclass(frozen=True)
class AccessState:
    """The file behind `hba_file`: `path` with symbolic links resolved, its text, mode and owner.

    `refused` are the lines that PostgreSQL does not accept: file, line number, reason.
    `loaded`: the server read the file as it is now.
    """

    path: str = ""
    text: bytes = b""
    mode: str = ""
    owner: str = ""
    refused: tuple[tuple[str, int, str], ...] = ()
    loaded: bool = False


@dataclass(frozen=True)
class Access:
    """Only `servers` log in as `role` to `database`: over TLS, with certificate and password.

    `servers` are the source addresses that PostgreSQL sees; `hba_file` is what it says itself.
    `stamp` is the file that remembers what the server has loaded.
    """

    psql: Psql
    hba_file: str
    database: str
    role: str
    servers: tuple[str, ...]
    stamp: str = "/var/lib/k3s-tui/loaded/postgres-access"

    def block(self) -> str:
        """The managed block, markers included."""
        database, role = _name(self.database), _name(self.role)
        sources = [ipaddress.ip_address(server) for server in self.servers]
        lines = [
            f"hostssl {database} {role} {source}/{source.max_prefixlen} "
            "scram-sha-256 clientcert=verify-full"
            for source in dict.fromkeys(sources)
        ]
        rejects = [f"host all {role} all reject", f"host {database} all all reject"]
        return "\n".join([BEGIN, *lines, *rejects, END, ""])

    def probe(self) -> Probe[AccessState]:
        file = quote(self.hba_file)
        look = self.psql.run(_LOOK, file=self.hba_file)
        script = "\n".join(
            (
                AS_POSTGRES + field("path", f"readlink -f {file}"),
                field("text", f"cat {file}"),
                field("mode", f"stat -L -c 0%a {file}"),
                field("owner", f"stat -L -c %U:%G {file}"),
                field("answer", look),
                field("digest", f"sha256sum <{file} | cut -d ' ' -f 1"),
                field("stamp", f"cat {quote(self.stamp)} 2>/dev/null"),
            )
        )
        return Probe(script, _parse)

    def diff(self, now: AccessState) -> Change[AccessState] | Problem | None:
        if len(_MARKER.findall(now.text)) != 2 * len(_BLOCK.findall(now.text)):
            return Problem(
                f"{self.hba_file} has a '{BEGIN}' or '{END}' without its counterpart",
                "delete both marker lines and what we wrote between them, then run again",
            )
        ours = {
            number
            for block in _BLOCK.finditer(now.text)
            for number in range(*(now.text.count(b"\n", 0, at) + 1 for at in block.span()))
        }
        for file, number, reason in now.refused:
            if file != self.hba_file or number not in ours:
                return Problem(
                    f"{file}:{number}: {reason}",
                    "correct that line: until then PostgreSQL ignores the whole file",
                )
        want = self.wanted(now)
        if now.text == want and now.loaded:
            return None
        after = replace(now, text=want, refused=(), loaded=True)
        if now.text == want:
            return Change(f"reload PostgreSQL: it has not read {self.hba_file} yet", after=after)
        there, wanted = (text.decode("utf-8", "replace") for text in (now.text, want))
        return Change(
            f"let in {len(self.servers)} server(s) and nobody else by {self.hba_file},"
            " reload PostgreSQL",
            unified(self.hba_file, there, wanted),
            after,
        )

    async def apply(self, on: Hands, change: Change[AccessState]) -> None:
        probe = self.probe()
        assert isinstance(probe.ask, str)
        now = probe.parse(await on.sh(probe.ask))
        check = self.psql.run(_CHECK, file=self.hba_file)
        stamp = quote(self.stamp)
        wanted = self.wanted(now)
        write = f"""{PLACE}{COPY}
file={quote(now.path)}
if [ "$(id -u)" = 0 ]; then owner={quote(now.owner)}; else owner=$(id -un):$(id -gn); fi
[ -e "$file.k3s-tui.orig" ] || copy "$file" "$file.k3s-tui.orig" || exit 1
# One left by a run that was cut off is the last that the server accepted.
[ -e "$file.before" ] || copy "$file" "$file.before" || exit 1
place "$file" {quote(now.mode)} "$owner" {hashlib.sha256(wanted).hexdigest()}
"""
        path, before = quote(now.path), quote(f"{now.path}.before")
        await on.sh(f"""{AS_POSTGRES}
{literal(wanted)} | as_owner {path} {quote(write)} || exit 1
refused=$({check}) || refused='the new rules could not be checked'
if [ -n "$refused" ]; then
    as_owner {path} {quote(f"mv -f {before} {path}")}
    printf '%s was refused and is as before: %s\\n' {path} "$refused" >&2
    exit 1
fi
loading=$(sha256sum <{path} | cut -d ' ' -f 1)
{self.psql.reload()} || exit 1
as_owner {path} {quote(f"rm -f {before}")}
mkdir -p {quote(posixpath.dirname(self.stamp))} && printf '%s\\n' "$loading" >{stamp}.new &&
    mv -f {stamp}.new {stamp}
""")

    def wanted(self, now: AccessState) -> bytes:
        """The whole file: our block, then all that is not ours, byte for byte."""
        return self.block().encode() + _BLOCK.sub(b"", now.text)


@dataclass(frozen=True)
class Reserved:
    """Whom a block of ours is about; '' where there is none."""

    database: str = ""
    role: str = ""


NOBODY = Reserved()


def reserved(text: str) -> Reserved:
    """The database and the role of the block in `text`."""
    found = _REJECTS.search(text)
    return Reserved(_unquoted(found[2]), _unquoted(found[1])) if found else NOBODY


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _name(name: str) -> str:
    """A database or role in pg_hba's quoting, which takes a keyword its meaning away."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _KEYWORDS:
        return name
    if not name.isprintable():
        raise ValueError(f"a line of pg_hba.conf cannot hold {name!r}")
    return '"' + name.replace('"', '""') + '"'


def _parse(out: bytes) -> AccessState:
    said = fields(out)
    found = answer(said.get("answer", b"")) or {"fresh": False, "refused": []}
    path, mode, owner = (
        said.get(name, b"").decode("utf-8", "surrogateescape").strip()
        for name in ("path", "mode", "owner")
    )
    return AccessState(
        path=path,
        text=said.get("text", b""),
        mode=mode,
        owner=owner,
        refused=tuple((file, number, reason) for file, number, reason in found["refused"]),
        loaded=found["fresh"] and said.get("stamp", b"") == said.get("digest", b"-"),
    )
