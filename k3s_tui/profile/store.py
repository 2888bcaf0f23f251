"""`NAME.secrets`: the secrets of one cluster, encrypted by a passphrase.

The file is in the age format, so `age --decrypt NAME.secrets` opens it without this program.
Inside is TOML: one `"key" = "value"` for each secret.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from k3s_tui.core.errors import CredentialsError, SecretMissing
from k3s_tui.core.files import write_atomically
from k3s_tui.core.secret import Secret
from k3s_tui.profile import age

CA_KEY = "pki.ca-key"
CA_CERTIFICATE = "pki.ca-certificate"
"""The store's own keys; the profile refers to neither."""


@dataclass(frozen=True)
class Store:
    """A decrypted store, in memory.  Deriving the key takes about a second: open it once."""

    path: Path
    passphrase: Secret
    _values: Mapping[str, Secret] = field(default_factory=dict, repr=False)

    @classmethod
    async def open(cls, path: Path, passphrase: Secret) -> Store:
        """Raises SecretMissing without a file, CredentialsError when it does not open."""
        sealed = read_sealed(path)
        content = await _decrypt(sealed, passphrase, path)
        return cls(path, passphrase, _parse(content, path))

    async def save(self) -> None:
        """Write the file, 0600, in full or not at all.  Raises CredentialsError."""
        sealed = await age.encrypt(_format(self._values), self.passphrase.reveal())
        try:
            write_atomically(self.path, sealed, 0o600)
        except OSError as error:
            raise CredentialsError(
                f"cannot write the secret store {self.path}: {error.strerror}"
            ) from None

    def get(self, key: str) -> Secret:
        """Raises SecretMissing."""
        try:
            return self._values[key]
        except KeyError:
            raise SecretMissing(
                f"the secret store {self.path} has no {key}",
                hint=f"put it in: k3s-tui secret set {profile_of(self.path)} {key}",
            ) from None

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._values))

    def put(self, values: Mapping[str, Secret]) -> Store:
        """A store that also holds `values`; it is on disk only after `save()`."""
        return Store(self.path, self.passphrase, {**self._values, **values})

    def rekeyed(self, passphrase: Secret) -> Store:
        """The same secrets under another passphrase; it is on disk only after `save()`."""
        return Store(self.path, passphrase, self._values)


def read_sealed(path: Path) -> bytes:
    """The store as it lies on disk.  Raises SecretMissing, with what to do, when it does not."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        profile = profile_of(path)
        raise SecretMissing(
            f"the secret store {path} does not exist, and only secret init makes secrets",
            hint=f"for a new cluster: k3s-tui secret init {profile}; for an existing cluster "
            f"restore your backup of {path.name}: with other secrets it would become another one",
        ) from None
    except OSError as error:
        raise CredentialsError(f"cannot read the secret store {path}: {error.strerror}") from None


def profile_of(path: Path) -> Path:
    """The profile that a store lies beside, for messages."""
    return path.with_suffix(".toml")


async def _decrypt(sealed: bytes, passphrase: Secret, path: Path) -> bytes:
    try:
        return await age.decrypt(sealed, passphrase.reveal())
    except age.WrongPassphrase:
        raise CredentialsError(
            f"the passphrase does not open the secret store {path}",
            hint="nothing was changed; try again, or look at --passphrase-file and "
            "K3S_TUI_PASSPHRASE_FILE",
        ) from None
    except age.Damaged:
        raise _damaged(path) from None


def _parse(content: bytes, path: Path) -> dict[str, Secret]:
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    if not all(isinstance(value, str) for value in document.values()):
        raise _damaged(path)
    return {key: Secret(value) for key, value in document.items()}


def _format(values: Mapping[str, Secret]) -> bytes:
    import tomli_w

    return tomli_w.dumps({key: values[key].reveal() for key in sorted(values)}).encode()


def _damaged(path: Path) -> CredentialsError:
    return CredentialsError(
        f"{path} is damaged, or no secret store", hint=f"restore your backup of {path.name}"
    )
