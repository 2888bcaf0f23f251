"""A key pair of a host: made there, signed here."""

from __future__ import annotations

import hashlib
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import PLACE, place, quote
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.judge import objections
from k3s_tui.pki.profiles import LeafProfile
from k3s_tui.resources.file import LOOK, FileState, ask, parent, parse

KEY, CERTIFICATE = "tls.key", "tls.crt"


@dataclass(frozen=True)
class CertificateState:
    """What is behind `current`: the certificate and the key's public part (PEM, '' when missing).

    `link` is where `current` leads, or `current` when it is no link.  `access` has the modes and
    owners of the version's folder, the key and the certificate.
    """

    certificate_pem: str
    public_key_pem: str
    link: str
    access: tuple[FileState, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in hex; '' when there is none.  An input for a service."""
        try:
            der = ssl.PEM_cert_to_DER_cert(self.certificate_pem)
        except ValueError:
            return ""
        return hashlib.sha256(der).hexdigest()


TO_BE_ISSUED = CertificateState("", "", "to be issued", ())
"""What a change promises: a certificate that nobody knows yet.

Its empty fingerprint is that of no certificate, so a service that loads it plans its restart, and
can show what else it would change.
"""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class HostCertificate:
    """`FOLDER/current/tls.key` and `tls.crt`, of one leaf profile, signed by one CA.

    The key is made on the host and never leaves it; its signing request comes here.  Both live in
    a folder `v-…` of their own, and `current` is a link to it: they change together or not at all.
    The version before is kept.  A pair that is still right is left alone; one that is not, also
    one that others could read, is replaced as a whole.

    It lives for `days`, and is renewed from `renew_days` before its end on.

    The folder itself is root's, whoever the pair belongs to: nobody else may move things in there
    while root works in it.
    """

    folder: str
    profile: LeafProfile
    authority: Authority
    days: int
    renew_days: int
    owner: str = "root:root"
    clock: Callable[[], datetime] = utc_now

    @property
    def key_path(self) -> str:
        return f"{self.folder}/current/{KEY}"

    @property
    def certificate_path(self) -> str:
        return f"{self.folder}/current/{CERTIFICATE}"

    def probe(self) -> Probe[CertificateState]:
        key, certificate = quote(self.key_path), quote(self.certificate_path)
        return Probe(
            f"{LOOK}cd {quote(self.folder)} || exit\n"
            "if [ -h current ]; then readlink current; else ls -d current || echo; fi\n"
            + "".join(ask(path) for path in ("current/.", self.key_path, self.certificate_path))
            + f"cat {certificate}\nprintf '\\n=\\n'\nopenssl pkey -in {key} -pubout\n",
            self._parse,
        )

    def _parse(self, out: bytes) -> CertificateState:
        lines = out.decode(errors="replace").splitlines()
        if not lines:
            return CertificateState("", "", "", ())
        access = tuple(parse(lines[i : i + 2], self.owner) for i in (1, 3, 5))
        at = lines.index("=")
        certificate, key = text_of(lines[7:at]), text_of(lines[at + 1 :])
        return CertificateState(certificate, key, lines[0], access)

    def diff(self, now: CertificateState) -> Change[CertificateState] | Problem | None:
        if now.link == "current":
            return Problem(
                f"{self.folder}/current is not a link", hint="move it away, then run again"
            )
        reasons = objections(
            now.certificate_pem,
            self.profile,
            self.authority.certificate_pem,
            self.clock(),
            timedelta(days=self.renew_days),
            now.public_key_pem,
        )
        if now.link and now.certificate_pem:
            reasons += self._about_access(now)
        if not reasons:
            return None
        verb = "renew" if now.certificate_pem else "issue"
        names = ", ".join((*self.profile.dns, *self.profile.addresses)) or self.profile.unit
        told = f"{verb} {self.certificate_path} for CN={self.profile.common_name} ({names})"
        # Reasons quote what the present certificate says.
        return Change(sanitize(f"{told}: {'; '.join(reasons)}"), after=TO_BE_ISSUED)

    def _about_access(self, now: CertificateState) -> list[str]:
        wanted = (("its folder", "0700"), (KEY, "0600"), (CERTIFICATE, "0644"))
        return [
            f"{name} is {found.mode} {found.owner}, not {mode} {self.owner}"
            for (name, mode), found in zip(wanted, now.access, strict=True)
            if found.kind != "absent" and (found.mode, found.owner) != (mode, self.owner)
        ]

    async def apply(self, on: Hands, change: Change[CertificateState]) -> None:
        now = self.clock()
        version = f"{self.folder}/v-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        csr = await on.sh(self._make_key(version))
        certificate = self.authority.sign(csr.decode(), self.profile, self.days, now)
        await on.sh(self._take_up(version, certificate))

    def _make_key(self, version: str) -> str:
        """A script that makes the version with a key in it, and prints a signing request.

        The request's subject says nothing: what the certificate says is decided here.  It brings
        its own configuration, since a minimal host may have none that openssl accepts.
        """
        return f"""\
{parent(version, "0755")} || exit
umask 077
mkdir {quote(version)} && cd {quote(version)} || exit
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \\
    -pkeyopt ec_param_enc:named_curve -out {KEY} || exit
printf '[req]\\ndistinguished_name=dn\\nprompt=no\\n[dn]\\nCN=k3s-tui\\n' >request.cnf
openssl req -new -sha256 -config request.cnf -key {KEY} || exit
rm -f request.cnf
"""

    def _take_up(self, version: str, certificate: str) -> str:
        folder, owner = quote(self.folder), quote(self.owner)
        name = quote(version.rpartition("/")[2])
        at = f"{version}/{CERTIFICATE}"
        return f"""\
{PLACE}{place(at, certificate.encode(), owner=self.owner)} || exit
cd {folder} || exit
chmod 0600 {name}/{KEY} && chown {owner} {name}/{KEY} && chown {owner} {name} || exit
before=$(readlink current)
if [ -e current ] && [ ! -h current ]; then
    echo {quote(f"{self.folder}/current is not a link")} >&2
    exit 1
fi
sync
# One rename: nobody ever sees a key without its certificate.  `-T`, or it would follow the link.
rm -f .current.new
ln -s {name} .current.new && chown -h {owner} .current.new && mv -fT .current.new current || exit
for old in v-*; do
    case $old in {name} | "$before") ;; *) rm -rf "$old" ;; esac
done
"""


def text_of(lines: list[str]) -> str:
    """Lines as a PEM is written: none of them empty."""
    return "".join(f"{line}\n" for line in lines if line)
