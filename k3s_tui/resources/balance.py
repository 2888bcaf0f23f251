"""Every server answers through the load balancer, as its own log says."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.script import quote


@dataclass(frozen=True)
class BalanceState:
    """How many of the requests were answered, and by which upstreams."""

    asked: int = 0
    answered: int = 0
    upstreams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class EveryServerAnswers:
    """A proof on the load balancer: requests to `url` reach each of `upstreams` (`address:port`).

    `/ping` is what K3s answers without credentials.  Only log lines written by these requests, or
    at the same time, count.
    """

    url: str
    log: str
    upstreams: tuple[str, ...]

    def probe(self) -> Probe[BalanceState]:
        asks = 4 * len(self.upstreams)
        return Probe(
            f"""
log={quote(self.log)}
before=$(wc -c <"$log") || exit
asked=0 answered=0
while [ $asked -lt {asks} ]; do
    asked=$((asked + 1))
    [ "$(curl -sk --max-time 5 {quote(self.url + "/ping")})" != pong ] || answered=$((answered + 1))
done
echo "$asked $answered"
# A session is logged when it has ended, which is a moment after curl has.
sleep 1
tail -c +$((before + 1)) "$log" | sed -n 's/.* "\\([^"]*\\)" [0-9.,: -]*$/\\1/p'
""",
            _parse,
        )

    def diff(self, now: BalanceState) -> Problem | None:
        if now.answered < now.asked or not now.asked:
            return Problem(
                f"{self.url}/ping answered {now.answered} of {now.asked} times",
                f"look at the error log beside {self.log}",
            )
        missing = [upstream for upstream in self.upstreams if upstream not in now.upstreams]
        if missing:
            return Problem(
                f"{', '.join(missing)} did not answer through the load balancer",
                "look at K3s on that server, and for a firewall between the two",
            )
        return None


def _parse(out: bytes) -> BalanceState:
    lines = out.decode(errors="replace").splitlines()
    if not lines:
        return BalanceState()
    asked, answered = map(int, lines[0].split())
    # A request that went to several upstreams lists them all; the last one answered.
    reached = frozenset(line.rpartition(", ")[2] for line in lines[1:])
    return BalanceState(asked, answered, reached)
