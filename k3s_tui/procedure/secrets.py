"""The secrets of a new cluster: generated, or chosen by the operator, and its datastore's CA."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import Authority
from k3s_tui.profile.keeping import Initialized, init_store
from k3s_tui.profile.model import Profile
from k3s_tui.profile.secrets import Resolver


def authority_name(profile: Profile) -> str:
    """The common name of the CA that signs for this cluster's datastore."""
    return f"k3s-tui {profile.name} datastore CA"


async def make_secrets(
    profile: Profile, path: Path, resolver: Resolver, given: Mapping[str, Secret] | None = None
) -> Initialized:
    """Make what is missing; `given` are chosen values by their keys.  Raises CredentialsError."""

    def make_ca() -> tuple[Secret, str]:
        now = datetime.now(UTC)
        authority = Authority.create(authority_name(profile), profile.pki.ca_days, now)
        return authority.key, authority.certificate_pem

    return await init_store(profile, path, resolver, make_ca, given)
