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

    profile = draft.checked.profile
    own = profile.has_certificates and not profile.has_authority
    path = draft.path if own else Path(draft.path.name)
    wanted = expected(profile, now, profile_path=path)
    if plan is None or own:
        return wanted
    return with_existing(wanted, ca_pem=_authority_of(plan), plan=plan)


def _authority_of(plan: Plan) -> str:
    """The CA that a plan was made with, as PEM; '' when it does not say."""
    from k3s_tui.procedure.leaves import TLS
    from k3s_tui.resources.file import File

    for step in plan.items:
        if isinstance(step.ensure, File) and step.ensure.path == TLS.ca:
            content = step.ensure.content
            return content if isinstance(content, str) else ""
    return ""


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
