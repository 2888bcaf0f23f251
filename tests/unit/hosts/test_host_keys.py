from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from k3s_tui.core.errors import HostKeyChanged, HostKeyUnknown
from k3s_tui.hosts.hostkeys import (
    Changed,
    Trusted,
    Unknown,
    algorithms,
    fingerprint,
    judge,
    normalize,
    pinned,
    refusal,
)
from k3s_tui.hosts.known_hosts import Known, KnownHosts


def key(kind: str, seed: str) -> str:
    blob = len(kind).to_bytes(4, "big") + kind.encode() + hashlib.sha256(seed.encode()).digest()
    return f"{kind} {base64.b64encode(blob).decode()}"


A, B = key("ssh-ed25519", "a"), key("ssh-ed25519", "b")
RSA = key("ssh-rsa", "r")


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def found(lines: str, name: str = "web", port: int = 22) -> Known:
    return KnownHosts.parse(lines, "file").find(name, port)


@pytest.mark.parametrize(
    ("line", "name", "port", "expected"),
    [
        (f"web {A}", "web", 22, Trusted),
        (f"WEB {A} a comment", "web", 22, Trusted),
        (f"one,web,10.0.0.1 {A}", "10.0.0.1", 22, Trusted),
        (f"other {A}", "web", 22, Unknown),
        (f"web {B}", "web", 22, Changed),
        (f"web {B}\nweb {A}", "web", 22, Trusted),
        (f"web {RSA}", "web", 22, Changed),
        (f"*.lan {A}", "web.lan", 22, Trusted),
        (f"*.lan,!web.lan {A}", "web.lan", 22, Unknown),
        (f"w?b {A}", "web", 22, Trusted),
        (f"{hashed('web')} {A}", "web", 22, Trusted),
        (f"{hashed('web')} {B}", "web", 22, Changed),
        (f"{hashed('[web]:2222')} {A}", "web", 2222, Trusted),
        (f"[web]:2222 {A}", "web", 2222, Trusted),
        (f"[web]:2222 {A}", "web", 22, Unknown),
        (f"fd00::1 {A}", "fd00::1", 22, Trusted),
        (f"fd00::1 {A}", "FD00:0::01", 22, Trusted),
        (f"fd00::1 {B}", "fd00::1", 22, Changed),
        (f"[fd00::1]:2222 {A}", "fd00::1", 2222, Trusted),
        (f"[fd00::1]:2222 {A}", "fd00::1", 22, Unknown),
        (f"{hashed('[fd00::1]:2222')} {A}", "fd00::1", 2222, Trusted),
        (f"[web]:2222 {B}\nweb {A}", "web", 2222, Changed),
        # Without a port it can vouch for another port, and cannot contradict one.
        (f"web {A}", "web", 2222, Trusted),
        (f"web {B}", "web", 2222, Unknown),
        (f"@revoked * {A}\nweb {A}", "web", 22, Changed),
        (f"@revoked * {A}\n[web]:2222 {A}", "web", 2222, Changed),
        (f"@cert-authority web {A}", "web", 22, Unknown),
    ],
)
def test_verdicts_of_known_hosts(line: str, name: str, port: int, expected: type) -> None:
    assert isinstance(judge(found(line, name, port), A), expected)


def test_lines_that_nobody_can_parse_take_no_others_along() -> None:
    lines = (
        f"garbage\n\n# web {B}\n@odd web {B}\nweb ssh-ed25519 %%%\nweb x {A}\n|1|x web\n|9|a|b {B}"
    )
    known = found(f"{lines}\nweb {A}\n")
    assert [(one.key, one.where) for one in known.keys] == [(A, "file:9")]


@pytest.mark.parametrize("file", ["", f"web {B}", f"web {RSA}"])
def test_a_pin_counts_alone(file: str) -> None:
    known = pinned(found(file), A)
    assert judge(known, A) == Trusted()
    assert isinstance(judge(known, B), Changed)
    assert isinstance(judge(known, RSA), Changed)


def test_a_pin_does_not_lift_a_revocation() -> None:
    verdict = judge(pinned(found(f"@revoked * {A}"), A), A)
    assert isinstance(verdict, Changed) and verdict.revoked


def test_known_types_are_asked_for_first_and_ed25519_otherwise() -> None:
    assert algorithms(Known())[0] == "ssh-ed25519"
    assert algorithms(found(f"web {RSA}"))[:3] == ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]
    assert algorithms(found(f"@cert-authority web {A}"))[0] == "ssh-ed25519-cert-v01@openssh.com"
    assert sorted(algorithms(found(f"web {RSA}"))) == sorted(algorithms(Known()))


def test_fingerprints_and_what_is_no_key() -> None:
    github = (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl comment"
    )
    assert fingerprint(github) == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
    for wrong in ("", "ssh-ed25519", "ssh-ed25519 ***"):
        with pytest.raises(ValueError):
            normalize(wrong)


def test_refusals_say_what_to_do() -> None:
    unknown = refusal(Unknown(fingerprint(A)), A, host="web-1", address="web:22")
    assert isinstance(unknown, HostKeyUnknown)
    assert (unknown.key, unknown.fingerprint) == (A, fingerprint(A))
    verdict = judge(found(f"web {B}"), A)
    assert isinstance(verdict, Changed)
    changed = refusal(verdict, A, host="web-1", address="web:22")
    assert isinstance(changed, HostKeyChanged)
    assert fingerprint(A) in changed.text and fingerprint(B) in changed.text
    assert "file:1" in changed.text and "`ssh-keygen -R web`" in changed.hint


@pytest.mark.parametrize(
    ("place", "entry"),
    [
        ("web:22", "web"),
        ("web:2222", "'[web]:2222'"),
        ("[fd00::1]:22", "fd00::1"),
        ("[fd00::1]:2222", "'[fd00::1]:2222'"),
    ],
)
def test_the_advice_names_the_line_as_ssh_wrote_it(place: str, entry: str) -> None:
    verdict = judge(found(f"web {B}"), A)
    assert isinstance(verdict, Changed)
    told = refusal(verdict, A, host="web-1", address=place)
    assert told.hint.endswith(f"`ssh-keygen -R {entry}`")
