"""Hosts as ssh itself would see them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.profile.sshconfig import Candidate, SshHosts, read_hosts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def read(home: Path, text: str) -> SshHosts:
    (home / ".ssh" / "config").write_text(text)
    return read_hosts(home / ".ssh" / "config", home)


CONFIG = """\
# what comes first wins
User first
HOST web1  web2 *.internal !web3
    HostName=%h.example.org # in the data centre
    Port 2222
    user second
Host "web 4" 'db1'
Host db1
    HostName  10.0.0.9
    ProxyJump ann@bastion:2200
    IdentityFile ~/.ssh/db
    IdentityFile ~/.ssh/later
Match all
    Port 2022
Host web1
    HostName never
Host *
    ProxyJump none
    Port 23
"""


def test_concrete_aliases_with_the_values_that_come_first(home: Path) -> None:
    found = {host.alias: host for host in read(home, CONFIG).hosts}
    assert list(found) == ["web1", "web2", "web 4", "db1"]
    assert found["web1"] == Candidate("web1", "web1.example.org", "first", 2222)
    assert found["db1"] == Candidate(
        "db1", "10.0.0.9", "first", 2022, "ann@bastion:2200", "~/.ssh/db"
    )


@pytest.mark.skipif(shutil.which("ssh") is None, reason="compares with ssh itself")
@pytest.mark.parametrize("alias", ["web1", "web2", "db1", "plain", "nested", "out"])
def test_ssh_sees_the_same(home: Path, alias: str) -> None:
    more = home / "more.conf"
    more.write_text("Host nested out\n  HostName 10.1.1.1\nHost out\n  User inner\n")
    text = CONFIG + (
        f"Host nested plain\n  Include {more}\n  IdentityFile /tmp/id\nHost out\n  Port 99\n"
    )
    # Written for another home: `ssh -F` takes relative includes from the real one.
    found = {host.alias: host for host in read(home, text).hosts}[alias]
    argv = ["ssh", "-G", "-F", str(home / ".ssh" / "config"), alias]
    said = subprocess.check_output(argv, text=True, stderr=subprocess.DEVNULL)
    options: dict[str, str] = {}
    for line in said.splitlines():
        key, _, value = line.partition(" ")
        options.setdefault(key, value)
    assert found.address == options["hostname"]
    assert found.user == options["user"]
    assert str(found.port or 22) == options["port"]
    assert found.jump == options.get("proxyjump", "")
    assert not found.identity or found.identity == options["identityfile"]


def test_includes_are_followed_from_the_ssh_folder_in_order(home: Path) -> None:
    (home / ".ssh" / "conf.d").mkdir()
    (home / ".ssh" / "conf.d" / "b.conf").write_text("Host b\n HostName 10.0.0.2\n")
    (home / ".ssh" / "conf.d" / "a.conf").write_text("Host a\n HostName 10.0.0.1\n")
    (home / "own").write_text("Host own\n")
    text = "Include conf.d/*.conf missing ~/own\nHost c\n"
    found = read(home, text)
    assert [host.alias for host in found.hosts] == ["a", "b", "own", "c"]
    assert found.problems == ()


def test_an_endless_include_ends(home: Path) -> None:
    found = read(home, "Host a\nInclude config\nInclude config\n")
    assert [host.alias for host in found.hosts] == ["a"]
    assert "too many includes" in found.problems[0]


def test_what_cannot_be_used_is_told(home: Path) -> None:
    found = read(
        home,
        "Host a\n Port many\n HostName\nMatch exec true\n User other\nHost b\n"
        " ProxyCommand ssh -W %h:%p gate\n",
    )
    config = home / ".ssh" / "config"
    assert found.hosts == (Candidate("a", "a"), Candidate("b", "b"))
    assert found.problems == (
        f"{config}:3: 'hostname' has no value",
        f"{config}:4: a Match block is not read",
        f"{config}:2: 'many' is not a port",
        f"{config}:7: b is behind a ProxyCommand",
    )
    assert read_hosts(home / "none", home).problems == (f"{home}/none: No such file or directory",)
    assert read_hosts(home, home).problems == (f"{home}: Is a directory",)


def test_garbage_is_no_host(home: Path) -> None:
    config = home / ".ssh" / "config"
    config.write_bytes(
        b"\xff\xfe\x00Host evil\nHost '' \x1b[2J ok \xff\xff\nInclude \x00 [ ** ~x\n"
    )
    assert [host.alias for host in read_hosts(config, home).hosts] == ["ok"]
    config.write_bytes(b"#" * (1 << 20) + b"\nHost late\n")
    found = read_hosts(config, home)
    assert found.hosts == () and "larger than 1 MiB" in found.problems[0]
    config.write_text("".join(f"Host h{n}\n" for n in range(600)))
    found = read_hosts(config, home)
    assert len(found.hosts) == 500 and "only the first 500" in found.problems[0]


WORDS = ["Host", "Include", "Match", "Port", "=", " ", "\n", '"', "'", "#", "*", "!", "a", "config"]


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(WORDS), max_size=40).map(lambda words: "".join(words).encode())
)
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    config = folder / "config"
    config.write_bytes(content)
    for host in read_hosts(config, folder).hosts:
        assert host.alias and host.alias.isprintable()
