"""`check`: is the profile right?  Offline, and without whatever talks to hosts."""

from __future__ import annotations

import sys
from pathlib import Path

from k3s_tui.core.errors import Exit
from k3s_tui.profile.load import Loaded, read


def check(profile: Path) -> Exit:
    """Raises ProfileInvalid, which says everything that is wrong; CredentialsError for its PKI."""
    loaded = read(profile)
    warn(loaded, profile)
    if loaded.profile.pki.ca is not None:
        from k3s_tui.procedure import own_pki

        own_pki.offline(loaded.profile, profile)
    print(f"{profile} is a valid profile of {len(loaded.profile.hosts)} hosts")
    return Exit.OK


def warn(loaded: Loaded, profile: Path) -> None:
    """Say what is allowed in a profile, and probably not meant."""
    if loaded.warnings:
        from k3s_tui.profile.render import render

        print(render(loaded.warnings, loaded.source, str(profile)), file=sys.stderr)
