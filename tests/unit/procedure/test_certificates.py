"""What a review shows is what is done, and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k3s_tui.core.contract import Change, Step
from k3s_tui.engine.plan import Item, Plan
from k3s_tui.pki import inspect
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client
from k3s_tui.procedure import cluster
from k3s_tui.procedure.certificates import (
    Certificate,
    differs,
    expected,
    export,
    life,
    review_key,
    with_existing,
)
from k3s_tui.profile.load import check
from k3s_tui.profile.model import HostEntry, Profile
from k3s_tui.resources.certificate import CertificateState, HostCertificate
from k3s_tui.resources.file import File, FileState
from tests.unit.procedure.sites import (
    AUTHORITY,
    HOW_TO,
    changed,
    site,
    with_host,
    with_node_ip,
)

NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
NAMED = with_host("postgres", HostEntry(address="db.example.org", roles=["datastore"]))
PROFILES: Mapping[str, Profile] = {
    "how-to": HOW_TO,
    "other names": changed(datastore={"user": "kine", "hostname": "db.example.org"}),
    "other days": changed(pki={"leaf_days": 90, "renew_days": 20}),
    "three servers": with_host("s3", HostEntry(address="10.161.129.155", roles=["server"])),
    "node-ip": with_node_ip("postgres", "10.9.9.9"),
    "named datastore": NAMED,
    "IPv6": with_node_ip("postgres", "fd00:0::0a"),
}
ADDRESSES = {
    "postgres": {
        "addresses": (("lo", "127.0.0.1"), ("eth0", "10.161.129.212")),
        "route_sources": {},
    }
}


def by_id(profile: Profile = HOW_TO, **more: Any) -> dict[str, Certificate]:
    return {certificate.id: certificate for certificate in expected(profile, NOW, **more)}


def request() -> tuple[str, str]:
    """A signing request as a host makes it, and its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k3s-tui")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    spki = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return (
        csr.public_bytes(serialization.Encoding.PEM).decode(),
        key.public_key().public_bytes(*spki).decode(),
    )


def issue(
    wanted: HostCertificate, when: datetime = NOW, authority: Authority = AUTHORITY
) -> CertificateState:
    """What is on the host after this certificate was issued, with the modes that it asks for."""
    csr, public = request()
    pem = authority.sign(csr, wanted.profile, wanted.days, when)
    modes = (("folder", "0700"), ("file", "0600"), ("file", "0644"))
    access = tuple(FileState(k, "", mode, wanted.owner) for k, mode in modes)  # type: ignore[arg-type]
    return CertificateState(pem, public, "v-1", access)


def steps(profile: Profile = HOW_TO, **facts: Mapping[str, Any]) -> dict[str, Step[Any]]:
    """The steps that issue certificates, by host."""
    found = {}
    for step in cluster.build(site(profile, facts=facts)):
        if isinstance(step.ensure, HostCertificate):
            found[step.host.name] = replace(step, ensure=replace(step.ensure, clock=lambda: NOW))
    return found


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_what_is_shown_is_what_the_chapters_do(profile: Profile) -> None:
    own = site(profile, facts=ADDRESSES if profile is NAMED else None)
    shown = expected(profile, NOW, facts=own.facts)
    leaves = {c.host: c for c in shown if c.role != "ca"}
    done = steps(profile, **(ADDRESSES if profile is NAMED else {}))
    assert set(leaves) == set(done)
    for host, step in done.items():
        wanted, leaf = step.ensure, leaves[host]
        assert isinstance(wanted, HostCertificate)
        state = issue(wanted)
        signed = inspect.view(state.certificate_pem)
        for field in ("subject", "common_name", "names", "key_type", "usages", "not_before"):
            assert getattr(leaf, field) == getattr(signed, field), field
        assert (leaf.days, leaf.renew_days) == (wanted.days, wanted.renew_days)
        assert leaf.not_after == signed.not_after == NOW + timedelta(days=wanted.days)
        assert leaf.renews_from == leaf.not_after - timedelta(days=wanted.renew_days)
        places = {place.what: place for place in leaf.places}
        assert {p.host for p in leaf.places} == {host}
        assert places["certificate"].path == wanted.certificate_path
        assert places["key"].path == wanted.key_path
        # As shown, nothing would have to be changed.
        for at, what in ((1, "key"), (2, "certificate")):
            access = list(state.access)
            access[at] = FileState("file", "", places[what].mode, places[what].owner)  # type: ignore[index]
            assert wanted.diff(replace(state, access=tuple(access))) is None
        assert leaf.matches and not leaf.refused and not leaf.address_later

    copies = {
        (step.host.name, step.ensure.path, step.ensure.owner, step.ensure.mode)
        for step in cluster.build(own)
        if isinstance(step.ensure, File) and step.ensure.content == AUTHORITY.certificate_pem
    }
    ca = shown[0]
    assert copies == {(p.host, p.path, p.owner, p.mode) for p in ca.places if p.host != "laptop"}


def test_the_ca_is_the_one_that_is_made() -> None:
    ca = by_id()["ca"]
    assert ca.subject == ca.issuer == "CN=k3s-tui how-to datastore CA"
    assert ca.key_usages == ("certificate signing", "CRL signing")
    assert ca.not_after == NOW + timedelta(days=3650)
    assert ca.renews_from is None
    assert ("laptop", "how-to.secrets", "0600", "ca-key") in {
        (p.host, p.path, p.mode, p.what) for p in ca.places
    }
    leaf = by_id()["server-client/k3s-server-1"]
    assert leaf.issuer == ca.subject and leaf.key_usages == ("digital signature",)
    assert (leaf.serial, leaf.fingerprint, leaf.replaces) == (None, None, None)


def test_an_address_that_only_the_host_knows_comes_later() -> None:
    early = by_id(NAMED)["datastore"]
    assert early.address_later and early.names == ("DNS:postgres.rancher.rke2",)
    late = by_id(NAMED, facts=site(NAMED, facts=ADDRESSES).facts)["datastore"]
    assert late.names == ("DNS:postgres.rancher.rke2", "IP:10.161.129.212")
    assert review_key(early) != review_key(late)


def test_a_draft_shows_what_it_can() -> None:
    (ca, database) = expected(check({}).profile, NOW)
    assert (ca.role, database.host) == ("ca", "")
    assert database.refused == "datastore.hostname is not given yet" and not database.matches
    host = {"address": "10.0.0.1", "roles": ["server"]}
    draft = check({"name": "x", "hosts": {"s1": host}}).profile
    assert [c.id for c in expected(draft, NOW)] == ["ca", "datastore", "server-client/s1"]


def test_a_name_that_no_certificate_can_hold_is_told() -> None:
    long = ".".join(["a" * 30] * 3)
    database = by_id(changed(datastore={"hostname": long}))["datastore"]
    assert "cannot hold the name" in database.refused and "64" in database.refused
    assert database.common_name == long and database.subject == ""


def plan(**states: CertificateState | None) -> Plan:
    """A plan that saw these; underscores stand for dashes."""
    found = Plan()
    for host, step in steps().items():
        now = states.get(host.replace("-", "_")) or CertificateState("", "", "", ())
        wanted = step.ensure
        assert isinstance(wanted, HostCertificate)
        change = wanted.diff(now)
        if isinstance(change, Change):
            found.items[step] = Item(step, "change", change.summary, state=change.after)
        else:
            found.items[step] = Item(step, "ok", state=now)
    return found


def test_what_a_plan_has_seen_is_shown_beside_what_would_be_issued() -> None:
    done = steps()
    kept = issue(done["k3s-server-1"].ensure, NOW - timedelta(days=100))  # type: ignore[arg-type]
    old = issue(done["k3s-server-2"].ensure, NOW - timedelta(days=700))  # type: ignore[arg-type]
    seen = {
        c.id: c
        for c in with_existing(
            expected(HOW_TO, NOW),
            ca_pem=AUTHORITY.certificate_pem,
            plan=plan(k3s_server_1=kept, k3s_server_2=old),
        )
    }
    ca = seen["ca"]
    assert ca.kept and ca.there == inspect.view(AUTHORITY.certificate_pem)
    one = seen["server-client/k3s-server-1"]
    assert one.kept and one.there_matches and one.replaces == ""
    assert one.there is not None and one.there == inspect.view(kept.certificate_pem)
    assert one.renews_from == one.there.not_after - timedelta(days=243)
    two = seen["server-client/k3s-server-2"]
    assert two.looked and not two.kept
    assert two.objections == ("it ends in 30 days, on 2030-02-14",)
    assert two.replaces is not None and two.objections[0] in two.replaces
    database = seen["datastore"]
    assert database.looked and database.there is None and database.replaces == ""


@dataclass(frozen=True)
class Keeping(Item):
    """An item that keeps what its probe found."""

    found: Any = None


def test_what_will_be_replaced_is_shown_too() -> None:
    step = steps()["k3s-server-2"]
    wanted = step.ensure
    assert isinstance(wanted, HostCertificate)
    old = issue(wanted, NOW - timedelta(days=700))
    change = wanted.diff(old)
    assert isinstance(change, Change)
    item = Keeping(step, "change", change.summary, state=change.after, found=old)
    found = with_existing(expected(HOW_TO, NOW), plan=Plan({step: item}))
    leaf = next(c for c in found if c.host == "k3s-server-2")
    assert leaf.there == inspect.view(old.certificate_pem) and not leaf.kept
    assert leaf.replaces is not None and f"serial {leaf.there.serial}" in leaf.replaces
    assert leaf.renews_from == NOW + timedelta(days=730 - 243)


def test_nothing_outlives_the_ca_there_is() -> None:
    ca = Authority.create("an old CA", 4000, NOW - timedelta(days=3900))
    found = with_existing(expected(HOW_TO, NOW), ca_pem=ca.certificate_pem)
    ends = NOW + timedelta(days=100)
    for leaf in found[1:]:
        assert (leaf.issuer, leaf.not_after) == ("CN=an old CA", ends)
        assert leaf.renews_from is None
        csr, _ = request()
        signed = inspect.view(ca.sign(csr, datastore_client("k3s", "x"), leaf.days, NOW))
        assert signed.not_after == ends


def test_text_of_a_certificate_is_made_harmless_and_its_export_is_public() -> None:
    done = steps()["k3s-server-1"]
    state = issue(done.ensure)  # type: ignore[arg-type]
    hostile = Authority.create("evil\x1b[2J\u202e", 100, NOW).certificate_pem
    secret = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
    evil = replace(state, certificate_pem=hostile + secret)
    found = with_existing(expected(HOW_TO, NOW), plan=Plan({done: Item(done, "ok", state=evil)}))
    leaf = next(c for c in found if c.id == "server-client/k3s-server-1")
    assert leaf.there is not None and leaf.there_matches is False
    assert leaf.there.subject.isprintable() and "\\x1b" in leaf.there.common_name
    pem = export(leaf)
    assert pem is not None and pem.startswith("-----BEGIN CERTIFICATE-----")
    assert pem == hostile
    assert export(found[0]) is None


def test_a_life_is_told_in_parts_and_days() -> None:
    leaf = by_id()["datastore"]
    assert life(leaf, NOW).elapsed < 0.001 and life(leaf, NOW).days_left == 730
    assert life(leaf, NOW + timedelta(days=365)).elapsed == pytest.approx(0.5, abs=0.001)
    assert life(leaf, NOW - timedelta(days=9)).elapsed == 0.0
    ended = life(leaf, NOW + timedelta(days=731))
    assert (ended.elapsed, ended.days_left) == (1.0, -1)


SERVERS = ("server-client/k3s-server-1", "server-client/k3s-server-2")


@pytest.mark.parametrize(
    ("after", "ids"),
    [
        (changed(datastore={"user": "kine"}), SERVERS),
        (changed(datastore={"hostname": "db.example.org"}), ("datastore",)),
        (changed(pki={"leaf_days": 90}), ("datastore", *SERVERS)),
        (changed(pki={"ca_days": 1000}), ("ca",)),
        (changed(k3s={"version": "v1.36.4+k3s1"}, datastore={"database": "other"}), ()),
        (with_node_ip("postgres", "10.9.9.9"), ("datastore",)),
        (
            with_host("s3", HostEntry(address="10.161.129.155", roles=["server"])),
            ("ca", "server-client/s3"),
        ),
        (msgspec.structs.replace(HOW_TO, name="other"), ("ca", "datastore", *SERVERS)),
    ],
)
def test_what_has_to_be_reviewed_again(after: Profile, ids: tuple[str, ...]) -> None:
    assert differs(HOW_TO, after) == ids
    assert differs(after, after) == ()


def test_time_alone_asks_for_no_new_review() -> None:
    later = expected(HOW_TO, NOW + timedelta(days=30))
    assert [review_key(c) for c in later] == [review_key(c) for c in expected(HOW_TO, NOW)]
