"""The pair that PostgreSQL shows already, and goes on showing: would it be loaded again?"""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Change, Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.resources.postgres import settings_script
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql
from k3s_tui.resources.postgres.settings_script import Tls


@dataclass(frozen=True)
class ServedKey:
    """A preflight check, by the same sh that `Settings` looks at it with before a reload.

    Its state is what speaks against the pair, '' for nothing.
    """

    psql: Psql
    tls: Tls

    def probe(self) -> Probe[str]:
        checks = settings_script.check_pair(self.tls, self.psql)
        tell = 'fail() { printf %s "$1"; exit 0; }\n'
        return Probe(f"{AS_POSTGRES}{tell}{checks}\n", lambda out: out.decode(errors="replace"))

    def diff(self, now: str) -> Change[str] | Problem | None:
        if not now:
            return None
        return Problem(sanitize(now), "K3s needs a reload, which must not fail: correct that first")
