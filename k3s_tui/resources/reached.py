"""A load balancer that is not ours: it is seen from the servers, by what arrives there."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.address import endpoint
from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize_block
from k3s_tui.hosts.script import quote
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA

_CERTIFICATE_TROUBLE = {"51", "60"}
"""curl's exit statuses for a name that is not in the certificate, and for a chain of another CA;
newer ones have the second for both."""
_OTHER_NAME = "subject name"
"""What curl says of a name that is not there, whatever its TLS library; the chain holds by then."""


@dataclass(frozen=True)
class AnswerState:
    """What came back from the registration address: curl's exit status, its words, the body."""

    status: str = ""
    said: str = ""
    body: str = ""


@dataclass(frozen=True)
class RegistrationAnswers:
    """On a server: `url` leads to an API of this cluster, whose certificate names the address."""

    url: str

    def probe(self) -> Probe[AnswerState]:
        return Probe(
            f"""
said=$(curl -sS --max-time 5 --cacert {quote(CLUSTER_CA)} {quote(self.url)}/ping 2>&1)
echo "status $?"
printf 'said %s\\n' "$said"
""",
            _answer,
        )

    def diff(self, now: AnswerState) -> Problem | None:
        if now.status == "0" and now.body == "pong":
            return None
        if now.status in _CERTIFICATE_TROUBLE and _OTHER_NAME in now.said:
            return Problem(
                f"{self.url} answers with this cluster's certificate, which does not hold that "
                f"address: {now.said}",
                "k3s-tui apply puts it into tls-san on every server and restarts them; if it is "
                "missing after that, K3s goes on with a certificate that it kept: kubectl -n "
                "kube-system delete secret k3s-serving, then on every server remove "
                "/var/lib/rancher/k3s/server/tls/dynamic-cert.json and restart k3s",
            )
        if now.status in _CERTIFICATE_TROUBLE:
            return Problem(
                f"{self.url} answers with a certificate that is not this cluster's: {now.said}",
                "the load balancer must pass TLS on as it is (layer 4), to these servers and to "
                "no others; a name of its own belongs into k3s.tls-san",
            )
        return Problem(
            f"{self.url}/ping does not answer: {now.said or 'nothing came back'}",
            "look at the load balancer: does it listen there, and forward to the servers?",
        )


def _answer(out: bytes) -> AnswerState:
    text = sanitize_block(out.decode(errors="replace"))
    status, _, said = text.partition("\n")
    said = said.removeprefix("said ").strip()
    return AnswerState(status.removeprefix("status ").strip(), said[:400], said)


@dataclass(frozen=True)
class ReachedState:
    """Connections that were asked for at the load balancer, and those that arrived meanwhile."""

    asked: int = 0
    arrived: int = 0


@dataclass(frozen=True)
class ServerIsReached:
    """On a server: of `asks` connections held open to the load balancer, some arrive here.

    Counted are connections to the API's port that were not there before and are gone afterwards.
    """

    address: str
    port: int
    api_port: int
    asks: int

    def probe(self) -> Probe[ReachedState]:
        target = endpoint(self.address, self.port)
        return Probe(
            f"""
here() {{
    ss -Htn state established "( sport = :{self.api_port} )" | awk '{{ print $NF }}'
}}
before=$(here)
asked=0
while [ $asked -lt {self.asks} ]; do
    asked=$((asked + 1))
    sleep 3 | openssl s_client -connect {quote(target)} >/dev/null 2>&1 &
done
during=
tries=0
while [ $tries -lt 4 ]; do
    tries=$((tries + 1))
    sleep 0.5 2>/dev/null || sleep 1
    during="$during
$(here)"
done
wait
after=$(here)
echo "asked $asked"
echo "arrived $(printf '%s' "$during" | sort -u | grep -vxF -e "$before" -e "$after" -e '' | wc -l)"
""",
            _reached,
        )

    def diff(self, now: ReachedState) -> Problem | None:
        if now.arrived:
            return None
        return Problem(
            f"none of {now.asked} connections to the load balancer came to this server",
            "is it among the servers that the load balancer forwards to, and its health check "
            "content? One that sends all of a client to one server cannot be proved like this",
        )


def _reached(out: bytes) -> ReachedState:
    said = dict(line.split(" ", 1) for line in out.decode(errors="replace").splitlines() if line)
    try:
        return ReachedState(int(said["asked"]), int(said["arrived"]))
    except (KeyError, ValueError):
        return ReachedState()
