"""Bad profiles, one mistake each: code, place and advice."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from k3s_tui.core.errors import Exit
from k3s_tui.profile.load import load, parse, read
from k3s_tui.profile.model import Profile
from k3s_tui.profile.problem import ProfileInvalid, ProfileProblem
from k3s_tui.profile.reference import SecretRef
from tests.unit.profile.documents import HOW_TO, TEXT, changed, position

SERVER_1 = '[hosts.k3s-server-1]\naddress = "10.161.129.54"\n'
NGINX = '[hosts.nginx]\naddress = "10.161.129.118"\nroles = ["loadbalancer"]\n'
BALANCER = 'address = "10.161.129.118"\nport = 6443\n'
SERVER_CONFIG = "[k3s.server-config]\n"
AGENT_CONFIG = "[k3s.agent-config]\n"


def problems(text: str) -> list[ProfileProblem]:
    with pytest.raises(ProfileInvalid) as caught:
        parse(text, "test.toml")
    return caught.value.problems


def test_the_how_to_has_no_problem() -> None:
    loaded = read(HOW_TO)
    assert loaded.warnings == []
    profile = loaded.profile
    assert list(profile.hosts) == ["k3s-server-1", "k3s-server-2", "k3s-agent", "postgres", "nginx"]
    assert list(profile.servers) == ["k3s-server-1", "k3s-server-2"]
    assert list(profile.agents) == ["k3s-agent"]
    assert list(profile.k3s_nodes) == ["k3s-server-1", "k3s-server-2", "k3s-agent"]
    assert (profile.datastore_host, profile.loadbalancer_host) == ("postgres", "nginx")
    assert profile.pki.renewal_window == 243
    assert profile.ssh_user("nginx") == "sles"
    assert profile.datastore.password == SecretRef("store", "datastore.password")


def test_values_are_those_that_msgspec_reads() -> None:
    """The conversion that finds all problems, and msgspec's own, agree."""
    import tomllib

    def hook(type_: type, value: str) -> SecretRef:
        return SecretRef.parse(value)

    assert load(HOW_TO) == msgspec.convert(tomllib.loads(TEXT), Profile, dec_hook=hook)


def test_a_host_has_settings_of_its_own() -> None:
    more = 'port = 2222\nuser = "admin"\njump = "ops@bastion.example:22"\nnode-ip = "10.0.0.1"\n'
    text = changed((SERVER_1, SERVER_1 + more + 'taints = ["a=b:NoExecute"]\n'))
    profile = parse(text, "x").profile
    host = profile.hosts["k3s-server-1"]
    assert host.cluster_address == "10.0.0.1"
    assert (profile.ssh_user("k3s-server-1"), profile.ssh_port("k3s-server-1")) == ("admin", 2222)


def test_hosts_behind_one_address_differ_by_port() -> None:
    """Forwarded ports: each has its own, and an address of its own inside the cluster."""
    second = 'address = "10.161.129.154"\n'
    same = 'address = "10.161.129.54"\nnode-ip = "10.0.0.2"\n'
    (problem,) = problems(changed((second, same)))
    assert (problem.code, problem.where) == ("duplicate-address", "hosts.k3s-server-2.address")
    assert parse(changed((second, same + "port = 2202\n")), "x").warnings == []


ONE_MISTAKE = [
    # what changes, code, what the caret is under, part of message + expected + help
    (('user = "sles"', 'userr = "sles"'), "unknown-key", "userr", 'did you mean "user"?'),
    (("[install]", "[instal]"), "unknown-key", "instal", 'did you mean "install"?'),
    (("hosts-entry =", "hosts_entry ="), "unknown-key", "hosts_entry", '"hosts-entry"?'),
    (('["agent"]', '["agnt"]'), "unknown-role", '"agnt"', 'did you mean "agent"?'),
    (('["agent"]', "[]"), "no-role", "[]", "at least one role"),
    (('["agent"]', '["agent", "agent"]'), "duplicate-role", '"agent"', "twice"),
    (('["agent"]', '["server", "agent"]'), "server-and-agent", '"agent"', "leave out"),
    (('user = "k3s"', 'user = "K3s"'), "bad-database-name", '"K3s"', "(CN)"),
    (('database = "k3s"', 'database = "K3s"'), "bad-database-name", '"K3s"', "lower case"),
    (('user = "k3s"', 'user = "postgres"'), "bad-database-name", '"postgres"', "own"),
    (('database = "k3s"', 'database = "all"'), "bad-database-name", '"all"', "own"),
    (('user = "k3s"', 'user = "k3s\\n"'), "bad-database-name", '"k3s\\n"', "lower-case"),
    (("postgres.rancher.rke2", "10.1.2.3"), "bad-dns-name", '"10.1.2.3"', "certificate"),
    (("postgres.rancher.rke2", "a..b"), "bad-dns-name", '"a..b"', "DNS name"),
    (("[hosts.postgres]", "[hosts.Postgres]"), "bad-host-name", "Postgres", "lower case"),
    (("[hosts.postgres]", "[hosts.laptop]"), "reserved-name", "laptop", "runs on"),
    (('"10.161.129.154"', '"10.161.129.54"'), "duplicate-address", '"10.161.129.54"', "own"),
    (('"10.161.129.154"', '"10.161.129.300"'), "bad-address", '"10.161.129.300"', "IP"),
    (('"10.161.129.154"', '"-oProxyCommand=x"'), "bad-address", '"-oProxyCommand=x"', "IP"),
    ((SERVER_1, SERVER_1 + 'node-ip = "node"\n'), "bad-address", '"node"', "an IP address"),
    ((SERVER_1, SERVER_1 + 'node-ip = "10.161.129.154"\n'), "duplicate-address", "", "own"),
    ((SERVER_1, SERVER_1 + 'jump = "k3s-server-1"\n'), "circular-jump", '"k3s-server-1"', ""),
    ((SERVER_1, SERVER_1 + 'jump = "a b"\n'), "bad-jump", '"a b"', "[user@]host[:port]"),
    ((SERVER_1, SERVER_1 + 'jump = "b:70000"\n'), "out-of-range", '"b:70000"', "port"),
    ((SERVER_1, SERVER_1 + 'labels = {"a b" = ""}\n'), "bad-label", '"a b"', "prefix"),
    ((SERVER_1, SERVER_1 + 'labels = {a = "b c"}\n'), "bad-label", '"b c"', "63"),
    (
        (SERVER_1, SERVER_1 + 'labels = {"node-role.kubernetes.io/x" = ""}\n'),
        "reserved-label",
        '"node-role.kubernetes.io/x"',
        "kubectl label",
    ),
    ((SERVER_1, SERVER_1 + 'taints = ["a=b:Never"]\n'), "bad-taint", '"a=b:Never"', "NoExecute"),
    (("port = 6443", "port = 64430000"), "out-of-range", "64430000", "65535"),
    (("port = 6443", 'port = "6443"'), "wrong-type", '"6443"', "a whole number"),
    (("port = 6443", "port = true"), "wrong-type", "true", "a whole number"),
    ((BALANCER, BALANCER + 'method = "random"\n'), "unknown-value", '"random"', "round_robin"),
    (("leaf-days = 730", "leaf-days = 10"), "out-of-range", "10", "from 90 to 825"),
    (("leaf-days = 730", "leaf-days = 730\nrenew-days = 800"), "renewed-at-once", "800", "730"),
    (("leaf-days = 730", "leaf-days = 730\nca-days = 500"), "ca-too-short", "500", "before"),
    (("v1.36.3+k3s1", "v1.36"), "bad-version", '"v1.36"', "exact release"),
    (("v1.36.3+k3s1", "stable"), "bad-version", '"stable"', "releases"),
    (("v1.36.3+k3s1", "v1.20.15+k3s1"), "old-k3s", '"v1.20.15+k3s1"', "v1.21 or newer"),
    (("store:k3s.agent-token", "store:k3s.token"), "shared-secret", "", "of its own"),
    (("store:datastore.password", "hunter2"), "literal-secret", '"hunter2"', "k3s-tui secret set"),
    (("store:datastore.password", "env:a b"), "bad-reference", '"env:a b"', "env:NAME"),
    (("tls-san = []", 'tls-san = ["a:b"]'), "bad-address", '"a:b"', "host name"),
    (("datastore-san = []", 'datastore-san = ["1.2.3"]'), "bad-address", '"1.2.3"', "host name"),
    (('source = "online"', 'source = "airgap"'), "missing-key", "", "bundle = "),
    (('source = "online"', 'source = "mirror"'), "missing-key", "", "mirror = "),
    (
        ('source = "online"', 'source = "online"\nbundle = "k3s"'),
        "needless-setting",
        '"k3s"',
        'source = "airgap"',
    ),
    (
        ('source = "online"', 'source = "mirror"\nmirror = "http://mirror.example"'),
        "bad-url",
        '"http://mirror.example"',
        "https",
    ),
    (
        ('source = "online"', 'source = "airgap"\nbundle = "a\\tb"'),
        "bad-value",
        '"a\\tb"',
        "folder",
    ),
    (('source = "online"', 'source = "cloud"'), "unknown-value", '"cloud"', "mirror"),
    (
        ('source = "online"', 'source = "online"\nscript-url = "http://get.k3s.io"'),
        "bad-url",
        '"http://get.k3s.io"',
        "https",
    ),
    (("schema = 1\n", 'schema = 1\nnote = "\\u001b[2J"\n'), "bad-value", "", "note"),
    (('identity = "agent"', 'identity = ""'), "bad-identity", '""', "private key file"),
    (('become = "sudo"', 'become = "su"'), "unknown-value", '"su"', '"sudo"?'),
    (("schema = 1", "schema = 2"), "newer-schema", "2", "update k3s-tui"),
    (("schema = 1", "schema = 0"), "unknown-value", "0", "1"),
    ((SERVER_CONFIG, SERVER_CONFIG + 'data-dir = "/x"\n'), "owned-option", "data-dir", "/var/lib"),
    ((SERVER_CONFIG, SERVER_CONFIG + 'd = "/x"\n'), "owned-option", "d", "/var/lib"),
    (
        (SERVER_CONFIG, SERVER_CONFIG + 'datastore-x = "/x"\n'),
        "owned-option",
        "datastore-x",
        "it all",
    ),
    ((SERVER_CONFIG, SERVER_CONFIG + '"node-label+" = ["a=b"]\n'), "owned-option", "", "labels"),
    ((SERVER_CONFIG, SERVER_CONFIG + "x = 2020-01-01\n"), "bad-option-value", "2020-01-01", "date"),
    ((SERVER_CONFIG, SERVER_CONFIG + "x = {a = 1}\n"), "bad-option-value", "{a = 1}", "a table"),
    ((SERVER_CONFIG, SERVER_CONFIG + '"a b" = 1\n'), "bad-option", '"a b"', "flag"),
    (
        (SERVER_CONFIG, SERVER_CONFIG + 'https-listen-port = "x"\n'),
        "out-of-range",
        '"x"',
        "65535",
    ),
    (
        (SERVER_CONFIG, SERVER_CONFIG + 'etcd-s3-secret-key = "hunter2"\n'),
        "literal-secret",
        '"hunter2"',
        "file on the host",
    ),
    (
        (SERVER_CONFIG, SERVER_CONFIG + 'kubelet-arg = ["a-password=hunter2"]\n'),
        "literal-secret",
        '["a-password=hunter2"]',
        "file on the host",
    ),
    (
        (AGENT_CONFIG, AGENT_CONFIG + 'flannel-backend = "none"\n'),
        "server-option",
        "flannel-backend",
        "server-config",
    ),
    ((AGENT_CONFIG, AGENT_CONFIG + 'vpn-auth = "hunter2"\n'), "literal-secret", '"hunter2"', ""),
]


@pytest.mark.parametrize(("change", "code", "under", "advice"), ONE_MISTAKE)
def test_one_mistake_is_one_problem(
    change: tuple[str, str], code: str, under: str, advice: str
) -> None:
    text = changed(change)
    (problem,) = problems(text)
    assert problem.code == code
    assert advice in " ".join((problem.message, problem.expected, problem.help))
    if under:
        # The caret is within what changed, exactly under the wrong part.
        start = TEXT.index(change[0]) - 1
        find = text.rindex if code in ("duplicate-role", "server-and-agent") else text.index
        at = find(under, start, start + len(change[1]) + 2)
        before = text[:at]
        assert problem.line == before.count("\n") + 1
        assert problem.column == at - before.rfind("\n")
        assert problem.length == len(under)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('schema = 1\nname = "x\n', 2, 10, "Illegal character"),
        ("schema = 1\nschema = 2\n", 2, 11, "Cannot overwrite a value"),
        ("[ssh]\n[ssh]\n", 2, 5, "Cannot declare"),
        ("a = 1 b = 2\n", 1, 7, "Expected newline"),
        ("port = 22x\n", 1, 10, "Expected newline"),
        ("user = sles\n", 1, 8, "Invalid value"),
        ("[hosts\n", 1, 7, "Expected ']'"),
        ("roles = [\n", 1, 10, "Invalid value"),
    ],
)
def test_malformed_toml(text: str, line: int, column: int, message: str) -> None:
    (problem,) = problems(text)
    assert (problem.code, problem.line, problem.column) == ("syntax", line, column)
    assert message in problem.message


def test_no_server() -> None:
    text = TEXT.replace('["server"]', '["agent"]')
    (problem,) = problems(text)
    assert problem.code == "no-server"
    assert (problem.line, problem.column) == position(text, "[hosts.k3s-server-1]")


@pytest.mark.parametrize("role", ["datastore", "loadbalancer"])
def test_exactly_one_of_a_role(role: str) -> None:
    (problem,) = problems(changed((f'["{role}"]', '["agent"]')))
    assert problem.code == f"no-{role}"
    (problem,) = problems(changed(('["agent"]', f'["{role}"]')))
    assert problem.code == f"several-{role}s"


def test_one_server_is_a_warning() -> None:
    text = changed(
        ('address = "10.161.129.154"\nroles = ["server"]', 'address = "h"\nroles = ["agent"]')
    )
    (warning,) = parse(text, "x").warnings
    assert (warning.code, warning.severity) == ("one-server", "warning")
    assert warning.line == position(text, "[hosts.k3s-server-1]")[0] + 2


def test_a_balancer_on_a_k3s_host_needs_another_port() -> None:
    text = changed((NGINX, ""), ('["agent"]', '["agent", "loadbalancer"]'))
    text = text.replace("10.161.129.118", "10.161.129.196")
    (problem,) = problems(text)
    assert problem.code == "port-conflict"
    assert problem.where == "loadbalancer.port"
    moved = parse(text.replace("port = 6443", "port = 443"), "x")
    assert moved.warnings == []


@pytest.mark.parametrize("port", [6443, 6444, 10250, 10257])
def test_a_balancer_beside_a_server_keeps_off_its_ports(port: int) -> None:
    text = changed((NGINX, ""), ('["server"]', '["server", "loadbalancer"]'))
    text = text.replace('address = "10.161.129.118"', 'address = "10.161.129.54"')
    (problem,) = problems(text.replace("port = 6443", f"port = {port}"))
    assert problem.code == "port-conflict"
    assert f"cannot listen on port {port}: the K3s server does" in problem.message
    assert parse(text.replace("port = 6443", "port = 7443"), "x").warnings == []


def test_a_foreign_registration_address_is_a_warning() -> None:
    text = changed((BALANCER, BALANCER.replace("10.161.129.118", "10.161.129.99")))
    (warning,) = parse(text, "x").warnings
    assert warning.code == "foreign-registration-address"


def test_several_problems_at_once_in_the_order_of_the_text() -> None:
    text = changed(
        ('user = "sles"', "port = 0"),
        ('["agent"]', '["agnt", 3]'),
        ('"10.161.129.154"', '"10.161.129.54"'),
        ('user = "k3s"', 'user = "K3s"\nuzer = 1'),
        ("store:datastore.password", "hunter2"),
        ("[loadbalancer]", "[balancer]"),
        ("v1.36.3+k3s1", "v1"),
        (SERVER_CONFIG, SERVER_CONFIG + "token = 1\ncluster-init = true\n"),
    )
    found = problems(text)
    assert [problem.code for problem in found] == [
        "missing-key",
        "out-of-range",
        "duplicate-address",
        "unknown-role",
        "wrong-type",
        "bad-database-name",
        "unknown-key",
        "literal-secret",
        "unknown-key",
        "bad-version",
        "owned-option",
        "owned-option",
    ]
    assert found[0].message == '"user" is missing in [ssh]'
    lines = [(problem.line, problem.column) for problem in found]
    assert lines == sorted(lines)


def test_what_is_missing_is_named() -> None:
    messages = [problem.message for problem in problems('schema = 1\nname = "x"\n')]
    assert messages == [
        "the section [ssh] is missing",
        "the sections [hosts.NAME] are missing",
        "the section [datastore] is missing",
        "the section [loadbalancer] is missing",
        "the section [k3s] is missing",
    ]


def test_unreadable_files(tmp_path: Path) -> None:
    def code(content: bytes) -> tuple[str, int, int]:
        path = tmp_path / "x.toml"
        path.write_bytes(content)
        with pytest.raises(ProfileInvalid) as caught:
            load(path)
        assert caught.value.exit is Exit.PROFILE
        (problem,) = caught.value.problems
        assert caught.value.render()
        return problem.code, problem.line, problem.column

    assert code(b'name = "x"\nnote = "\xff"\n') == ("not-utf8", 2, 9)
    assert code(b"x = " + b"[" * 5000) == ("syntax", 0, 0)
    assert code(b"x = " + b"9" * 5000)[0] == "syntax"
    assert code(b"#" * (1 << 20) + b"#") == ("too-large", 0, 0)
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(ProfileInvalid, match="cannot read"):
            load(path)


def test_line_ends_of_windows() -> None:
    text = changed(('["agent"]', '["agnt"]')).replace("\n", "\r\n")
    (problem,) = problems(text)
    assert (problem.line, problem.column) == position(text.replace("\r", ""), '"agnt"')


EXTERNAL = ('[loadbalancer]\nmode = "managed"\n', '[loadbalancer]\nmode = "external"\n')


def test_an_external_load_balancer_needs_no_host() -> None:
    profile = parse(changed((NGINX, ""), EXTERNAL), "x").profile
    assert profile.loadbalancer.mode == "external"
    assert not profile.with_role("loadbalancer")


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ((NGINX, NGINX), ["needless-role"]),
        ((NGINX, ""), ["needless-setting"]),
    ],
)
def test_what_means_nothing_for_an_external_load_balancer(
    change: tuple[str, str], codes: list[str]
) -> None:
    method = (BALANCER, BALANCER + 'method = "round_robin"\n')
    more = () if "needless-role" in codes else (method,)
    text = changed(change, EXTERNAL, *more)
    assert [problem.code for problem in problems(text)] == codes
