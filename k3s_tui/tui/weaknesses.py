"""What the cluster cannot lose, in the operator's language."""

from __future__ import annotations

from k3s_tui.procedure.weaknesses import Code, Weakness
from k3s_tui.tui.language import N_, _, current

TEXTS: dict[Code, str] = {
    "one-datastore": N_(
        "{hosts} runs PostgreSQL alone: while it is down the API does not answer; if its data is "
        "lost, so is the cluster. Make backups."
    ),
    "one-load-balancer": N_(
        "{hosts} is the only load balancer: while it is down, kubectl and new agents reach no "
        "server through it."
    ),
    "no-server": N_("There is no server yet."),
    "one-server": N_("{hosts} is the only server: while it is down there is no API."),
    "one-etcd-server": N_(
        "{hosts} is the only server and holds the cluster's state alone: if its disk is lost, so "
        "is the cluster. Make snapshots."
    ),
    "shared-host": N_("{hosts} has several roles: all of them fail together."),
}


def tell(weakness: Weakness) -> str:
    """English is the procedure's own; other languages have a text for each code."""
    if current() == "en":
        return weakness.text
    return _(TEXTS[weakness.code]).format(hosts=", ".join(weakness.hosts))
