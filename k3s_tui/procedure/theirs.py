"""A certificate that PostgreSQL had before us and keeps, as a plan tells of it, for a review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from k3s_tui.engine.plan import Plan
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.pki import adopt
from k3s_tui.procedure.leaves import FILES, TLS
from k3s_tui.procedure.reviewed import Certificate, review_key
from k3s_tui.resources.certificate import HostCertificate
from k3s_tui.resources.file import File


def authority_of(plan: Plan) -> str:
    """Our CA (PEM), by which the servers' certificates are issued; '' where a plan issues none.

    Not what lies in the bundle on the datastore's host: the CAs of others' clients are in it, too.
    """
    for step in plan.items:
        if isinstance(step.ensure, HostCertificate):
            return step.ensure.authority.certificate_pem
    return ""


def with_theirs(certificates: Iterable[Certificate], plan: Plan) -> Iterator[Certificate]:
    """What is reviewed, with PostgreSQL's own certificate as it is where that stays.

    What the operator looked at before anybody knew of it counts as looked at.
    """
    found = tuple(certificates)
    host = next((c.host for c in found if c.role == "datastore"), "")
    ca_pem = _kept(plan, host)
    for certificate in found:
        if ca_pem and certificate.role == "ca":
            # The servers know PostgreSQL by its own CA: ours lies where clients are judged.
            places = tuple(p for p in certificate.places if p.path != FILES.ca)
            yield replace(certificate, places=places, reviewed_as=review_key(certificate))
        elif ca_pem and certificate.role == "datastore":
            yield _as_it_is(certificate, ca_pem)
        else:
            yield certificate


def _as_it_is(certificate: Certificate, ca_pem: str) -> Certificate:
    first, *_ = adopt.certificates(ca_pem)
    return replace(
        certificate,
        theirs=True,
        looked=True,
        issuer=sanitize(first.subject.rfc4514_string()),
        refused="",
        checks=(),
        reviewed_as=review_key(certificate),
    )


def _kept(plan: Plan, host: str) -> str:
    """The CA (PEM) of the certificate that stays on the datastore's host; '' where none does."""
    ours = any(
        isinstance(step.ensure, HostCertificate) and step.ensure.certificate_path == TLS.certificate
        for step in plan.items
    )
    files = {
        (step.host.name, step.ensure.path): step.ensure.content
        for step in plan.items
        if isinstance(step.ensure, File)
    }
    if ours or (host, TLS.ca) not in files:
        return ""
    known = (content for (_, path), content in files.items() if path == FILES.ca)
    return next((content for content in known if isinstance(content, str)), "")
