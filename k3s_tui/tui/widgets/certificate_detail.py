"""All that there is to know of one certificate, for a review."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from k3s_tui.pki.checks import Code
from k3s_tui.procedure.certificates import Certificate, Place, life
from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.widgets.rows import Row, Rows

_BAR = 20
"""Cells of a life."""

_USAGES = {
    "server authentication": N_("server authentication"),
    "client authentication": N_("client authentication"),
    "any": N_("any use"),
    "digital signature": N_("digital signature"),
    "certificate signing": N_("certificate signing"),
    "CRL signing": N_("signing of revocation lists"),
}
_FILES = {
    "certificate": N_("the certificate"),
    "key": N_("its key"),
    "ca-certificate": N_("the certificate"),
    "ca-key": N_("its key, encrypted"),
}
_SETTINGS = {
    "datastore.user": N_("the database user"),
    "datastore.hostname": N_("the datastore's host name"),
}


_CHECKS: dict[Code, str] = {
    "ca-unreadable": N_("readable"),
    "ca-not-a-ca": N_("CA certificates alone"),
    "ca-no-root": N_("complete up to the root"),
    "ca-time": N_("its CAs are valid now"),
    "ca-usage": N_("its CAs may sign"),
    "path-length": N_("its CAs allow that depth"),
    "ca-ends-soon": N_("its CAs are valid for 30 days yet"),
    "ca-key-unreadable": N_("the key is readable"),
    "ca-key-mismatch": N_("the key is the CA's"),
    "unreadable": N_("readable"),
    "leaf-first": N_("one leaf, and it comes first"),
    "is-ca": N_("no CA itself"),
    "chain": N_("signed by that CA"),
    "time": N_("valid now"),
    "ends-soon": N_("valid for 30 days yet"),
    "names": N_("names the host"),
    "common-name": N_("names the database user"),
    "usage": N_("for this use"),
    "key-usage": N_("may sign a handshake"),
    "algorithm": N_("kind of key"),
    "key-unreadable": N_("the key is readable"),
    "key-exposed": N_("the key is yours alone"),
    "key-passphrase": N_("passphrase of the key"),
    "key-mismatch": N_("fits its key"),
    "used-twice": N_("used in one role"),
    "weak-hash": N_("signature"),
    "long-lived": N_("life"),
    "no-authority-key": N_("names the CA's key"),
}


class CertificateDetail(Rows):
    """Shows what is there if it stays, otherwise what will be issued."""

    def show(self, certificate: Certificate, now: datetime) -> None:
        self.update(tuple(rows(certificate, now)))
        self.scroll_home(animate=False)


def title(certificate: Certificate) -> str:
    """What it is for, in a line."""
    if certificate.role == "ca":
        return _("Certificate authority of this cluster's datastore")
    if certificate.role == "datastore":
        return _("PostgreSQL's own certificate")
    return _("With it {host} logs in to PostgreSQL").format(host=certificate.host)


def short_title(certificate: Certificate) -> str:
    """The same for a list."""
    if certificate.role == "ca":
        return _("certificate authority")
    if certificate.role == "datastore":
        return _("{host}: PostgreSQL").format(host=certificate.host or "-")
    return _("{host}: client").format(host=certificate.host)


def rows(certificate: Certificate, now: datetime) -> Iterator[Row]:
    if certificate.theirs:
        yield from _theirs(certificate)
        return
    there = certificate.there if certificate.kept else None
    shown = there or certificate
    yield Row(title(certificate))
    yield from _checks(certificate)
    yield Row(_("State"), *_state(certificate))
    if certificate.refused:
        told = _("cannot be used: {why}") if certificate.given else _("cannot be issued: {why}")
        yield Row("", told.format(why=certificate.refused), "problem")
    yield Row(_("Subject"), shown.subject or "-")
    if certificate.setting:
        yield Row("", *_match(certificate))
    yield Row(_("Names"), _names(certificate))
    yield Row(_("Issuer"), _("itself") if certificate.role == "ca" else shown.issuer)
    yield Row(_("Key"), _key(certificate))
    usages = (*shown.usages, *certificate.key_usages)
    yield Row(_("Use"), ", ".join(_(_USAGES.get(usage, usage)) for usage in usages) or "-")
    yield from _validity(certificate, now)
    later = _("known after issue")
    yield Row(_("Serial"), there.serial if there else later)
    yield Row("SHA-256", spaced(there.fingerprint) if there else later)
    for at, place in enumerate(certificate.places):
        yield Row("" if at else _("Files"), _place(place))
    yield Row(_("Replaces"), _replaces(certificate))


def _theirs(certificate: Certificate) -> Iterator[Row]:
    """Of one that was there before us: what is known, and that nothing is done to it."""
    yield Row(title(certificate))
    yield Row(_("State"), _("PostgreSQL has one already, and it stays as it is"), "ok")
    yield Row(_("Issuer"), certificate.issuer)
    yield Row("", _("the servers will know it by that CA, and be known by the CA above"))
    yield Row(_("Renewed"), _("by whoever runs that PostgreSQL"))
    yield Row(_("Files"), _("where its own configuration says"))
    yield Row(_("Replaces"), _("nothing"))


def _checks(certificate: Certificate) -> Iterator[Row]:
    """Of what was brought, by the names that `k3s-tui pki import` uses too."""
    results = {"ok": _("ok"), "warning": _("warning"), "failed": _("failed")}
    states = {"ok": "ok", "warning": "warning", "failed": "problem"}
    for at, check in enumerate(certificate.checks):
        fix = f". {check.fix}" if check.fix else ""
        told = f"{_(_CHECKS[check.code])}: {results[check.result]}: {check.text}{fix}"
        yield Row("" if at else _("Checks"), told, states[check.result])


def _state(certificate: Certificate) -> tuple[str, str]:
    if certificate.given and certificate.there is None:
        return _("has not come yet"), "pending"
    if certificate.given:
        return _("brought by you"), "ok"
    if certificate.kept:
        return _("is there, and stays"), "ok"
    if certificate.objections:
        return _("will be issued anew"), "change"
    if certificate.looked:
        return _("will be issued"), "change"
    if certificate.role == "ca":
        return _("will be made, unless the store holds one"), "pending"
    if certificate.may_stay:
        told = _("will be issued, unless PostgreSQL has one that stays: the review looks")
        return told, "pending"
    return _("will be issued, unless it is there: the review looks"), "pending"


def _match(certificate: Certificate) -> tuple[str, str]:
    """The line on whether it names whom PostgreSQL and the servers will ask for."""
    setting = _(_SETTINGS.get(certificate.setting, certificate.setting))
    there = certificate.there if certificate.kept else None
    name = there.common_name if there else certificate.common_name
    matches = certificate.there_matches if there else certificate.matches
    if matches:
        return _("matches {setting} {value}").format(
            setting=setting, value=certificate.wanted
        ), "ok"
    return _("{name} does not match {setting} {value}").format(
        name=name or "-", setting=setting, value=certificate.wanted or "-"
    ), "problem"


def _names(certificate: Certificate) -> str:
    there = certificate.there if certificate.kept else None
    names = ", ".join(there.names if there else certificate.names)
    if certificate.address_later and there is None:
        address = _("the host's IP address, once it has said it")
        return f"{names}, {address}" if names else address
    return names or _("none, and none are needed")


def _key(certificate: Certificate) -> str:
    shown = certificate.there if certificate.there and certificate.kept else certificate
    if certificate.role == "ca" and certificate.given:
        return shown.key_type
    if certificate.role == "ca":
        return f"{shown.key_type}; {_('made here, kept encrypted in the store')}"
    where = _("made on {host}, and never leaves it").format(host=certificate.host or "-")
    return f"{shown.key_type}; {where}"


def _validity(certificate: Certificate, now: datetime) -> Iterator[Row]:
    there = certificate.there if certificate.kept else None
    dated = there or certificate
    yield Row(_("Valid"), f"{_time(dated.not_before)} … {_time(dated.not_after)} UTC")
    state = life(dated, now)
    if there is None:
        # It may end with its authority, sooner than it was asked for.
        n = min(certificate.days, (dated.not_after - dated.not_before).days)
        days = ngettext("{n} day from its issue", "{n} days from its issue", n)
        yield Row("", f"{bar(0)} {days.format(n=n)}")
    elif state.days_left < 0:
        days = ngettext("ended {n} day ago", "ended {n} days ago", -state.days_left)
        yield Row("", f"{bar(1)} {days.format(n=-state.days_left)}", "problem")
    else:
        days = ngettext("{n} day left", "{n} days left", state.days_left)
        yield Row("", f"{bar(state.elapsed)} {days.format(n=state.days_left)}")
    renewed = certificate.renews_from
    if renewed is not None:
        told = _("by a run from {date} on, {n} days before its end")
        yield Row(_("Renewed"), told.format(date=f"{renewed:%Y-%m-%d}", n=certificate.renew_days))
    elif certificate.role == "ca":
        yield Row(_("Renewed"), _("not by a run: all others end with it"))
    else:
        yield Row(_("Renewed"), _("no more: it ends with its authority"))


def bar(elapsed: float) -> str:
    """How much of a life is over, as a bar."""
    full, empty = ("#", ".") if glyphs.is_ascii() else ("█", "░")
    over = min(_BAR, round(elapsed * _BAR))
    return full * over + empty * (_BAR - over)


def spaced(fingerprint: str) -> str:
    """A fingerprint in groups of eight bytes, so that lines break between them."""
    parts = fingerprint.split(":")
    return " ".join(":".join(parts[at : at + 8]) for at in range(0, len(parts), 8))


def _place(place: Place) -> str:
    what = _(_FILES[place.what])
    owner = _("you") if place.owner == "operator" else place.owner
    host = _("here") if place.host == "laptop" else place.host or "-"
    return f"{host}: {place.path}  {owner} {place.mode}  ({what})"


def _replaces(certificate: Certificate) -> str:
    replaced = certificate.replaces
    if replaced is None:
        return _("known once somebody has looked")
    return replaced or _("nothing")


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"
