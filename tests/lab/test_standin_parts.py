"""The stand-in's rules that need no host: options, addresses, tokens, packing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .standin.build import k3s_executable
from .standin.k3s_standin import dsn, flags, options, sealing, tokens
from .standin.k3s_standin.errors import Fatal, UsageError
from .topology import MARKER


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--token", "a"], {"token": ["a"]}),
        (["--token=a", "-t", "b"], {"token": ["b"]}),
        (["--tls-san", "a", "--tls-san=b"], {"tls-san": ["a", "b"]}),
        (["--selinux", "--debug=false"], {"selinux": ["true"], "debug": ["false"]}),
    ],
)
def test_command_line(argv: list[str], expected: dict[str, list[str]]) -> None:
    assert options.parse(argv, flags.SERVER) == expected


@pytest.mark.parametrize(
    ("argv", "known", "says"),
    [
        (["--tokn=a"], flags.SERVER, "flag provided but not defined: -tokn"),
        (["--tls-san=a"], flags.AGENT, "flag provided but not defined: -tls-san"),
        (["--token"], flags.SERVER, "flag needs an argument: -token"),
        (["word"], flags.SERVER, "unexpected argument"),
    ],
)
def test_wrong_command_line(argv: list[str], known: frozenset[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        options.parse(argv, known)


def test_files_environment_and_command_line_are_merged(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("token: file\ntls-san: [a, b]\nnode-label: [x=1]\nselinux: true\n")
    folder = tmp_path / "config.yaml.d"
    folder.mkdir()
    (folder / "20.yaml").write_text("tls-san+: c\nnode-label: [y=2]\n")
    (folder / "50.yaml").write_text("token: late\nhttps-listen-port: 7443\n")
    (folder / "60.yaml.bak").write_text("token: ignored\n")
    environment = {
        "K3S_TOKEN": "environment",
        "K3S_NODE_NAME": "Named",
        "K3S_CONFIG_FILE": str(config),
    }
    given = options.load("server", ["--node-label", "z=3"], environment)
    assert given.text("token") == "late"
    assert given.many("tls-san") == ["a", "b", "c"]
    assert given.many("node-label") == ["z=3"]
    assert given.text("https-listen-port") == "7443"
    assert given.flag("selinux") and not given.flag("debug")
    assert options.node_name(given) == "named"


@pytest.mark.parametrize(
    "text", ["tokn: a\n", "- a list\n", "datastore-endpoint: a\n", "a: [unclosed\n"]
)
def test_a_wrong_file_fails(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    with pytest.raises(UsageError, match=r"config\.yaml"):
        options.load("agent", ["--config", str(config)], {})


@pytest.mark.parametrize(
    ("endpoint", "user", "password", "host", "port", "database"),
    [
        ("postgres://K3s:K3s@db:5433/K3s", "K3s", "K3s", "db", "5433", "k3s"),
        ("postgresql://a:p%40s%2Fs@h/", "a", "p@s/s", "h", "5432", "kubernetes"),
        ("postgres://a:b@h1:1,h2:2/x?sslmode=require", "a", "b", "h1,h2", "1,2", "x"),
        ("postgres://", "postgres", "postgres", "localhost", "5432", "kubernetes"),
    ],
)
def test_datastore_address(
    endpoint: str, user: str, password: str, host: str, port: str, database: str
) -> None:
    found = dsn.parse(endpoint)
    given = (user, password, host, port, database)
    assert tuple(found[name] for name in ("user", "password", "host", "port", "dbname")) == given


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("postgres://a:50%@h/x", "percent-encoding"),
        ("postgres://a:b/c@h:x/y", "percent-encoding"),
        ("mysql://a@h/x", "must be PostgreSQL"),
        ("", "must be PostgreSQL"),
    ],
)
def test_wrong_datastore_address(endpoint: str, says: str) -> None:
    with pytest.raises(Fatal, match=says):
        dsn.parse(endpoint)


def test_sslmode_follows_the_tls_files(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match='both "sslcert" and "sslkey" are required'):
        dsn.read(_options(**{"datastore-certfile": "/nowhere"}))


def _options(**more: str) -> options.Options:
    given = {"datastore-endpoint": "postgres://a:b@h/x", **more}
    return options.Options({name: (value,) for name, value in given.items()})


def test_tokens() -> None:
    ca = b"certificate"
    secure = tokens.secure("secret", "node", ca)
    assert secure == f"K10{tokens.ca_hash(ca)}::node:secret"
    assert tokens.parse(secure) == tokens.Token("secret", "node", tokens.ca_hash(ca))
    assert tokens.parse("secret") == tokens.Token("secret")
    # sha256("secret") begins so; the product computes the same to know its own cluster.
    assert tokens.bootstrap_key("secret") == "/bootstrap/2bb80d537b1d"
    for wrong in ("abcdef.0123456789abcdef", "K10nothex::a:b", "K10"):
        with pytest.raises(Fatal, match="failed to normalize"):
            tokens.parse(wrong)


def test_bootstrap_data_opens_with_its_token_only() -> None:
    sealed = sealing.encrypt(b"keys", "token")
    assert b"keys" not in sealed and sealing.decrypt(sealed, "token") == b"keys"
    with pytest.raises(Fatal, match="encrypted with different token"):
        sealing.decrypt(sealed, "other")


def test_the_executable_is_the_same_every_time_and_runs_in_the_lab_only(tmp_path: Path) -> None:
    assert k3s_executable("v1.34.1+k3s1") == k3s_executable("v1.34.1+k3s1")
    assert k3s_executable("v1.34.1+k3s1") != k3s_executable("v1.34.2+k3s1")
    assert not Path(MARKER).exists(), "this machine must not pass for a lab host"
    executable = tmp_path / "k3s"
    executable.write_bytes(k3s_executable("v1.34.1+k3s1"))
    executable.chmod(0o755)
    done = subprocess.run([executable, "--version"], capture_output=True, check=False)
    assert done.returncode == 1 and b"runs in the lab only" in done.stderr


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_install_script_refuses_this_machine(shell: str) -> None:
    script = Path(__file__).parent / "standin" / "install.sh"
    done = subprocess.run(
        [shell, script], capture_output=True, env={"PATH": "/usr/bin:/bin"}, check=False
    )
    assert done.returncode == 1 and b"[ERROR]" in done.stderr
