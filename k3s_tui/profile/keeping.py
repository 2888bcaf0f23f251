"""`k3s-tui secret …`: the only code that makes or changes secrets.

`apply` never does: after a lost store, new secrets would make a second cluster beside the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from k3s_tui.core.errors import CredentialsError, UsageError
from k3s_tui.core.secret import Secret
from k3s_tui.profile.generate import check_token, generate
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import exclusive, secrets_file
from k3s_tui.profile.reference import NotAReference, SecretRef
from k3s_tui.profile.secrets import PASSPHRASE_FLAG, Resolver
from k3s_tui.profile.store import CA_CERTIFICATE, CA_KEY, Store, read_sealed

MakeCa: TypeAlias = Callable[[], tuple[Secret, str]]
"""A new CA: its key (PKCS#8 PEM) and its certificate (PEM)."""

_TOKENS = ("k3s.token", "k3s.agent-token")


@dataclass(frozen=True, slots=True)
class Initialized:
    """Keys of the store that were made, those that were there before, and those that only a
    person can put in.
    """

    made: list[str]
    kept: list[str]
    missing: list[str] = field(default_factory=list)


async def init_store(
    profile: Profile,
    path: Path,
    resolver: Resolver,
    make_ca: MakeCa,
    given: Mapping[str, Secret] | None = None,
) -> Initialized:
    """Make what is missing of the profile's secrets.  `path` is the profile's.

    `given` are values that somebody chose, by their keys in the store; what else is in the store
    stays as it is.  Raises CredentialsError.
    """
    given = given or {}
    for place, key in _tokens(profile):
        if key in given:
            check_token(given[key], place)
    file = secrets_file(path)
    if file.exists():
        passphrase = await resolver.passphrase()
    else:
        passphrase = await resolver.new_passphrase(resolver.passphrase_file, PASSPHRASE_FLAG)
    with exclusive(file):
        exists = file.exists()
        store = await Store.open(file, passphrase) if exists else Store(file, passphrase)
        new = {key: generate() for key in _needed(profile) if key not in store}
        new |= {**(_missing_ca(store, make_ca) if profile.has_authority else {}), **given}
        if new:
            store = store.put(new)
            await store.save()
        resolver.adopt(store)
    return Initialized(
        sorted(new),
        [key for key in store if key not in new],
        [key for key in _known_to_people(profile) if key not in store],
    )


async def set_secret(
    profile: Profile, path: Path, resolver: Resolver, key: str, value: Secret
) -> None:
    """Put one secret into the store, which must exist.

    Raises UsageError for what is no key, CredentialsError for a value that cannot work.
    """
    try:
        SecretRef.parse(f"store:{key}")
    except NotAReference:
        raise UsageError(
            f"{key!r} cannot be a key of the store", hint="k3s.token, for example"
        ) from None
    if not value:
        raise CredentialsError(f"the value of {key} is empty")
    for place, token in _tokens(profile):
        if token == key:
            check_token(value, place)
    await _change(path, resolver, lambda store: store.put({key: value}))


async def rekey(path: Path, resolver: Resolver, new_file: Path | None) -> None:
    """Encrypt the store again: by the passphrase in `new_file`, or one that is asked."""
    read_sealed(secrets_file(path))
    new = await resolver.new_passphrase(new_file, "--new-passphrase-file")
    await _change(path, resolver, lambda store: store.rekeyed(new))


async def _change(path: Path, resolver: Resolver, change: Callable[[Store], Store]) -> None:
    file = secrets_file(path)
    read_sealed(file)  # Without a store, ask for no passphrase.
    passphrase = await resolver.passphrase()
    with exclusive(file):
        await change(await Store.open(file, passphrase)).save()


def _tokens(profile: Profile) -> list[tuple[str, str]]:
    """Where the profile speaks of a token that lies in the store, and under which key."""
    return [(place, key) for place, key in _in_store(profile).items() if place in _TOKENS]


def _needed(profile: Profile) -> list[str]:
    """Keys that the profile's references name, without those that only a person can know."""
    known = _known_to_people(profile)
    return [key for key in _in_store(profile).values() if key not in known]


def _known_to_people(profile: Profile) -> list[str]:
    """Keys of what others have chosen: nothing that is made here would be right."""
    places = {"ssh.sudo-password", "pki.ca-key-passphrase"}
    if profile.datastore.mode == "existing":
        places.add("datastore.password")
    return [key for place, key in _in_store(profile).items() if place in places]


def _in_store(profile: Profile) -> dict[str, str]:
    """Keys of the store, by the places of the profile that name them."""
    refs = profile.secret_refs.items()
    return {place: reference.rest for place, reference in refs if reference.scheme == "store"}


def _missing_ca(store: Store, make_ca: MakeCa) -> Mapping[str, Secret]:
    there = [key in store for key in (CA_KEY, CA_CERTIFICATE)]
    if all(there):
        return {}
    if any(there):
        raise CredentialsError(
            f"the secret store {store.path} holds only half of the certificate authority",
            hint=f"put back {CA_KEY if not there[0] else CA_CERTIFICATE} from a backup",
        )
    key, certificate = make_ca()
    return {CA_KEY: key, CA_CERTIFICATE: Secret(certificate)}
