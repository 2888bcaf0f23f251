"""psql on the database's own host: as the `postgres` user, over the local socket, SQL on stdin.

Values reach a statement only as psql variables (`:'x'` a literal, `:"x"` an identifier), which are
set on standard input too: nothing of a statement is ever seen in a process list.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k3s_tui.hosts.script import quote

APPLICATION = "k3s-tui"
"""What our sessions are called in `pg_stat_activity`."""

AS_POSTGRES = """\
if [ "$(command -v pg_isready)" = /usr/bin/pg_isready ]
then # Debian's clients are Perl that looks for these, and takes most of the time of a look
    # From 10 on, in their order: 9.6 sorts behind them all, and knows no \\if.
    for bin in /usr/lib/postgresql/[1-9][0-9]/bin; do [ ! -x "$bin/psql" ] || PATH=$bin:$PATH; done
fi
as_postgres() { # one command line, run as the database's own user
    if command -v runuser >/dev/null 2>&1
    then runuser -u postgres -- /bin/sh -c "$1"
    else su postgres -s /bin/sh -c "$1"
    fi
}
as_postgres_in() { # folder, command line that writes there
    in_folder=$1; export in_folder
    if ! as_postgres '[ -w "$in_folder" ]'; then
        echo "the database's user may not write to $1, which lies where it can exchange it:" \
            "chown postgres $1" >&2
        return 1
    fi
    as_postgres "$2"
}
as_owner() { # path, command line that writes there: by root only in folders that are root's alone
    for at in "$1" "$(readlink -f "$1")"; do
        above=
        while at=${at%/*} && [ -n "$at" ]; do
            # Above the folder itself a sticky one will do: nobody can rename what is root's there.
            case $(stat -L -c '%u %a' "$at")$above in
                "0 "*[0145][0145]$above | "0 1"???" above") above=" above" ;;
                *) as_postgres_in "${1%/*}" "$2"; return ;;
            esac
        done
    done
    /bin/sh -c "$2"
}
"""
"""The shell functions that every script of this package begins with.

PostgreSQL's folders belong to the user `postgres`: who took that user over could put a link where
root is about to write, and would be root.  There we write as that user.
"""


@dataclass(frozen=True)
class Psql:
    """How to reach the server on its own host.

    `socket` is the folder of the Unix socket; '' stands for psql's built-in default.
    """

    port: int = 5432
    socket: str = ""

    def run(self, sql: str, /, *, database: str = "postgres", **values: str) -> str:
        """A shell command that runs `sql`; rows arrive bare on its standard output.

        Stops at the first error with status 3; the status is 2 when there was no connection.
        Needs `AS_POSTGRES` earlier in the script.
        """
        settings = "".join(set_variable(name, value) for name, value in values.items())
        text = f"\\encoding UTF8\n{settings}{sql.strip()}\n"
        return f"printf %s {quote(text)} | {self._stdin(database)}"

    def ready(self) -> str:
        """A shell command whose status is 0 when the server takes connections.

        1: it is starting up or shutting down; 2: nobody answers.
        """
        return f"pg_isready -q {self._where()}"

    def await_ready(self, seconds: int = 60) -> str:
        """A shell command that waits until the server takes connections; not 0 when it does not."""
        return (
            f"( left={seconds}; until {self.ready()}; do left=$((left - 1)); "
            '[ "$left" -gt 0 ] || exit 1; sleep 1; done )'
        )

    def reload(self) -> str:
        """A shell command that makes the server load its files again, and waits until it has.

        The status is not 0 when it kept its old settings, as it does when postgresql.conf cannot
        be parsed.  A refused pg_hba.conf or certificate does not show: check those beforehand.
        Needs `AS_POSTGRES` earlier in the script.
        """
        # A new session inherits the time of the last load from the server itself.
        ask = "printf 'select pg_conf_load_time() > to_timestamp(%s);' \"$moment\""
        start = self.run(
            "select extract(epoch from clock_timestamp());\nselect pg_reload_conf() \\gset done_"
        )
        return (
            f"( moment=$({start}) || exit 1; left=20; "
            f'until [ "$({ask} | {self._stdin("postgres")})" = t ]; do left=$((left - 1)); '
            '[ "$left" -gt 0 ] || { echo "PostgreSQL did not reload its files" >&2; exit 1; }; '
            "sleep 1; done )"
        )

    def _stdin(self, database: str) -> str:
        command = f"psql -XAtqw -v ON_ERROR_STOP=1 {self._where()} -d {quote(database)}"
        return f"as_postgres {quote(f'PGAPPNAME={APPLICATION} {command}')}"

    def _where(self) -> str:
        return f"-h {quote(self.socket)} -p {self.port}" if self.socket else f"-p {self.port}"


def set_variable(name: str, value: str) -> str:
    r"""A psql `\set` line; the value arrives as it is, whatever is in it."""
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"\\set {name} '{escaped}'\n"


def field(name: str, command: str) -> str:
    """A shell command that prints one `fields` line: `name=` and what `command` printed."""
    return f"printf '%s\\n' {name}=\"$({command} | base64 | tr -d '\\n')\""


def fields(out: bytes) -> Mapping[str, bytes]:
    """What `field` lines say.  A probe that was cut off says nothing about the rest."""
    found = {}
    for line in out.splitlines():
        name, equals, value = line.partition(b"=")
        if equals:
            found[name.decode("ascii", "replace")] = base64.b64decode(value)
    return found


def answer(out: bytes) -> Any:
    """The JSON that a query answered with, or None when it did not answer, or not in full."""
    try:
        return json.loads(out.decode("utf-8", "replace"))
    except json.JSONDecodeError:
        return None
