"""The load balancer's files, judged by nginx itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from k3s_tui.families.debian import DEBIAN
from k3s_tui.resources import nginx

UPSTREAMS = ["10.0.0.1:6443", "10.0.0.2:6443"]


def config(
    method: nginx.Method = "least_conn", upstreams: list[str] = UPSTREAMS, ipv6: bool = False
) -> str:
    return nginx.config(
        upstreams,
        port=6443,
        method=method,
        user="www-data",
        load_stream=DEBIAN.nginx.load_stream,
        ipv6=ipv6,
    )


@pytest.mark.parametrize("method", ["least_conn", "round_robin"])
@pytest.mark.parametrize("upstreams", [UPSTREAMS, ["[fd00::1]:6443"]])
@pytest.mark.parametrize("ipv6", [True, False])
def test_nginx_takes_the_configuration(
    method: nginx.Method, upstreams: list[str], ipv6: bool, tmp_path: Path
) -> None:
    text = config(method, upstreams, ipv6).replace(nginx.LOG_FOLDER, str(tmp_path))
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


def test_it_listens_on_ipv6_where_that_is_used() -> None:
    assert "[::]" not in config()
    listening = [line.strip() for line in config(ipv6=True).splitlines() if "listen " in line]
    assert listening == [
        "listen 6443 so_keepalive=30s:10s:3;",
        "listen [::]:6443 ipv6only=on so_keepalive=30s:10s:3;",
    ]


@pytest.mark.parametrize(
    ("address", "upstream"),
    [
        ("10.0.0.1", "10.0.0.1:6443"),
        ("fd00::1", "[fd00::1]:6443"),
        ("FD00:0:0:0:0:0:0:1", "[fd00::1]:6443"),
    ],
)
def test_an_upstream_is_called_as_in_the_log(address: str, upstream: str) -> None:
    assert nginx.upstream(address, 6443) == upstream


def test_stopping_does_not_wait_for_sessions() -> None:
    assert "KillSignal=SIGTERM" in nginx.unit()
