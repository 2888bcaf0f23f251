"""The preflight's rule about clocks: certificates and tokens are a matter of time."""

from __future__ import annotations

from statistics import median_low

from k3s_tui.core.contract import Problem
from k3s_tui.procedure.site import Site

APART, FAR_APART = 2, 30
"""Seconds between two hosts' clocks: told, and refused."""

LEAST_AHEAD, MOST_AHEAD = -45 * 60, 8 * 60
"""Seconds between a host's clock and ours.  Certificates are dated here: backdated by an hour,
and those of the proofs end after ten minutes."""


def clock(site: Site, name: str) -> Problem | None:
    """A host's clock, compared with ours and with those of the other hosts."""
    own = site.clocks[name]
    if own is None:
        return Problem("it does not say its time", "try `date +%s` on it", warning=True)
    ahead, error = own
    if not LEAST_AHEAD - error <= ahead <= MOST_AHEAD + error:
        return Problem(
            f"its clock is {_apart(ahead)} this machine's, by which certificates are dated",
            "look at `date` here and there, and synchronize the one that is wrong",
        )
    return _clock_among(site, name, ahead, error)


def _clock_among(site: Site, name: str, ahead: float, error: float) -> Problem | None:
    """Compared with the host whose clock is the farthest from this one's.

    Of two that are apart, the one to blame is farther from the middle of all: one wrong clock is
    one problem, not as many as there are hosts.
    """
    clocks = {other: clock for other, clock in site.clocks.items() if clock and other != name}
    if not clocks:
        return None
    middle = median_low((ahead, *(its for its, _ in clocks.values())))
    farthest = max(clocks, key=lambda other: abs(ahead - clocks[other][0]))
    its, its_error = clocks[farthest]
    if abs(ahead - middle) < abs(its - middle):
        return None
    apart = abs(ahead - its) - max(error, its_error)
    text = f"its clock is {_apart(ahead - its)} that of {farthest}"
    fix = "synchronize it: `timedatectl set-ntp true`, or chrony, and look at `timedatectl`"
    if apart > FAR_APART:
        return Problem(text, fix)
    return Problem(text, fix, warning=True) if apart > APART else None


def _apart(seconds: float) -> str:
    """`31 s ahead of`, `65 min behind`."""
    size = abs(seconds)
    told = f"{size:.0f} s" if size < 600 else f"{size / 60:.0f} min"
    return f"{told} {'ahead of' if seconds > 0 else 'behind'}"
