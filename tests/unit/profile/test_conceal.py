"""A secret where none belongs is never repeated."""

from __future__ import annotations

import pytest

from k3s_tui.profile.load import parse
from k3s_tui.profile.problem import ProfileInvalid
from tests.unit.profile.documents import TEXT, changed

CANARY = "hunter2-Canary"
PASSWORD = '"store:datastore.password"'
SERVER_CONFIG = "[k3s.server-config]\n"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\\n{CANARY}"


def everything(text: str) -> str:
    """All that a program could show of what is wrong."""
    with pytest.raises(ProfileInvalid) as caught:
        parse(text, "x.toml")
    invalid = caught.value
    return "\n".join((invalid.render(), str(invalid), repr(invalid.problems), invalid.hint))


@pytest.mark.parametrize(
    "text",
    [
        changed((PASSWORD, f'"{CANARY}"')),
        changed((PASSWORD, f"'{CANARY}'")),
        changed((PASSWORD, f'"store:{CANARY} x"')),
        changed((PASSWORD, f'["{CANARY}"]')),
        changed((PASSWORD, f'{{ value = "{CANARY}" }}')),
        changed((PASSWORD, f'"""\n{CANARY}\n"""')),
        changed((PASSWORD, f'"prompt:" # {CANARY}'), ("password", "pass")),
        changed((PASSWORD, f'"{CANARY}"'), ("password =", "pasword =")),
        changed((PASSWORD, f'"{CANARY}'), ("password =", "password  =")),
        changed((PASSWORD, f'{CANARY}"')),
        changed((PASSWORD, CANARY)),
        changed(("password = " + PASSWORD, f"password {CANARY}")),
        changed(("password = " + PASSWORD, f'password: "{CANARY}"')),
        changed(("password = " + PASSWORD, f'"{CANARY}"')),
        changed((PASSWORD, f'"""\n{CANARY}\n{CANARY}')),
        changed((PASSWORD, f'"{CANARY}" {CANARY}')),
        changed(("[pki]", f'[extra]\nvalue = "{CANARY}"\n[extra.deep]\nx = ["{CANARY}"]\n[pki]')),
        changed(('"prompt:"', f'"{CANARY}"')),
        changed(('"store:k3s.token"', f'"{CANARY}"')),
        changed(('"store:k3s.token"', '"K10abc::server:hunter2-Canary"')),
        changed(('identity = "agent"', f'identity = "{KEY}"')),
        changed(('user = "k3s"', f'user = "{KEY}"')),
        changed((SERVER_CONFIG, SERVER_CONFIG + f'token = "{CANARY}"\n')),
        changed((SERVER_CONFIG, SERVER_CONFIG + f'datastore-endpoint = "postgres://{CANARY}"\n')),
        changed((SERVER_CONFIG, SERVER_CONFIG + f'etcd-s3-secret-key = "{CANARY}"\n')),
        changed((SERVER_CONFIG, SERVER_CONFIG + f'x = "https://me:{CANARY}@host/"\n')),
        changed((SERVER_CONFIG, SERVER_CONFIG + f'x = ["a=https://me:{CANARY}@host/"]\n')),
        changed((SERVER_CONFIG, SERVER_CONFIG + f'kubelet-arg = ["client-secret={CANARY}"]\n')),
        changed((SERVER_CONFIG, SERVER_CONFIG + f'x = {{ password = "{CANARY}" }}\n')),
        f'datastore = {{ user = "K3s", password = "{CANARY}", pasword = "{CANARY}" }}\n',
        f'datastore.password = "{CANARY}"\ndatastore.user = "K3s"\n',
        f'k3s = {{ token = "{CANARY}", version = 1 ',
        f'[[datastore]]\npassword = "{CANARY}"\n',
        f'password = "{CANARY}"\n',
    ],
)
def test_a_secret_is_never_echoed(text: str) -> None:
    assert CANARY in text
    assert CANARY not in everything(text)


def test_the_mask_does_not_tell_the_length() -> None:
    def lines(secret: str) -> list[str]:
        return everything(changed((PASSWORD, f'"{secret}"'))).splitlines()[:5]

    assert lines("x" * 5) == lines("x" * 50)


def test_other_values_are_shown() -> None:
    """Masking everything would be safe, and no help."""
    assert 'user = "K3s"' in everything(changed(('user = "k3s"', 'user = "K3s"')))
    assert "port = 22 22" in everything("[ssh]\nport = 22 22\n")
    assert 'disable = ["x"]' in everything(
        TEXT.replace("[k3s.agent-config]\n", '[k3s.agent-config]\ndisable = ["x"]\n')
    )
