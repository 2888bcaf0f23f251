"""The certificates of a profile, for a review: those that will be issued, and those there are.

What will be issued is issued here, too: by a CA that lives for a moment, through the code that
signs for hosts.  So a review shows what will be done, and not what somebody wrote about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from k3s_tui.core.contract import LAPTOP
from k3s_tui.core.errors import CredentialsError, Refused
from k3s_tui.engine.plan import Item, Plan
from k3s_tui.families import PostgresLayout, family_of
from k3s_tui.hosts.facts import Facts
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.pki import inspect
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.checks import Checked
from k3s_tui.pki.inspect import CertificateView
from k3s_tui.pki.profiles import LeafProfile, datastore_client
from k3s_tui.procedure import own_pki, written
from k3s_tui.procedure.leaves import FILES, TLS
from k3s_tui.procedure.reviewed import (
    OPERATOR,
    Certificate,
    Life,
    Place,
    Role,
    export,
    life,
    review_key,
)
from k3s_tui.procedure.secrets import authority_name
from k3s_tui.procedure.targets import without_secrets
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import pki_folder, secrets_file
from k3s_tui.resources.certificate import CertificateState, HostCertificate

__all__ = [
    "OPERATOR",
    "Certificate",
    "Life",
    "Place",
    "differs",
    "expected",
    "export",
    "life",
    "review_key",
    "with_existing",
]


def expected(
    profile: Profile,
    now: datetime,
    *,
    profile_path: Path | None = None,
    facts: Mapping[str, Facts] | None = None,
) -> tuple[Certificate, ...]:
    """What the profile will have issued: the CA, PostgreSQL's certificate, one per server; nothing
    where the datastore is not ours.  Of a CA of the operator's: what was brought, read from files.

    The profile may lack what is not written yet.  `facts` are those of hosts that have been
    looked at: they tell an address that the profile gives as a name.
    """
    if not profile.has_certificates:
        return ()
    path = profile_path or Path(f"{profile.name}.toml")
    known = facts or {}
    authority = Authority.create(authority_name(profile), profile.pki.ca_days, now)
    signing = _Signing(profile, authority, now)
    found = (
        _authority(profile, path, authority),
        _datastore(profile, path, signing, known),
        *(_client(profile, name, signing) for name in profile.servers),
    )
    return found if profile.has_authority else tuple(_brought(profile, path, found, now))


def with_existing(
    certificates: Iterable[Certificate], *, ca_pem: str = "", plan: Plan | None = None
) -> tuple[Certificate, ...]:
    """What `expected` returned, with what is there: the store's CA, and what a plan has seen.

    Raises ValueError when `ca_pem` is no certificate.
    """
    ca = _harmless(inspect.view(ca_pem)) if ca_pem else None
    seen = dict(_seen(plan)) if plan is not None else {}
    merged: list[Certificate] = []
    for certificate in certificates:
        if certificate.role == "ca":
            found = replace(certificate, looked=bool(ca), there=ca, pem=ca_pem)
        else:
            found = _by_ca(certificate, ca) if ca else certificate
            own = [seen[at] for at in ((p.host, p.path) for p in found.places) if at in seen]
            found = _merged(found, own[0]) if own else found
        merged.append(found)
    return tuple(merged)


def differs(before: Profile, after: Profile) -> tuple[str, ...]:
    """Ids of the certificates that would not be what was reviewed, or that nobody reviewed."""
    now = datetime.now(UTC)
    reviewed = {review_key(certificate) for certificate in expected(before, now)}
    return tuple(c.id for c in expected(after, now) if review_key(c) not in reviewed)


@dataclass(frozen=True)
class _Signing:
    profile: Profile
    authority: Authority
    now: datetime

    @property
    def ca_ends(self) -> datetime:
        return inspect.view(self.authority.certificate_pem).not_after

    def leaf(
        self, wanted: Callable[[], LeafProfile], name: str, setting: str
    ) -> tuple[CertificateView, tuple[str, ...], str]:
        """A leaf's view, its key usages, and why it cannot be issued."""
        days = self.profile.pki.leaf_days
        try:
            if not name:
                raise Refused(f"{setting} is not given yet")
            pair = self.authority.issue_short_lived(wanted(), self.now, minutes=days * 24 * 60)
        except Refused as refused:
            pair = self.authority.issue_short_lived(
                LeafProfile("client", "not issued"), self.now, minutes=days * 24 * 60
            )
            blank = replace(inspect.view(pair.certificate_pem), subject="", usages=())
            why = "; ".join(filter(None, (refused.text, refused.hint)))
            return replace(blank, common_name=name), (), why
        view = inspect.view(pair.certificate_pem)
        return view, _key_usages(pair.certificate_pem), ""


def _brought(
    profile: Profile, path: Path, made: tuple[Certificate, ...], now: datetime
) -> Iterator[Certificate]:
    """The operator's own CA, and what it signs here, or has signed elsewhere."""
    ca, *leaves = made
    authority: Authority | None = None
    why = ""
    try:
        authority = own_pki.read_bundle(profile, path)
        view = inspect.view(authority.certificate_pem)
    except (CredentialsError, ValueError) as error:
        why = str(error)
    here = tuple(p for p in ca.places if p.host != LAPTOP.name)
    given = Place(LAPTOP.name, profile.pki.ca or "-", OPERATOR, "", "ca-certificate")
    ca = replace(ca, given=True, looked=True, places=(given, *here), refused=why, subject="")
    if authority is None:
        yield ca
        yield from (replace(leaf, issuer="", ca_ends=None) for leaf in leaves)
        return
    checks = own_pki.judged_authority(authority, now)
    checks += own_pki.judged_authority_key(profile, path, authority.ca_pem)
    yield replace(ca, there=_harmless(view), pem=authority.ca_pem, checks=tuple(map(_safe, checks)))
    if profile.signs:
        yield from (_by_ca(leaf, _harmless(view)) for leaf in leaves)
        return
    yield from _signed_elsewhere(profile, path, authority, leaves, now)


def _signed_elsewhere(
    profile: Profile,
    path: Path,
    authority: Authority,
    leaves: list[Certificate],
    now: datetime,
) -> Iterator[Certificate]:
    try:
        imported = own_pki.read_leaves(profile, pki_folder(path))
        judged = own_pki.judged(profile, authority.ca_pem, imported, now)
        missing = "k3s-tui pki csr, and once it is signed: k3s-tui pki import"
    except CredentialsError as error:
        imported, judged, missing = {}, {}, str(error)
    for leaf in leaves:
        datastore = leaf.role == "datastore"
        name = own_pki.DATASTORE if datastore else own_pki.client_name(leaf.host)
        if name not in imported:
            yield replace(
                leaf, given=True, issuer="", ca_ends=None, refused=leaf.refused or missing
            )
            continue
        pem = imported[name].certificate_pem
        view = _harmless(inspect.view(pem))
        checks = tuple(map(_safe, judged[name]))
        yield replace(leaf, given=True, looked=True, there=view, pem=pem, checks=checks, refused="")


def _safe(check: Checked) -> Checked:
    """It quotes what certificates say, and paths."""
    return replace(check, text=sanitize(check.text), fix=sanitize(check.fix))


def _authority(profile: Profile, path: Path, authority: Authority) -> Certificate:
    view = inspect.view(authority.certificate_pem)
    store = str(secrets_file(path))
    copies = [(_datastore_host(profile), TLS.ca)]
    copies += [(name, FILES.ca) for name in profile.servers]
    return Certificate(
        role="ca",
        title="Certificate authority of the datastore",
        host=LAPTOP.name,
        subject=view.subject,
        common_name=view.common_name,
        names=view.names,
        address_later=False,
        issuer=view.issuer,
        key_type=view.key_type,
        usages=view.usages,
        key_usages=_key_usages(authority.certificate_pem),
        days=profile.pki.ca_days,
        renew_days=0,
        not_before=view.not_before,
        not_after=view.not_after,
        setting="",
        wanted="",
        places=(
            Place(LAPTOP.name, store, OPERATOR, "0600", "ca-key"),
            Place(LAPTOP.name, store, OPERATOR, "0600", "ca-certificate"),
            *(Place(host, at, "root:root", "0644", "ca-certificate") for host, at in copies),
        ),
    )


def _datastore(
    profile: Profile, path: Path, signing: _Signing, facts: Mapping[str, Facts]
) -> Certificate:
    host = _datastore_host(profile)
    hostname = profile.datastore.hostname
    addresses = _addresses(profile, path, host, facts)
    user = _postgres_user(facts.get(host))
    certificate = _leaf(
        signing,
        "datastore",
        "PostgreSQL's own certificate",
        host,
        lambda: own_pki.of_datastore(profile, addresses),
        ("datastore.hostname", hostname),
        (TLS.certificate, TLS.key, f"{user}:{user}"),
    )
    may_stay = profile.datastore.cluster == "adopt"
    return replace(certificate, address_later=not addresses, may_stay=may_stay)


def _client(profile: Profile, name: str, signing: _Signing) -> Certificate:
    user = profile.datastore.user
    return _leaf(
        signing,
        "server-client",
        f"The certificate with which {name} logs in to PostgreSQL",
        name,
        lambda: datastore_client(user, name),
        ("datastore.user", user),
        (FILES.certificate, FILES.key, "root:root"),
    )


def _leaf(
    signing: _Signing,
    role: Role,
    title: str,
    host: str,
    leaf: Callable[[], LeafProfile],
    setting: tuple[str, str],
    files: tuple[str, str, str],
) -> Certificate:
    view, key_usages, refused = signing.leaf(leaf, setting[1], setting[0])
    certificate, key, owner = files
    pki = signing.profile.pki
    return Certificate(
        role=role,
        title=title,
        host=host,
        subject=view.subject,
        common_name=view.common_name,
        names=view.names,
        address_later=False,
        issuer=view.issuer,
        key_type=view.key_type,
        usages=view.usages,
        key_usages=key_usages,
        days=pki.leaf_days,
        renew_days=pki.renewal_window,
        not_before=view.not_before,
        not_after=view.not_after,
        setting=setting[0],
        wanted=setting[1],
        places=(
            Place(host, certificate, owner, "0644", "certificate"),
            Place(host, key, owner, "0600", "key"),
        ),
        refused=refused,
        ca_ends=signing.ca_ends,
    )


def _datastore_host(profile: Profile) -> str:
    return next(iter(profile.with_role("datastore")), "")


def _addresses(
    profile: Profile, path: Path, host: str, facts: Mapping[str, Facts]
) -> tuple[str, ...]:
    """The addresses in PostgreSQL's certificate; none while they are not known."""
    if host in facts:
        try:
            return without_secrets(profile, path, facts, {}).addresses(host)
        except Refused:
            return ()  # the preflight says so
    return written.numerics(profile, host)


def _postgres_user(facts: Facts | None) -> str:
    try:
        family = family_of(facts.os_id, " ".join(facts.os_like)) if facts else None
    except Refused:
        family = None
    return (family.postgres if family else PostgresLayout).user


def _seen(plan: Plan) -> Iterator[tuple[tuple[str, str], Item]]:
    for step, item in plan.items.items():
        if isinstance(step.ensure, HostCertificate):
            yield (step.host.name, step.ensure.certificate_path), item


def _by_ca(leaf: Certificate, ca: CertificateView) -> Certificate:
    """As the CA there is would issue it: no leaf outlives its CA."""
    until = min(leaf.not_after, ca.not_after)
    return replace(leaf, issuer=ca.subject, not_after=until, ca_ends=ca.not_after)


def _merged(leaf: Certificate, item: Item) -> Certificate:
    if item.verdict not in ("ok", "change"):
        return leaf
    objections: tuple[str, ...] = ()
    if item.verdict == "change" and item.summary.startswith("renew"):
        objections = tuple(item.summary.partition(": ")[2].split("; "))
    leaf = replace(leaf, looked=True, objections=objections)
    # A change's state is what it promises; what it replaces is there only if the item keeps it.
    state = item.state if item.verdict == "ok" else getattr(item, "found", None)
    if not isinstance(state, CertificateState) or not state.certificate_pem:
        return leaf
    try:
        view = _harmless(inspect.view(state.certificate_pem))
    except ValueError:
        return leaf
    return replace(leaf, there=view, pem=state.certificate_pem)


def _harmless(view: CertificateView) -> CertificateView:
    """Anybody can have put anything into a certificate on a host."""
    return replace(
        view,
        subject=sanitize(view.subject),
        common_name=sanitize(view.common_name),
        unit=sanitize(view.unit),
        names=tuple(map(sanitize, view.names)),
        issuer=sanitize(view.issuer),
        usages=tuple(map(sanitize, view.usages)),
    )


def _key_usages(pem: str) -> tuple[str, ...]:
    """Of a certificate made here: they have this extension."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    words = {
        "digital signature": usage.digital_signature,
        "certificate signing": usage.key_cert_sign,
        "CRL signing": usage.crl_sign,
    }
    return tuple(word for word, has in words.items() if has)
