"""The load balancer's files, judged by nginx itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from k3s_tui.families.debian import DEBIAN
from k3s_tui.resources import nginx
from k3s_tui.resources.balance import BalanceState, EveryServerAnswers

UPSTREAMS = ["10.0.0.1:6443", "10.0.0.2:6443"]


def config(method: nginx.Method = "least_conn", upstreams: list[str] = UPSTREAMS) -> str:
    return nginx.config(
        upstreams, port=6443, method=method, user="www-data", load_stream=DEBIAN.nginx.load_stream
    )


@pytest.mark.parametrize("method", ["least_conn", "round_robin"])
@pytest.mark.parametrize("upstreams", [UPSTREAMS, ["[fd00::1]:6443"]])
def test_nginx_takes_the_configuration(
    method: nginx.Method, upstreams: list[str], tmp_path: Path
) -> None:
    text = config(method, upstreams).replace(nginx.LOG_FOLDER, str(tmp_path))
    path = tmp_path / "lb.conf"
    path.write_text(text.replace(nginx.PID_PATH, str(tmp_path / "pid")))
    done = subprocess.run(
        ["/usr/sbin/nginx", "-t", "-q", "-c", str(path)], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_every_server_is_in_it_once() -> None:
    lines = [line.strip() for line in config().splitlines()]
    assert [line for line in lines if line.startswith("server 10.")] == [
        f"server {upstream} max_fails=2 fail_timeout=5s;" for upstream in UPSTREAMS
    ]
    assert "least_conn;" in lines
    assert "least_conn;" not in config("round_robin")


CHECK = EveryServerAnswers("https://10.0.0.9:6443", "/log", tuple(UPSTREAMS))


@pytest.mark.parametrize(
    ("out", "state", "problem"),
    [
        ("8 8\n10.0.0.1:6443\n10.0.0.2:6443\n", BalanceState(8, 8, frozenset(UPSTREAMS)), None),
        ("8 7\n10.0.0.1:6443\n", BalanceState(8, 7, frozenset(UPSTREAMS[:1])), "7 of 8 times"),
        (
            "8 8\n10.0.0.2:6443, 10.0.0.1:6443\n",
            BalanceState(8, 8, frozenset(UPSTREAMS[:1])),
            "10.0.0.2:6443 did not answer",
        ),
        ("", BalanceState(), "0 of 0 times"),
    ],
)
def test_the_proof_of_balance(out: str, state: BalanceState, problem: str | None) -> None:
    now = CHECK.probe().parse(out.encode())
    assert now == state
    found = CHECK.diff(now)
    assert (found is None) == (problem is None)
    assert found is None or problem in found.text  # type: ignore[operator]


@pytest.mark.parametrize(
    ("line", "upstream"),
    [
        (
            '10.0.0.7 [2026-11-23T05:00:00+00:00] TCP 200 2048 512 0.012 "10.0.0.1:6443" 0.001',
            "10.0.0.1:6443",
        ),
        (
            "10.0.0.7 [2026-11-23T05:00:00+00:00] TCP 200 2048 512 2.012 "
            '"10.0.0.2:6443, 10.0.0.1:6443" -, 0.001',
            "10.0.0.2:6443, 10.0.0.1:6443",
        ),
    ],
)
def test_upstreams_are_read_from_the_log(line: str, upstream: str) -> None:
    ask = CHECK.probe().ask
    assert isinstance(ask, str)
    sed = ask.splitlines()[-1].partition("| ")[2]
    done = subprocess.run(
        ["sh", "-c", sed], input=f"{line}\n", capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{upstream}\n"
