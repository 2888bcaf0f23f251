"""Who does what the wizard has collected: the engine on real hosts, or a recording of it."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from k3s_tui.core.errors import CredentialsError, Interrupted
from k3s_tui.engine.plan import Plan
from k3s_tui.procedure.probing import Prober
from k3s_tui.procedure.secrets import make_secrets
from k3s_tui.procedure.verbs import Hints
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import kubeconfig_file, secrets_file
from k3s_tui.profile.secrets import Resolver
from k3s_tui.tui.controller import RunController, Watched
from k3s_tui.tui.dialogs.new_passphrase import NewPassphraseDialog
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import _

if TYPE_CHECKING:
    from k3s_tui.procedure.proving import Proved
    from k3s_tui.tui.ask import DialogAsk


Prover: TypeAlias = "Callable[[str], Awaitable[Proved]]"
"""Takes a server's name."""


class Backend(Protocol):
    """What the wizard drives, once it has collected."""

    @property
    def note(self) -> str:
        """What every screen's title says of it; '' for real hosts."""
        ...

    async def prepare(self, draft: Draft) -> Profile:
        """Save the profile, and see to it that its secrets are there."""
        ...

    async def prober(self, draft: Draft) -> Prober | None:
        """Who looks at single hosts of an unfinished draft; None when there are no hosts.

        Raises OperatorError when a secret that it needs cannot be had.
        """
        ...

    async def prover(self, draft: Draft) -> Prover | None:
        """Who logs in to a datastore that is somebody else's, from one server at a time; None when
        there are no hosts.

        Raises OperatorError when a secret that it needs cannot be had.
        """
        ...

    async def plan(self, profile: Profile, *, allow_restart: bool) -> Plan:
        """Look at the hosts, and change nothing.  Raises OperatorError, or a group of them."""
        ...

    def start(self, profile: Profile, reviewed: Plan, *, allow_restart: bool) -> Watched:
        """Carry out what was reviewed."""
        ...

    def verify(self, profile: Profile) -> Watched:
        """Prove the cluster as it is, and change nothing."""
        ...


class Engine:
    """Real hosts.  Asks for the passphrase once, for as long as one works on a profile."""

    note = ""

    def __init__(self, draft: Draft, secrets: Resolver, ask: DialogAsk) -> None:
        self._draft = draft
        self._secrets = secrets
        self._ask = ask
        self._prober: Prober | None = None

    async def prepare(self, draft: Draft) -> Profile:
        """Secrets are made here and never later: a run without them is refused."""
        profile = draft.save()
        store = secrets_file(draft.path)
        if not store.exists() and self._secrets.passphrase_file is None:
            chosen = await self._ask.show(NewPassphraseDialog(str(store)))
            if chosen is None:
                raise CredentialsError(_("without a passphrase there is no place for the secrets"))
            self._secrets.choose(chosen)
        await make_secrets(profile, draft.path, self._secrets, draft.secrets)
        draft.secrets.clear()
        return profile

    async def prober(self, draft: Draft) -> Prober:
        profile = draft.checked.profile
        sudo = None
        if (password := profile.ssh.sudo_password) is not None:
            typed = draft.secrets.get(password.rest) if password.scheme == "store" else None
            sudo = typed or await self._secrets.resolve(password, "ssh.sudo-password")
        if self._prober is None:  # one for all: it remembers the passphrases of keys
            self._prober = Prober(profile, draft.path, self._ask)
        self._prober.use(profile, draft.path, sudo)
        return self._prober

    async def prover(self, draft: Draft) -> Prover:
        # Loaded late: it brings all of the cryptography along, and most drafts need none of it.
        from k3s_tui.procedure.proving import prove

        profile = draft.checked.profile
        reference = profile.datastore.password
        assert reference is not None, "the rules see to it"
        typed = draft.secrets.get(reference.rest) if reference.scheme == "store" else None
        password = typed or await self._secrets.resolve(reference, "datastore.password")
        return partial(prove, await self.prober(draft), profile, draft.path, password)

    async def plan(self, profile: Profile, *, allow_restart: bool) -> Plan:
        return await self._controller(profile, allow_restart).plan()

    def start(self, profile: Profile, reviewed: Plan, *, allow_restart: bool) -> RunController:
        """If the hosts have changed since the review, it is asked again."""

        async def confirm(found: Plan) -> None:
            if covers(reviewed, found):
                return
            question = _("The hosts have changed since you saw the plan. Go on all the same?")
            if not await self._ask.confirm(question, flag="--yes"):
                raise Interrupted("not confirmed; nothing was changed")

        controller = self._controller(profile, allow_restart)
        controller.start(confirm)
        return controller

    def verify(self, profile: Profile) -> RunController:
        controller = self._controller(profile)
        controller.start_verification()
        return controller

    def _controller(self, profile: Profile, allow_restart: bool = False) -> RunController:
        path = self._draft.path
        kubeconfig = shlex.quote(str(kubeconfig_file(path)))
        hints = Hints(
            resume=f"run again to resume: {shlex.join(['k3s-tui', 'apply', str(path)])}",
            use=f"KUBECONFIG={kubeconfig} kubectl get nodes",
        )
        return RunController(path, profile, self._secrets, self._ask, hints, allow_restart)


def covers(reviewed: Plan, found: Plan) -> bool:
    """Whether the operator has agreed to all that `found` would do.

    What was to be known later may turn out to be anything; so a run that goes on where one ended
    is not asked about again.
    """
    agreed = {item.step.id: item for item in reviewed.items.values()}
    for item in found.items.values():
        if item.verdict not in ("change", "later"):
            continue
        before = agreed.get(item.step.id)
        if before is None or before.verdict not in ("change", "later"):
            return False
        changes = before.verdict == item.verdict == "change"
        if changes and (before.summary, before.diff) != (item.summary, item.diff):
            return False
    return True
