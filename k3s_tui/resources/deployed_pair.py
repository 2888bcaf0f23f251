"""The certificate and key that lie on a host belong together and are taken by the datastore."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.address import endpoint
from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote


@dataclass(frozen=True)
class PairState:
    """What openssl on the host says of the files, and of a TLS session made with them."""

    matches: bool = False
    chain: bool = False
    private: bool = False
    served: bool = False
    said: str = ""


@dataclass(frozen=True)
class DeployedPair:
    """A proof on the host itself, with the real files: key and certificate match, the CA signed
    it, nobody else can read the key, and PostgreSQL there shows a certificate of that CA and name.

    Under TLS 1.3 the client is done before the server has judged the client's certificate, so
    this does not show that a login is let in; `DsnProof` does.

    `signer` (PEM) is the CA of the clients, where the one in `ca` signed PostgreSQL's alone.
    """

    ca: str
    certificate: str
    key: str
    hostname: str
    port: int
    signer: str = ""

    def probe(self) -> Probe[PairState]:
        ca, certificate, key = quote(self.ca), quote(self.certificate), quote(self.key)
        where = quote(endpoint(self.hostname, self.port))
        return Probe(
            f"""
of_key=$(openssl pkey -in {key} -pubout)
of_certificate=$(openssl x509 -in {certificate} -noout -pubkey)
[ -n "$of_key" ] && [ "$of_key" = "$of_certificate" ] && echo matches
{self._verify()} && echo chain
[ "$(stat -L -c %a {key})" = 600 ] && echo private
said=$(timeout 10 openssl s_client -starttls postgres -connect {where} -CAfile {ca} \\
    -cert {certificate} -key {key} -verify_hostname {quote(self.hostname)} \\
    -verify_return_error -brief </dev/null 2>&1) && echo served
printf 'said %s\\n' "$(printf '%s' "$said" | grep -i error | tail -n 1)"
""",
            _parse,
        )

    def _verify(self) -> str:
        verify = "openssl verify -purpose sslclient -CAfile"
        of = f"{quote(self.certificate)} >/dev/null"
        if not self.signer:
            return f"{verify} {quote(self.ca)} {of}"
        return f"printf %s {quote(self.signer)} | {verify} /dev/stdin {of}"

    def diff(self, now: PairState) -> Problem | None:
        if not now.matches:
            return Problem(f"{self.key} does not belong to {self.certificate}")
        if not now.chain:
            signer = "the cluster's CA" if self.signer else self.ca
            return Problem(f"{self.certificate} is not signed by {signer} for a client")
        if not now.private:
            return Problem(f"{self.key} can be read by others than root", f"chmod 600 {self.key}")
        if not now.served:
            where = endpoint(self.hostname, self.port)
            return Problem(
                f"no TLS session with {where}: {now.said or 'no answer'}",
                "look at the name in /etc/hosts, at a firewall, and at PostgreSQL's log",
            )
        return None


def _parse(out: bytes) -> PairState:
    lines = out.decode(errors="replace").splitlines()
    said = next((line[5:] for line in lines if line.startswith("said ")), "")
    return PairState(
        matches="matches" in lines,
        chain="chain" in lines,
        private="private" in lines,
        served="served" in lines,
        said=sanitize(said),
    )
