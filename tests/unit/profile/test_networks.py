"""Families of addresses and ranges: what K3s takes, and what is refused before it can refuse."""

from __future__ import annotations

import re
import tomllib

import pytest

from k3s_tui.profile.load import parse
from k3s_tui.profile.model import Profile
from k3s_tui.profile.networks import clash, families
from k3s_tui.profile.problem import ProfileInvalid, ProfileProblem
from tests.unit.profile.documents import HOW_TO, TEXT

NODES = ("54", "154", "196")
PODS, SERVICES = "10.42.0.0/16,fd00:42::/56", "10.43.0.0/16,fd00:43::/112"


def six(text: str = TEXT) -> str:
    """The how-to in IPv6."""
    return text.replace("10.161.129.", "fd00::")


def both(text: str = TEXT, first: str = "10.161.129.", then: str = "fd00::") -> str:
    """The how-to with nodes of both families."""
    for number in NODES:
        text = text.replace(
            f'address = "10.161.129.{number}"\n',
            f'address = "{first}{number}"\nnode-ip = "{first}{number},{then}{number}"\n',
        )
    return text


def config(text: str, **ranges: str | list[str]) -> str:
    lines = "".join(f"{key.replace('_', '-')} = {value!r}\n" for key, value in ranges.items())
    return text.replace("[k3s.server-config]\n", "[k3s.server-config]\n" + lines)


def judged(text: str) -> tuple[Profile | None, list[ProfileProblem]]:
    try:
        loaded = parse(text, "test.toml")
    except ProfileInvalid as invalid:
        return None, invalid.problems
    return loaded.profile, list(loaded.warnings)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        six(),
        config(six(), cluster_cidr="fd12::/48", service_cidr="fd13::/108"),
        # One family of pods on nodes of both is K3s's default there, and works.
        both(),
        config(both(), cluster_cidr=PODS, service_cidr=SERVICES),
        config(both(), cluster_cidr=PODS.split(","), service_cidr=SERVICES.split(",")),
        config(
            both(first="fd00::", then="10.161.129."),
            cluster_cidr="fd00:42::/56,10.42.0.0/16",
            service_cidr="fd00:43::/112,10.43.0.0/16",
        ),
        # The datastore may be in the other family: routes decide.
        TEXT.replace('"10.161.129.212"', '"fd00::212"'),
    ],
)
def test_what_k3s_takes(text: str) -> None:
    profile, problems = judged(text)
    assert profile is not None and not problems, problems


MISTAKES = {
    # text, code, part of the message
    "a server in the other family": (
        TEXT.replace('"10.161.129.154"', '"fd00::154"'),
        "families-differ",
        '"k3s-server-2" is in the cluster by IPv6, and "k3s-server-1" by IPv4',
    ),
    "nodes in IPv6, pods in IPv4": (
        config(six(), cluster_cidr="10.42.0.0/16", service_cidr="10.43.0.0/16"),
        "families-differ",
        "cluster-cidr is IPv4, and it has no IPv4 address",
    ),
    "both for pods, nodes of one": (
        config(TEXT, cluster_cidr=PODS, service_cidr=SERVICES),
        "families-differ",
        "cluster-cidr is IPv4 and IPv6, and it has no IPv6 address",
    ),
    "both for pods, one for services": (
        config(both(), cluster_cidr=PODS),
        "families-differ",
        "cluster-cidr is IPv4 and IPv6, and service-cidr IPv4",
    ),
    "another order of services": (
        config(both(), cluster_cidr=PODS, service_cidr="fd00:43::/112,10.43.0.0/16"),
        "families-differ",
        "cluster-cidr begins with IPv4, and service-cidr does not",
    ),
    "another order of nodes": (
        config(both(first="fd00::", then="10.161.129."), cluster_cidr=PODS, service_cidr=SERVICES),
        "families-differ",
        "service-cidr begins with IPv4, and its node-ip does not",
    ),
    "two of a family": (
        TEXT.replace('"10.161.129.54"\n', '"10.161.129.54"\nnode-ip = "10.0.0.1,10.0.0.2"\n'),
        "one-family",
        "both addresses are IPv4",
    ),
    "a node-ip that is none": (
        TEXT.replace('"10.161.129.54"\n', '"10.161.129.54"\nnode-ip = "10.0.0.1,fd00::zz"\n'),
        "bad-address",
        "node-ip",
    ),
    "of a link": (six().replace('"fd00::54"', '"fe80::54"'), "bad-address", "one link only"),
    "mapped": (
        six().replace('"fd00::54"', '"::ffff:10.0.0.1"'),
        "bad-address",
        "is an IPv4 address",
    ),
    "everywhere": (six().replace('"fd00::118"', '"::"'), "bad-address", "not the address of one"),
    "services of IPv6 without end": (
        config(six(), service_cidr="fd00:43::/64"),
        "bad-range",
        "service-cidr fd00:43::/64 is too large for Kubernetes",
    ),
    "pods of IPv6 without end": (config(six(), cluster_cidr="fd00::/32"), "bad-range", "too large"),
    "pods for no node": (config(six(), cluster_cidr="fd00::/96"), "bad-range", "too small"),
    "three ranges": (
        config(both(), cluster_cidr="10.1.0.0/16,10.2.0.0/16"),
        "bad-range",
        "2 ranges of the same family",
    ),
    "an address for a range": (config(six(), cluster_cidr="fd00::1"), "bad-range", "not a range"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_told(name: str) -> None:
    text, code, message = MISTAKES[name]
    profile, problems = judged(text)
    assert profile is None
    assert {problem.code for problem in problems} == {code}, problems
    assert message in str(problems[0].message) + str(problems[0].expected), problems


def test_two_spellings_are_one_address() -> None:
    text = six().replace('"fd00::154"', '"FD00:0::0054"')
    _, problems = judged(text)
    assert [problem.code for problem in problems] == ["duplicate-address"], problems


def test_an_old_k3s_is_a_warning() -> None:
    profile, problems = judged(
        six().replace('version = "v1.36.3+k3s1"', 'version = "v1.22.1+k3s1"')
    )
    assert profile is not None
    assert [problem.code for problem in problems] == ["old-k3s"], problems


def test_nodes_without_a_number_say_nothing_yet() -> None:
    assert families(("name.example", "fd00::1", "10.0.0.1", "fd00::2")) == (6, 4)
    assert clash((), {"cluster-cidr": PODS}) == ""


def test_masquerading_of_ipv6_is_a_servers_option() -> None:
    text = TEXT.replace("[k3s.agent-config]\n", "[k3s.agent-config]\nflannel-ipv6-masq = true\n")
    _, problems = judged(text)
    assert [problem.code for problem in problems] == ["server-option"]


def test_a_mirror_may_be_an_address() -> None:
    text = TEXT.replace(
        '[install]\nsource = "online"',
        '[install]\nsource = "mirror"\nmirror = "https://[fd00::9]:8443/k3s"',
    )
    profile, problems = judged(text)
    assert profile is not None, problems
    assert profile.install.script.startswith(("https://[fd00::9]:8443/k3s/", "https://get"))


def test_the_how_to_page_is_right() -> None:
    page = HOW_TO.parents[1] / "how-to" / "ipv6.md"
    (_, pairs) = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    ranges = tomllib.loads(pairs)["k3s"]["server-config"]
    node_ip = tomllib.loads(pairs)["hosts"]["k3s-server-1"]["node-ip"]
    assert clash(families(node_ip.split(",")), ranges) == ""
    assert judged(config(both(), **{k.replace("-", "_"): v for k, v in ranges.items()}))[0]
