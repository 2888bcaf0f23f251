"""The datastore's CA is not replaced under servers that run.

K3s reads its CA and its certificate for the datastore only when it starts, and PostgreSQL takes
new ones at once: until the last server has restarted, no new connection of it would be let in.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote
from k3s_tui.pki.trust import issuer, names, trusts
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.service import MARK


@dataclass(frozen=True)
class CaState:
    """What lies on a server (PEM): whom it trusts, and what it logs in with.

    Both are empty where no K3s of ours belongs to a cluster.
    """

    ca: str = ""
    certificate: str = ""


@dataclass(frozen=True)
class CaStays:
    """A preflight check on a server: it and PostgreSQL trust each other before and after.

    `clients` (PEM) is what PostgreSQL will trust.  `shown` is what it will show, or the CA that
    signs that; '' where that is not ours.  `ca` and `certificate` are paths.  `root` is prefixed
    to every path.
    """

    clients: str
    shown: str
    ca: str
    certificate: str
    root: str = ""

    def probe(self) -> Probe[CaState]:
        mark, cluster, ca, certificate = (
            quote(self.root + path) for path in (MARK, CLUSTER_CA, self.ca, self.certificate)
        )
        return Probe(
            f"[ -e {mark} ] && [ -e {cluster} ] && [ -r {ca} ] && [ -r {certificate} ] || exit 0\n"
            f"for path in {ca} {certificate}; do base64 <\"$path\" | tr -d '\\n'; echo; done",
            _parse,
        )

    def diff(self, now: CaState) -> Problem | None:
        if not now.certificate:
            return None
        if self.shown and not trusts(now.ca, now.certificate):
            return None  # they do not belong together, so K3s runs with something else
        serves = not self.shown or trusts(now.ca, self.shown)
        if serves and trusts(self.clients, now.certificate):
            return None
        return Problem(
            f"the datastore's CA cannot be replaced in a cluster that is there"
            f" ({sanitize(issuer(now.certificate))} there, {sanitize(names(self.clients))} wanted)",
            "set [pki] back. Rotation is not part of this version: a new bundle has to hold the CA"
            " that is there, and that one has to go on signing until every server has the bundle",
        )


def _parse(out: bytes) -> CaState:
    lines = out.decode().splitlines()
    if len(lines) != 2:
        return CaState()
    return CaState(*(base64.b64decode(line).decode(errors="replace") for line in lines))
