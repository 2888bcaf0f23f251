"""Chapter: it is a cluster, it is highly available, and it lets nobody else in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from k3s_tui.core.contract import Check, Step
from k3s_tui.engine.graph import Steps
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure import embedded, existing_datastore
from k3s_tui.procedure.loadbalancer import upstreams
from k3s_tui.procedure.proofs import login
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources import nginx
from k3s_tui.resources.balance import EveryServerAnswers
from k3s_tui.resources.k3s.nodes import NodeReady
from k3s_tui.resources.postgres.proof import DsnProof, Refusal, Unproved
from k3s_tui.resources.postgres.sessions import Sessions
from k3s_tui.resources.reached import RegistrationAnswers, ServerIsReached

WITHIN = 30.0
"""Seconds: what was Ready a moment ago is, or something is wrong."""


def steps(site: Site) -> Steps:
    return (*_nodes(site), *_balancer(site), *_datastore(site))


def _datastore(site: Site) -> Steps:
    match site.profile.datastore.mode:
        case "managed":
            return (_sessions(site), *_logins(site), *_refusals(site))
        case "existing":
            return existing_datastore.verification(site)
        case "embedded":
            return embedded.verification(site)


def _nodes(site: Site) -> Steps:
    first = next(iter(site.profile.servers))
    return tuple(
        Step(
            f"{name}/verification/node",
            host(first),
            NodeReady(
                name,
                site.profile.k3s.version,
                site.addresses(name),
                server=name in site.profile.servers,
            ),
            within=WITHIN,
        )
        for name in site.profile.k3s_nodes
    )


def _balancer(site: Site) -> Steps:
    if site.profile.loadbalancer.mode == "external":
        return tuple(step for name in site.profile.servers for step in _reached(site, name))
    name = site.profile.loadbalancer_host
    proof: Step[Any] = Step(
        f"{name}/verification/every-server-answers",
        host(name),
        EveryServerAnswers(site.registration_url, nginx.ACCESS_LOG, upstreams(site)),
        within=WITHIN,
    )
    return (proof,)


def _reached(site: Site, name: str) -> Steps:
    """What can be seen of another's load balancer: what it says, and what it brings."""
    balancer = site.profile.loadbalancer
    answers: Step[Any] = Step(
        f"{name}/verification/registration-answers",
        host(name),
        RegistrationAnswers(site.registration_url),
        within=WITHIN,
    )
    reached: Step[Any] = Step(
        f"{name}/verification/reached-through-load-balancer",
        host(name),
        ServerIsReached(
            balancer.address, balancer.port, site.api_port, asks=6 * len(site.profile.servers)
        ),
        within=60,
    )
    return answers, reached


def _sessions(site: Site) -> Step[Any]:
    name = site.profile.datastore_host
    wanted = site.profile.datastore
    sources = tuple(site.source(server, name) for server in site.profile.servers)
    return Step(
        f"{name}/verification/tls-sessions",
        host(name),
        Sessions(site.psql, wanted.database, sources),
        within=WITHIN,
    )


def _logins(site: Site) -> Steps:
    return tuple(
        Step(
            f"{name}/verification/datastore-login",
            host(name),
            DsnProof(login(site, name)),
            within=WITHIN,
        )
        for name in site.profile.servers
    )


def _refusals(site: Site) -> Steps:
    """The five ways that must not lead in, tried from every server's own position."""
    stranger = Authority.create("another CA, for a proof", 1, datetime.now(UTC))
    found: list[Step[Any]] = []
    for name in site.profile.servers:
        right = login(site, name)
        checks: dict[str, Check[Any]] = {
            "no-certificate": Refusal("no-certificate", right),
            "wrong-cn": Refusal("wrong-cn", login(site, name, user="somebody-else")),
            "other-ca": Refusal("other-ca", login(site, name, authority=stranger)),
            "plain-tcp": Refusal("plain-tcp", right),
            "wrong-password": Refusal("wrong-password", right),
        }
        if not site.authority.signs:
            checks["wrong-cn"] = Unproved(
                "not proved: that a certificate for another name is refused, because only your CA"
                " could sign one",
                "sign one with CN=somebody-else and try it by hand; pg_hba.conf says"
                " clientcert=verify-full",
            )
        for kind, check in checks.items():
            what = f"{name}/verification/refuses-{kind}"
            found.append(Step(what, host(name), check, within=WITHIN))
    return tuple(found)
