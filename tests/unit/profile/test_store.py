"""The encrypted store, through real age.  Deriving a key is slow: one sealed file serves many."""

from __future__ import annotations

import asyncio
import re
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from k3s_tui.core.errors import CredentialsError, Exit, SecretMissing, UsageError
from k3s_tui.core.secret import Secret
from k3s_tui.profile import age
from k3s_tui.profile.generate import check_token, generate
from k3s_tui.profile.keeping import init_store, rekey, set_secret
from k3s_tui.profile.load import load, parse
from k3s_tui.profile.model import Profile
from k3s_tui.profile.reference import SecretRef
from k3s_tui.profile.secrets import Resolver, read_secret_file
from k3s_tui.profile.store import CA_CERTIFICATE, CA_KEY, Store
from tests.unit.profile.documents import HOW_TO, TEXT

PROFILE = parse(TEXT, "x").profile
PASSPHRASE = "correct horse battery"
KEYS = ["datastore.password", "k3s.agent-token", "k3s.token", CA_CERTIFICATE, CA_KEY]


class Answers:
    """Answers questions in order, and remembers what was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    async def secret(self, question: str, *, flag: str) -> Secret:
        self.asked.append((question, flag))
        return Secret(self.answers.pop(0))

    async def confirm(self, question: str, *, flag: str) -> bool:
        raise AssertionError("nothing to confirm")


def make_ca() -> tuple[Secret, str]:
    return Secret("-----BEGIN-----\nkey\n-----END-----\n"), "certificate\n"


def no_ca() -> tuple[Secret, str]:
    raise AssertionError("there is a CA already")


def resolver(
    folder: Path, *answers: str, environ: Mapping[str, str] | None = None
) -> tuple[Resolver, Answers]:
    ask = Answers(*answers)
    return Resolver(folder / "how-to.toml", ask, environ=environ or {}), ask


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("sealed")
    secrets, ask = resolver(folder, PASSPHRASE, PASSPHRASE)
    result = asyncio.run(init_store(PROFILE, folder / "how-to.toml", secrets, make_ca))
    assert (result.made, result.kept) == (sorted(KEYS), [])
    assert len(ask.asked) == 2 and {flag for _, flag in ask.asked} == {"--passphrase-file"}
    path = folder / "how-to.secrets"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, sealed: bytes) -> Path:
    (tmp_path / "how-to.secrets").write_bytes(sealed)
    return tmp_path


async def test_a_run_asks_once_and_gets_all(folder: Path) -> None:
    secrets, ask = resolver(folder, PASSPHRASE)
    found = await secrets.cluster(PROFILE)
    for secret in (found.token, found.agent_token, found.datastore_password):
        assert re.fullmatch(r"[A-Za-z0-9_-]{32}", secret.reveal())
    assert found.ca_key == make_ca()[0] and found.ca_certificate == "certificate\n"
    assert len({found.token, found.agent_token, found.datastore_password}) == 3
    assert len(ask.asked) == 1
    assert found.token.reveal() not in repr(found) + repr(await secrets.store())


async def test_init_makes_only_what_is_missing(folder: Path) -> None:
    path = folder / "how-to.toml"
    secrets, _ = resolver(folder, PASSPHRASE)
    before = (folder / "how-to.secrets").read_bytes()
    result = await init_store(PROFILE, path, secrets, no_ca)
    assert (result.made, result.kept) == ([], sorted(KEYS))
    assert (folder / "how-to.secrets").read_bytes() == before


def without_a_ca(name: str) -> Profile:
    return load(HOW_TO.with_name(f"{name}.toml"))


async def test_nobody_makes_the_password_of_somebody_elses_database(tmp_path: Path) -> None:
    """Nor a CA that would sign for nothing."""
    profile, path = without_a_ca("existing-postgresql"), tmp_path / "how-to.toml"
    secrets, _ = resolver(tmp_path, PASSPHRASE, PASSPHRASE)
    done = await init_store(profile, path, secrets, no_ca)
    tokens = ["k3s.agent-token", "k3s.token"]
    assert (done.made, done.kept, done.missing) == (tokens, [], ["datastore.password"])
    with pytest.raises(SecretMissing, match=r"datastore\.password"):
        await secrets.cluster(profile)
    await set_secret(profile, path, secrets, "datastore.password", Secret("theirs"))
    found = await resolver(tmp_path, PASSPHRASE)[0].cluster(profile)
    assert found.datastore_password == Secret("theirs")
    assert (found.ca_key, found.ca_certificate) == (Secret(""), "")


async def test_etcd_needs_tokens_only(tmp_path: Path) -> None:
    profile = without_a_ca("embedded")
    secrets, _ = resolver(tmp_path, PASSPHRASE, PASSPHRASE)
    done = await init_store(profile, tmp_path / "x.toml", secrets, no_ca)
    assert (done.made, done.missing) == (["k3s.agent-token", "k3s.token"], [])
    assert (await secrets.cluster(profile)).datastore_password == Secret("")


async def test_set_and_rekey(folder: Path) -> None:
    path = folder / "how-to.toml"
    await set_secret(PROFILE, path, resolver(folder, PASSPHRASE)[0], "k3s.token", Secret("mine"))
    secrets, ask = resolver(folder, "another one", "another one", PASSPHRASE)
    await rekey(path, secrets, None)
    assert ask.asked[0][1] == "--new-passphrase-file"
    store = await Store.open(folder / "how-to.secrets", Secret("another one"))
    assert store.get("k3s.token") == Secret("mine")
    assert list(store) == sorted(KEYS)


async def test_a_wrong_passphrase_is_said_and_changes_nothing(folder: Path, sealed: bytes) -> None:
    path = folder / "how-to.toml"
    for attempt in (
        resolver(folder, "not this one")[0].cluster(PROFILE),
        set_secret(PROFILE, path, resolver(folder, "not this one")[0], "x", Secret("value")),
        init_store(PROFILE, path, resolver(folder, "not this one")[0], make_ca),
    ):
        with pytest.raises(CredentialsError, match="does not open") as caught:
            await attempt
        assert caught.value.exit is Exit.CREDENTIALS
        assert "not this one" not in str(caught.value) + caught.value.hint
    assert (folder / "how-to.secrets").read_bytes() == sealed


@pytest.mark.parametrize("content", [b"", b"nonsense", b"age-encryption.org/v1\n-> scrypt x"])
async def test_a_damaged_store(folder: Path, content: bytes) -> None:
    (folder / "how-to.secrets").write_bytes(content)
    with pytest.raises(CredentialsError, match="damaged") as caught:
        await resolver(folder, PASSPHRASE)[0].store()
    assert "backup" in caught.value.hint


async def test_a_store_cut_short(folder: Path, sealed: bytes) -> None:
    (folder / "how-to.secrets").write_bytes(sealed[:-5])
    with pytest.raises(CredentialsError, match="damaged"):
        await resolver(folder, PASSPHRASE)[0].store()


async def test_a_lost_store_is_not_replaced(tmp_path: Path) -> None:
    """New secrets would make a second cluster; and nobody is asked for a passphrase of nothing."""
    secrets, ask = resolver(tmp_path)
    for attempt in (
        secrets.cluster(PROFILE),
        rekey(tmp_path / "how-to.toml", secrets, None),
        set_secret(PROFILE, tmp_path / "how-to.toml", secrets, "x", Secret("v")),
    ):
        with pytest.raises(SecretMissing, match="does not exist") as caught:
            await attempt
        assert caught.value.exit is Exit.CREDENTIALS
        assert f"k3s-tui secret init {tmp_path / 'how-to.toml'}" in caught.value.hint
        assert "backup" in caught.value.hint
    assert ask.asked == [] and list(tmp_path.iterdir()) == []


async def test_half_an_authority_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "how-to.secrets", Secret(PASSPHRASE), {CA_KEY: Secret("key")})
    await store.save()
    with pytest.raises(CredentialsError, match="half") as caught:
        await init_store(
            PROFILE, tmp_path / "how-to.toml", resolver(tmp_path, PASSPHRASE)[0], no_ca
        )
    assert CA_CERTIFICATE in caught.value.hint


async def test_what_the_store_lacks_is_named(folder: Path) -> None:
    with pytest.raises(SecretMissing, match=r"has no k3s\.other") as caught:
        await resolver(folder, PASSPHRASE)[0].resolve(
            SecretRef.parse("store:k3s.other"), "k3s.token"
        )
    assert "k3s-tui secret set" in caught.value.hint


async def test_the_passphrase_comes_from_a_file(folder: Path) -> None:
    file = folder / "passphrase"
    file.write_text(PASSPHRASE + "\nsecond line\n")
    file.chmod(0o600)
    secrets, ask = resolver(folder, environ={"K3S_TUI_PASSPHRASE_FILE": str(file)})
    assert await secrets.passphrase() == Secret(PASSPHRASE)
    # The flag comes before the variable.
    flagged = Resolver(
        folder / "how-to.toml",
        ask,
        passphrase_file=file,
        environ={"K3S_TUI_PASSPHRASE_FILE": "/absent"},
    )
    assert await flagged.passphrase() == Secret(PASSPHRASE)
    assert ask.asked == []
    file.chmod(0o640)
    with pytest.raises(CredentialsError, match="others can read") as caught:
        await secrets.passphrase()
    assert caught.value.hint == f"chmod 600 {file}"


async def test_new_passphrases(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="differ"):
        await resolver(tmp_path, "long enough", "another long")[0].new_passphrase(None, "--x")
    with pytest.raises(CredentialsError, match="shorter"):
        await resolver(tmp_path, "short", "short")[0].new_passphrase(None, "--x")


async def test_other_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from a file\r\nmore")
    (tmp_path / "token").chmod(0o600)
    secrets, _ = resolver(tmp_path, "typed", "again", "", environ={"TOKEN": "from env", "E": ""})

    async def get(reference: str, purpose: str = "k3s.token") -> str:
        return (await secrets.resolve(SecretRef.parse(reference), purpose)).reveal()

    assert await get("file:token") == "from a file"
    assert await get(f"file:{tmp_path}/token") == "from a file"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert await get("file:~/token") == "from a file"
    assert await get("env:TOKEN") == "from env"
    assert [await get("prompt:"), await get("prompt:", "b"), await get("prompt:")] == [
        "typed",
        "again",
        "typed",
    ]
    for reference, reason in {
        "file:absent": "does not exist",
        "file:.": "cannot read",
        "env:ABSENT": "not set",
        "env:E": "not set",
    }.items():
        with pytest.raises(CredentialsError, match=reason) as caught:
            await get(reference)
        assert caught.value.exit is Exit.CREDENTIALS and "k3s.token" in str(caught.value)
    with pytest.raises(SecretMissing, match="nothing was entered"):
        await get("prompt:", "c")


async def test_without_the_keyring_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretMissing, match="not installed") as caught:
        await resolver(tmp_path)[0].resolve(SecretRef.parse("keyring:k3s/token"), "k3s.token")
    assert "k3s-tui[keyring]" in caught.value.hint


def test_an_empty_or_binary_secret_file(tmp_path: Path) -> None:
    file = tmp_path / "x"
    for content in (b"", b"\nsecond", b"\xff\n"):
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(CredentialsError):
            read_secret_file(file, "x")


def test_a_passphrase_from_a_pipe() -> None:
    """`--passphrase-file <(pass show k3s)`: a pipe has a mode, and nobody else can read it."""
    code = (
        "from pathlib import Path; from k3s_tui.profile.secrets import read_secret_file as r; "
        "print(r(Path('/dev/stdin'), 'x').reveal() == 'from a pipe')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"from a pipe\n", capture_output=True, check=True
    )
    assert done.stdout == b"True\n"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("abcdef.0123456789abcdef", "bootstrap"),
        ("K10" + "a" * 64 + "::server:x", "K10"),
        ("two words", "white space"),
        ("", "empty"),
    ],
)
async def test_tokens_of_another_shape(tmp_path: Path, token: str, reason: str) -> None:
    secrets, _ = resolver(tmp_path)
    with pytest.raises(CredentialsError, match=reason) as caught:
        check_token(Secret(token), "k3s.token")
    assert not token or token not in str(caught.value)
    with pytest.raises(CredentialsError):
        await set_secret(
            PROFILE, tmp_path / "how-to.toml", secrets, "k3s.agent-token", Secret(token)
        )
    text = TEXT.replace("store:k3s.token", "env:T").replace("store:k3s.agent-token", "env:A")
    profile = parse(text.replace("store:datastore.password", "env:D"), "x").profile
    environ = {"T": token, "A": "fine", "D": "fine"}
    with pytest.raises(CredentialsError) as caught:
        await resolver(tmp_path, environ=environ)[0].cluster(profile)
    assert caught.value.exit is Exit.CREDENTIALS


async def test_one_value_for_both_tokens(tmp_path: Path) -> None:
    text = TEXT.replace("store:k3s.token", "env:T").replace("store:k3s.agent-token", "env:A")
    profile = parse(text.replace("store:datastore.password", "env:D"), "x").profile
    environ = {"T": "same", "A": "same", "D": "x"}
    with pytest.raises(CredentialsError, match="same value"):
        await resolver(tmp_path, environ=environ)[0].cluster(profile)


async def test_a_key_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        await set_secret(PROFILE, tmp_path / "x.toml", resolver(tmp_path)[0], "A B", Secret("v"))


def test_generated_secrets() -> None:
    made = [generate().reveal() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{31}", value) for value in made)
    for value in made:
        check_token(Secret(value), "x")


async def test_cancelled_at_any_moment_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when what decrypts has just ended: what is killed then is not there any more."""
    monkeypatch.setattr(sys, "executable", "/bin/true")
    for tenth in range(100):
        decrypting = asyncio.create_task(age.decrypt(b"x", "y"))
        ends = time.monotonic() + tenth / 10_000
        while time.monotonic() < ends and not decrypting.done():
            await asyncio.sleep(0)
        decrypting.cancel()
        with suppress(asyncio.CancelledError):
            await decrypting
