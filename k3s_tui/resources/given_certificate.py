"""A key pair of a host whose certificate was signed elsewhere."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import PLACE, place, quote
from k3s_tui.pki.algorithms import UNREADABLE
from k3s_tui.resources.certificate import KEY, CertificateState, HostCertificate, text_of
from k3s_tui.resources.file import parent

PENDING = "requested"
"""The folder, beside the versions, of a key whose certificate has not come yet."""

NO_OPENSSL = 127
"""The status of `request` where there is nothing to make a key with."""


@dataclass(frozen=True)
class Leaf:
    """A certificate (PEM, intermediates behind it).  `key` is PKCS#8; None when the host has it."""

    certificate_pem: str
    key: Secret | None = None


@dataclass(frozen=True)
class GivenState(CertificateState):
    """`requested_pem` is the public part of the key that a signing request was made for."""

    requested_pem: str = ""


@dataclass(frozen=True)
class GivenCertificate(HostCertificate):
    """As `HostCertificate`, but what is put there was given: `leaf` is None as long as nothing was.

    The key is the one that `request` made on the host, or comes with the certificate.
    """

    leaf: Leaf | None = None

    def probe(self) -> Probe[CertificateState]:
        base = super().probe()
        assert isinstance(base.ask, str)
        pending = quote(f"{self.folder}/{PENDING}/{KEY}")
        return Probe(
            f"{base.ask}printf '\\n==\\n'\nopenssl pkey -in {pending} -pubout\n", self._both
        )

    def _both(self, out: bytes) -> GivenState:
        of_current, _, pending = out.partition(b"\n==\n")
        seen = super()._parse(of_current)
        return GivenState(
            seen.certificate_pem,
            seen.public_key_pem,
            seen.link,
            seen.access,
            text_of(pending.decode(errors="replace").splitlines()),
        )

    def diff(self, now: CertificateState) -> Change[CertificateState] | Problem | None:
        if now.link == "current":
            return Problem(
                f"{self.folder}/current is not a link", hint="move it away, then run again"
            )
        if self.leaf is None:
            return Problem(
                f"there is no certificate for CN={self.profile.common_name} yet",
                "k3s-tui pki csr PROFILE DIR, have what it writes signed, then k3s-tui pki import",
            )
        same = now.certificate_pem == self.leaf.certificate_pem
        reasons = [] if same else ["it is another one"]
        if not _belongs(self.leaf, now.public_key_pem):
            reasons.append("its key is not beside it")
        if now.link and now.certificate_pem:
            reasons += self._about_access(now)
        if not reasons:
            return None
        if self.leaf.key is None and self._where(now) is None:
            return Problem(
                "no key on this host belongs to the certificate that was imported",
                "it was asked for by an older request: k3s-tui pki csr, and have that one signed",
            )
        verb = "replace" if now.certificate_pem else "install"
        told = f"{verb} {self.certificate_path} for CN={self.profile.common_name}"
        return Change(
            sanitize(f"{told}: {'; '.join(reasons)}"),
            after=CertificateState(self.leaf.certificate_pem, "", "to be installed", ()),
        )

    async def apply(self, on: Hands, change: Change[CertificateState]) -> None:
        assert self.leaf is not None
        now = await on.sh(self._scripted())
        where = None if self.leaf.key else self._where(self._both(now))
        stamp = f"{self.clock():%Y%m%dT%H%M%SZ}"
        version = f"{self.folder}/v-{stamp}-{secrets.token_hex(4)}"
        await on.sh(self._bring_key(version, where))
        await on.sh(self._take_up(version, self.leaf.certificate_pem))
        await on.sh(f"rm -rf {quote(f'{self.folder}/{PENDING}')}")

    def _scripted(self) -> str:
        ask = self.probe().ask
        assert isinstance(ask, str)
        return f"({ask}) 2>/dev/null\n:\n"

    def _where(self, now: CertificateState) -> str | None:
        """The folder with the certificate's key."""
        assert self.leaf is not None
        if isinstance(now, GivenState) and _belongs(self.leaf, now.requested_pem):
            return PENDING
        return "current" if _belongs(self.leaf, now.public_key_pem) else None

    def _bring_key(self, version: str, where: str | None) -> str:
        target = f"{version}/{KEY}"
        if self.leaf is not None and self.leaf.key is not None:
            key = self.leaf.key.reveal().encode()
            bring = f"{PLACE}{place(target, key, mode='0600')} || exit\n"
        else:
            source = quote(f"{self.folder}/{where}/{KEY}")
            bring = f"cp {source} {quote(target)} || exit\n"
        return (
            f"{parent(version, '0755')} || exit\numask 077\nmkdir {quote(version)} || exit\n{bring}"
        )


@dataclass(frozen=True)
class CertificateCame:
    """Before anything is touched: the certificate is here, and its key is or comes with it."""

    certificate: GivenCertificate

    def probe(self) -> Probe[CertificateState]:
        return self.certificate.probe()

    def diff(self, now: CertificateState) -> Problem | None:
        found = self.certificate.diff(now)
        return found if isinstance(found, Problem) else None


def request(folder: str, subject: str, names: tuple[str, ...]) -> str:
    """sh that prints a signing request (PEM), of a key made for it once and kept.

    `subject` is for openssl's configuration, `names` are subject alternative names (`DNS:…`).
    """
    pending = f"{folder}/{PENDING}"
    extensions = f"subjectAltName={','.join(names)}\n" if names else ""
    config = (
        f"[req]\ndistinguished_name=dn\nprompt=no\nreq_extensions=ext\n[dn]\n{subject}"
        f"[ext]\n{extensions}basicConstraints=critical,CA:FALSE\n"
    )
    return f"""\
command -v openssl >/dev/null || {{
    echo "there is no openssl on this host" >&2
    exit {NO_OPENSSL}
}}
{parent(pending, "0755")} || exit
umask 077
mkdir -p {quote(pending)} && chown root:root {quote(pending)} && cd {quote(pending)} || exit
if ! openssl pkey -in {KEY} -noout 2>/dev/null; then
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \\
        -pkeyopt ec_param_enc:named_curve -out {KEY}.new && mv -f {KEY}.new {KEY} || exit
fi
printf %s {quote(config)} >request.cnf
openssl req -new -sha256 -config request.cnf -key {KEY} || exit
rm -f request.cnf
"""


def _belongs(leaf: Leaf, public_pem: str) -> bool:
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        of_leaf = x509.load_pem_x509_certificate(leaf.certificate_pem.encode()).public_key()
        key = serialization.load_pem_public_key(public_pem.encode())
    except UNREADABLE:
        return False
    return key.public_bytes(*spki) == of_leaf.public_bytes(*spki)
