"""What an answer from a registration address means."""

from __future__ import annotations

import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.resources.reached import RegistrationAnswers

CHECK = RegistrationAnswers("https://10.0.0.9:6443")
NAME = "answers with this cluster's certificate, which does not hold that address: curl: "
CHAIN = "answers with a certificate that is not this cluster's: curl: "
NO_NAME = "no alternative certificate subject name matches target"


@pytest.mark.parametrize(
    ("status", "said", "told", "hint"),
    [
        (60, f"curl: (60) SSL: {NO_NAME} ipv4 address '10.0.0.9'", NAME, "k3s-tui apply puts it"),
        (60, f"curl: (60) SSL: {NO_NAME} host name 'lb'", NAME, "tls-san"),
        (51, f"curl: (51) SSL: {NO_NAME} host name 'lb'", NAME, "tls-san"),
        (
            60,
            "curl: (60) SSL: certificate subject name (k3s) does not match target host name 'lb'",
            NAME,
            "tls-san",
        ),
        (
            60,
            "curl: (60) SSL certificate problem: unable to get local issuer certificate",
            CHAIN,
            "must pass TLS on as it is",
        ),
        (7, "curl: (7) Failed to connect", "/ping does not answer: curl: (7)", "does it listen"),
        (0, "not found", "/ping does not answer: not found", "does it listen"),
        (0, "pong", "", ""),
    ],
)
def test_what_an_answer_means(status: int, said: str, told: str, hint: str) -> None:
    found = CHECK.diff(CHECK.probe().parse(f"status {status}\nsaid {said}\n".encode()))
    if not told:
        assert found is None
        return
    assert isinstance(found, Problem) and not found.warning
    assert told in found.text and hint in found.hint
