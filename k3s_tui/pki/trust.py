"""Who trusts whom, by the certificates alone: times are nobody's affair here."""

from __future__ import annotations

from k3s_tui.pki.adopt import certificates
from k3s_tui.pki.chain import signed


def trusts(bundle_pem: str, chain_pem: str) -> bool:
    """Whether a peer that was given the bundle trusts who shows the chain (the leaf first).

    Also a CA's own certificate may stand for what it signs: a root signs itself.  One that was
    renewed with its key and name is the same.
    """
    trusted = certificates(bundle_pem)
    shown = certificates(chain_pem)
    if not shown:
        return False
    at, above = shown[0], shown[1:]
    for _ in range(len(shown)):
        if any(signed(at, ca) for ca in trusted):
            return True
        issuer = next((c for c in above if signed(at, c)), None)
        if issuer is None:
            return False
        above.remove(issuer)
        at = issuer
    return False


def names(pem: str) -> str:
    """The subjects in a PEM text: `CN=a and CN=b`."""
    subjects = (certificate.subject.rfc4514_string() for certificate in certificates(pem))
    return " and ".join(dict.fromkeys(subjects))


def issuer(chain_pem: str) -> str:
    """Who signed the leaf; '' for what is no certificate."""
    found = certificates(chain_pem)
    return found[0].issuer.rfc4514_string() if found else ""
