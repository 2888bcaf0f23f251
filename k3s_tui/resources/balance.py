"""Every server answers through the load balancer, as its own log says."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize_block
from k3s_tui.hosts.script import quote


@dataclass(frozen=True)
class BalanceState:
    """How many of the requests were answered, and by which upstreams, says the log.

    `busy` are upstreams with which the load balancer has sessions open, and `direct` those that
    answered the load balancer's host itself.
    """

    asked: int = 0
    answered: int = 0
    upstreams: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    direct: frozenset[str] = frozenset()

    @property
    def reached(self) -> frozenset[str]:
        return self.upstreams | (self.busy & self.direct)


@dataclass(frozen=True)
class EveryServerAnswers:
    """A proof on the load balancer: requests to `url` reach each of `upstreams` (`address:port`).

    `/ping` is what K3s answers without credentials.  Only log lines written by these requests, or
    at the same time, count.

    By `least_conn` no request goes to a server that has more sessions than another one, and a
    session (a watch) is logged when it ends, hours later.  A server that the requests left out
    therefore counts when the load balancer has such a session with it, and it answers the same
    host now.
    """

    url: str
    log: str
    upstreams: tuple[str, ...]

    def probe(self) -> Probe[BalanceState]:
        asks = 4 * len(self.upstreams)
        upstreams = " ".join(quote(upstream) for upstream in self.upstreams)
        return Probe(
            f"""
log={quote(self.log)}
answers() {{ [ "$(curl -sk --max-time 5 "$1/ping")" = pong ]; }}
before=$(wc -c <"$log") || exit
lines() {{ tail -c +$((before + 1)) "$log"; }}
asked=0 answered=0
while [ $asked -lt {asks} ]; do
    asked=$((asked + 1))
    ! answers {quote(self.url)} || answered=$((answered + 1))
done
echo "asked $asked"
echo "answered $answered"
for upstream in {upstreams}; do
    ! ss -Htnp state established dst "$upstream" | grep -q '"nginx"' || echo "busy $upstream"
    ! answers "https://$upstream" || echo "direct $upstream"
done
# A session is logged when it has ended, which is a moment after curl has.
left=15
until [ "$(lines | wc -l)" -ge $asked ] || [ $left -eq 0 ]; do
    left=$((left - 1))
    sleep 0.2 2>/dev/null || sleep 1
done
lines | sed -n 's/.* TCP 200 .* "\\([^"]*\\)" [0-9.,: -]*$/logged \\1/p'
""",
            _parse,
        )

    def diff(self, now: BalanceState) -> Problem | None:
        if now.answered < now.asked or not now.asked:
            return Problem(
                f"{self.url}/ping answered {now.answered} of {now.asked} times",
                f"look at the error log beside {self.log}",
            )
        missing = [upstream for upstream in self.upstreams if upstream not in now.reached]
        if missing:
            return Problem(
                f"{', '.join(missing)} did not answer through the load balancer",
                "look at K3s on that server, and for a firewall between the two",
            )
        return None


def _parse(out: bytes) -> BalanceState:
    said: dict[str, list[str]] = {}
    for line in sanitize_block(out.decode(errors="replace")).split("\n"):
        kind, _, rest = line.partition(" ")
        said.setdefault(kind, []).append(rest)
    if "answered" not in said:
        return BalanceState()
    # A request that went to several upstreams lists them all; the last one answered.
    reached = (listed.rpartition(", ")[2] for listed in said.get("logged", ()))
    return BalanceState(
        int(said["asked"][0]),
        int(said["answered"][0]),
        frozenset(reached),
        frozenset(said.get("busy", ())),
        frozenset(said.get("direct", ())),
    )
