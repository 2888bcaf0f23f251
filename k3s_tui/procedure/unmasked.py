"""Secrets that are too short to be masked: said before anything is run with them."""

from __future__ import annotations

from collections.abc import Iterator

from k3s_tui.core.contract import LAPTOP, Step
from k3s_tui.core.secret import SHORTEST, Secret
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.preflight import Judged, warn
from k3s_tui.procedure.site import Site


def steps(site: Site) -> Steps:
    """A warning for each; where all are long enough there is nothing to look at."""
    return tuple(
        Step(
            f"laptop/preflight/{place.replace('.', '-')}",
            LAPTOP,
            Judged(
                warn(
                    f"the value of {place} has fewer than {SHORTEST} characters: it is not masked"
                    " where something that a host says holds it, on the screen and in the"
                    " recording",
                    hint,
                )
            ),
        )
        for place, secret, hint in _known(site)
        if 0 < len(secret.reveal()) < SHORTEST
    )


def _known(site: Site) -> Iterator[tuple[str, Secret, str]]:
    """By their places in the profile, with what to try."""
    own, theirs = site.credentials, site.profile.datastore.mode == "existing"
    there = "have the database's operator set" if theirs else "take"
    yield (
        "datastore.password",
        own.datastore_password,
        f"{there} a longer one, then: k3s-tui secret set PROFILE datastore.password",
    )
    fixed = "a new cluster should have a longer one; in one that is there it cannot be changed"
    yield "k3s.token", own.token, fixed
    yield "k3s.agent-token", own.agent_token, fixed
