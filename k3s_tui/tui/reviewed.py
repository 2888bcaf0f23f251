"""Which certificates the operator has looked at, and whether they still say the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from k3s_tui.engine.plan import Plan
from k3s_tui.tui.draft import Draft

if TYPE_CHECKING:
    from k3s_tui.procedure.certificates import Certificate


def certificates(draft: Draft, now: datetime, plan: Plan | None = None) -> tuple[Certificate, ...]:
    """Those that the draft will have, with what a look at the hosts has found.

    Their store has no folder, as it lies beside the profile; own files are read from there.
    """
    # Loaded late: it brings all of the cryptography along, and other screens need none.
    from k3s_tui.procedure.certificates import expected, with_existing
    from k3s_tui.procedure.theirs import authority_of, with_theirs

    profile = draft.checked.profile
    own = profile.has_certificates and not profile.has_authority
    path = draft.path if own else Path(draft.path.name)
    wanted = expected(profile, now, profile_path=path)
    if plan is None:
        return wanted
    if not own:
        wanted = with_existing(wanted, ca_pem=authority_of(plan), plan=plan)
    return tuple(with_theirs(wanted, plan))


def stale(draft: Draft, found: Sequence[Certificate]) -> tuple[str, ...]:
    """Ids of those that say something else than when they were looked at, or are new or gone."""
    from k3s_tui.procedure.certificates import review_key

    if not draft.reviewed:
        return ()
    keys = {certificate.id: review_key(certificate) for certificate in found}
    every = dict.fromkeys((*keys, *draft.reviewed))
    return tuple(id for id in every if keys.get(id) != draft.reviewed.get(id))


def needs_review(draft: Draft) -> bool:
    """Whether certificates that were looked at have changed since."""
    return bool(draft.reviewed) and bool(stale(draft, certificates(draft, datetime.now(UTC))))


def mark_reviewed(draft: Draft, found: Sequence[Certificate]) -> None:
    """The operator has looked at these."""
    from k3s_tui.procedure.certificates import review_key

    draft.reviewed = {certificate.id: review_key(certificate) for certificate in found}
