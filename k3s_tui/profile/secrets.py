"""From references to secrets: asked once, decrypted once, never written anywhere."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.ask import Ask, Question
from k3s_tui.core.errors import CredentialsError, SecretMissing
from k3s_tui.core.files import at_home
from k3s_tui.core.secret import Secret
from k3s_tui.profile.generate import check_token
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import secrets_file
from k3s_tui.profile.reference import SecretRef
from k3s_tui.profile.store import CA_CERTIFICATE, CA_KEY, Store, read_sealed

PASSPHRASE_FLAG = "--passphrase-file"
PASSPHRASE_VARIABLE = "K3S_TUI_PASSPHRASE_FILE"

SHORTEST_PASSPHRASE = 8

_NOTHING = Secret("")


@dataclass(frozen=True, slots=True)
class ClusterSecrets:
    """What a run needs; the CA as PEM, its key PKCS#8.

    What the profile's mode of the datastore has no use for is empty.
    """

    datastore_password: Secret
    token: Secret
    agent_token: Secret
    ca_key: Secret
    ca_certificate: str


class Resolver:
    """Resolves the references of one profile, each at most once.

    Every failure is a `CredentialsError` (exit 4) that says what to do.
    """

    def __init__(
        self,
        profile: Path,
        ask: Ask,
        *,
        passphrase_file: Path | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._profile = profile
        self._ask = ask
        self._passphrase_file = passphrase_file
        self._environ = environ
        self._store: Store | None = None
        self._passphrase: Secret | None = None
        self._known: dict[tuple[SecretRef, str], Secret] = {}
        self._turn = asyncio.Lock()

    async def resolve(self, reference: SecretRef, purpose: str) -> Secret:
        """`purpose` is the reference's place in the profile; questions and errors name it."""
        async with self._turn:
            key = (reference, purpose if reference.scheme == "prompt" else "")
            if key not in self._known:
                self._known[key] = await self._look_up(reference, purpose)
            return self._known[key]

    async def cluster(self, profile: Profile) -> ClusterSecrets:
        """All secrets of a run, checked.  The sudo password is the connections' affair."""
        values = {
            place: await self.resolve(reference, place)
            for place, reference in profile.secret_refs.items()
            if place not in ("ssh.sudo-password", "pki.ca-key-passphrase")
        }
        token, agent_token = values["k3s.token"], values["k3s.agent-token"]
        check_token(token, "k3s.token")
        check_token(agent_token, "k3s.agent-token")
        if token == agent_token:
            raise CredentialsError(
                "k3s.token and k3s.agent-token have the same value: agents could become servers",
                hint="give the agents a token of their own",
            )
        key, certificate = await self._authority() if profile.has_authority else (_NOTHING, "")
        password = values.get("datastore.password", _NOTHING)
        return ClusterSecrets(password, token, agent_token, key, certificate)

    async def _authority(self) -> tuple[Secret, str]:
        store = await self.store()
        return store.get(CA_KEY), store.get(CA_CERTIFICATE).reveal()

    async def store(self) -> Store:
        """The profile's store, opened once."""
        if self._store is None:
            path = secrets_file(self._profile)
            read_sealed(path)  # Without a store, ask for no passphrase.
            self._store = await Store.open(path, await self.passphrase())
            self._passphrase = self._store.passphrase
        return self._store

    def choose(self, passphrase: Secret) -> None:
        """Take this passphrase, rather than ask for one: that of a store still to be made."""
        self._passphrase = passphrase

    def adopt(self, store: Store) -> None:
        """Go on with a store that was made or changed meanwhile."""
        self._store, self._passphrase = store, store.passphrase
        self._known.clear()

    @property
    def passphrase_file(self) -> Path | None:
        """The file that holds the store's passphrase, when one was named."""
        named = self._passphrase_file or self._environ.get(PASSPHRASE_VARIABLE)
        return Path(named) if named else None

    async def passphrase(self) -> Secret:
        """The passphrase of the store there is: from the file that was named, or asked.

        One that has opened the store, or was chosen for it, is not asked again.
        """
        if self._passphrase is not None:
            return self._passphrase
        if self.passphrase_file is not None:
            return read_secret_file(self.passphrase_file, "the passphrase")
        question = Question("Passphrase of {path}", path=str(secrets_file(self._profile)))
        return await self._ask.secret(question, flag=PASSPHRASE_FLAG)

    async def new_passphrase(self, file: Path | None, flag: str) -> Secret:
        """A passphrase to encrypt by: from a file, or asked twice; `flag` would name the file."""
        if file is not None:
            chosen = read_secret_file(file, "the new passphrase")
        elif self._passphrase is not None and not secrets_file(self._profile).exists():
            chosen = self._passphrase
        else:
            question = Question("New passphrase of {path}", path=str(secrets_file(self._profile)))
            chosen = await self._ask.secret(question, flag=flag)
            again = Question("The same passphrase again")
            if chosen != await self._ask.secret(again, flag=flag):
                raise CredentialsError("the two passphrases differ", hint="try again")
        if len(chosen.reveal()) < SHORTEST_PASSPHRASE:
            raise CredentialsError(
                f"the passphrase is shorter than {SHORTEST_PASSPHRASE} characters",
                hint="it protects every secret of the cluster: some random words will do",
            )
        return chosen

    async def _look_up(self, reference: SecretRef, purpose: str) -> Secret:
        rest = reference.rest
        match reference.scheme:
            case "store":
                return (await self.store()).get(rest)
            case "file":
                return read_secret_file(self._beside_profile(rest), purpose)
            case "env":
                return self._variable(rest, purpose)
            case "keyring":
                return await asyncio.to_thread(_from_keyring, rest, purpose)
            case "prompt":
                answer = await self._ask.secret(purpose, flag=f"another reference for {purpose}")
                if not answer:
                    raise SecretMissing(f"{purpose}: nothing was entered")
                return answer

    def _beside_profile(self, path: str) -> Path:
        """A relative path is relative to the profile, so that both can move together."""
        return self._profile.parent / at_home(path)

    def _variable(self, name: str, purpose: str) -> Secret:
        value = self._environ.get(name, "")
        if not value:
            raise SecretMissing(
                f"{purpose}: the environment variable {name} is not set", hint=f"set {name}"
            )
        return Secret(value)


def read_secret_file(path: Path, purpose: str) -> Secret:
    """The first line of a file that nobody else can read.  Raises CredentialsError."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise CredentialsError(
                    f"{purpose}: others can read {path}", hint=f"chmod 600 {path}"
                )
            line = file.readline(1 << 16).decode().rstrip("\r\n")
    except FileNotFoundError:
        raise SecretMissing(f"{purpose}: {path} does not exist") from None
    except OSError as error:
        raise CredentialsError(f"{purpose}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"{purpose}: {path} is not UTF-8 text") from None
    if not line:
        raise SecretMissing(f"{purpose}: the first line of {path} is empty")
    return Secret(line)


def _from_keyring(place: str, purpose: str) -> Secret:
    service, _, user = place.partition("/")
    try:
        import keyring
    except ImportError:
        raise SecretMissing(
            f"{purpose}: the keyring library is not installed",
            hint="pip install 'k3s-tui[keyring]', or use another reference",
        ) from None
    try:
        value = keyring.get_password(service, user)
    except Exception as error:  # Each backend has errors of its own.
        raise CredentialsError(
            f"{purpose}: the keyring does not answer ({type(error).__name__})",
            hint="a machine without a desktop has none: use another reference",
        ) from None
    if not value:
        raise SecretMissing(
            f"{purpose}: the keyring has nothing for {service}/{user}",
            hint=f"keyring set {service} {user}",
        )
    return Secret(value)
