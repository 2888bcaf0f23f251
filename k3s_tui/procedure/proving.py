"""A database that is somebody else's, tried from one server at a time, before there is a plan.

Reads only, as the probes do: it is the login that `apply` will do, without its look at the rows.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.contract import Hands, Problem
from k3s_tui.core.errors import HostKeyUnknown, OperatorError
from k3s_tui.core.secret import Secret
from k3s_tui.procedure import database_files, existing_datastore
from k3s_tui.procedure.probing import Prober
from k3s_tui.profile.model import Profile
from k3s_tui.resources.mysql import login as mysql
from k3s_tui.resources.mysql.proof import MysqlProof
from k3s_tui.resources.postgres.elsewhere import ElsewhereProof
from k3s_tui.resources.postgres.login import Outcome
from k3s_tui.resources.postgres.proof import DsnProof

_NO_TOKEN = Secret("")
"""Nobody looks at the rows here: whose they are is asked by the plan."""


@dataclass(frozen=True)
class Proved:
    """What came back.  With a `problem` that is no warning, K3s could not log in from there.

    `tls` is the version, and `address` what the database saw this server come from; both are ''
    for what did not get that far.
    """

    host: str
    tls: str = ""
    address: str = ""
    problem: Problem | None = None


async def prove(
    prober: Prober, profile: Profile, path: Path, password: Secret, name: str
) -> Proved:
    """Log in from the server `name`.  Whatever is wrong is told in what is returned."""
    try:
        files = await asyncio.to_thread(database_files.read, profile, path)
        login = existing_datastore.login_by(profile, files, password)
        if profile.datastore.engine == "mysql":

            async def ask(on: Hands) -> Outcome:
                return await mysql.log_in(on, login)

            outcome = await prober.ask(name, ask)
            found = MysqlProof(login, _NO_TOKEN).diff(outcome)
        else:
            probe = DsnProof(login).probe()
            assert not isinstance(probe.ask, str)
            outcome = probe.parse(await prober.ask(name, probe.ask))
            found = ElsewhereProof(login, _NO_TOKEN).diff(outcome)
    except HostKeyUnknown as unknown:
        hint = "look at this host on step 1 first, and compare its key"
        return Proved(name, problem=Problem(unknown.text, hint))
    except OperatorError as error:
        return Proved(name, problem=Problem(error.text, error.hint))
    problem = found if isinstance(found, Problem) else None
    return Proved(name, outcome.version, outcome.address, problem)
