from __future__ import annotations

import difflib
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3s_tui.core.errors import OperatorError
from k3s_tui.profile.load import load, parse
from k3s_tui.profile.model import HostEntry, Profile
from k3s_tui.profile.problem import ProfileInvalid
from k3s_tui.profile.reference import SecretRef
from k3s_tui.profile.save import edited, new, save
from tests.unit.profile.documents import TEXT

PROFILE = parse(TEXT, "x").profile
with_ = msgspec.structs.replace

ELABORATE = with_(
    PROFILE,
    note='two lines\nand a "quote"',
    ssh=with_(PROFILE.ssh, sudo_password=None, port=2222, user="root"),
    hosts={
        "k3s-server-1": with_(PROFILE.hosts["k3s-server-1"], labels={"a/b": "c"}, port=22),
        "k3s-server-2": with_(PROFILE.hosts["k3s-server-2"], address="10.1.1.9"),
        "postgres": PROFILE.hosts["postgres"],
        "nginx": PROFILE.hosts["nginx"],
        "a.b": HostEntry(address="10.1.1.1", roles=["agent"], taints=["x=y:NoExecute"]),
        "new-2": HostEntry(address="h", roles=["agent"], node_ip="10.1.1.2", jump="nginx"),
    },
    pki=with_(PROFILE.pki, renew_days=30),
    loadbalancer=with_(PROFILE.loadbalancer, port=443, method="round_robin"),
    k3s=with_(
        PROFILE.k3s,
        tls_san=["k3s.example", "10.0.0.1"],
        token=SecretRef("file", "/x y"),
        server_config={"disable": ["traefik"], "kubelet-arg+": ["v=2"], "debug": True, "n": 1},
        agent_config={},
    ),
)


def changes(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_an_unchanged_profile_is_an_unchanged_file() -> None:
    assert edited(TEXT, PROFILE, "x") == TEXT


def test_an_edit_changes_only_its_own_lines() -> None:
    hosts = {name: host for name, host in PROFILE.hosts.items() if name != "k3s-agent"}
    hosts["new"] = HostEntry(address="10.1.1.1", roles=["agent"])
    changed = with_(
        PROFILE,
        hosts=hosts,
        ssh=with_(PROFILE.ssh, sudo_password=None, port=2222),
        loadbalancer=with_(PROFILE.loadbalancer, port=443),
    )
    text = edited(TEXT, changed, "x")
    assert changes(TEXT, text) == [
        '-sudo-password = "prompt:"          # leave out when sudo asks for none',
        "+port = 2222",
        "-[hosts.k3s-agent]",
        '-address = "10.161.129.196"',
        '-roles = ["agent"]                  # labels and taints go into this table, too',
        "-",
        "+",
        "+[hosts.new]",
        '+address = "10.1.1.1"',
        '+roles = ["agent"]',
        "-port = 6443",
        "+port = 443",
    ]
    # What introduces the next section stays with it.
    assert "\n\n# PostgreSQL, which holds the cluster's state.\n[datastore]\n" in text
    assert parse(text, "x").profile == changed


LAYOUTS = {
    "sections": TEXT,
    "new": new(ELABORATE, "x.toml"),
    "inline": """
schema = 1
name = "x"
ssh = { user = "a", port = 1 } # how
hosts = { k3s-server-1 = { address = "1.1.1.1", roles = ["server", "agent"] } }
datastore = { hostname = "a.b", password = "prompt:" }
k3s = { version = "", token = "env:A", agent-token = "env:B", server-config = { a = 1 } }
[loadbalancer] # last
address = "1.2.3.4" # no line end""",
    "dotted": """
schema = 1
ssh.user = "a" # how
ssh . port = 3
hosts.a.address = "1.1.1.1"
hosts.a.roles = [
  "server", # one
]
datastore.hostname = "a.b"
datastore.password = "prompt:"
k3s.version = "x"
k3s.token = "env:A"
k3s.server-config.a = 1
loadbalancer.address = "1.2.3.4"
""",
    "scattered": """schema = 1
[k3s.server-config]
x = 1
[hosts.z]
address = "1"
[k3s]
version = ""
[hosts."a.b".labels]
"a/b" = ""
[hosts.z.labels]
x = "y"
[ssh]
[pki]
""",
    "empty": "",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("profile", [PROFILE, ELABORATE], ids=["how-to", "elaborate"])
def test_any_layout_comes_to_say_the_profile(layout: str, profile: Profile) -> None:
    text = edited(LAYOUTS[layout], profile, "x")
    assert parse(text, "x").profile == profile
    assert edited(text, profile, "x") == text


def test_comments_survive_in_other_layouts() -> None:
    assert "# how" in edited(LAYOUTS["inline"], ELABORATE, "x")
    assert "# how" in edited(LAYOUTS["dotted"], ELABORATE, "x")


def test_true_and_1_differ() -> None:
    one = with_(PROFILE, k3s=with_(PROFILE.k3s, server_config={"debug": 1}))
    true = with_(PROFILE, k3s=with_(PROFILE.k3s, server_config={"debug": True}))
    assert "debug = true" in edited(edited(TEXT, one, "x"), true, "x")


names = st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name not in ("laptop", "nginx", "postgres", "k3s-server-1", "k3s-server-2")
)
options = st.dictionaries(
    st.from_regex(r"x-[a-z]{1,4}", fullmatch=True),
    st.one_of(st.booleans(), st.integers(0, 9), st.text("ab#='\" é", max_size=5)),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.lists(names, unique=True, max_size=3),
    options,
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10),
)
def test_any_profile_into_any_layout(
    layout: str, agents: list[str], config: dict[str, object], note: str
) -> None:
    hosts = {name: host for name, host in PROFILE.hosts.items() if name != "k3s-agent"}
    for number, name in enumerate(agents):
        hosts[name] = HostEntry(
            address=f"10.0.0.{number}", roles=["agent"], labels={name: note[:0]}
        )
    profile = with_(PROFILE, note=note, hosts=hosts, k3s=with_(PROFILE.k3s, server_config=config))
    assert parse(edited(LAYOUTS[layout], profile, "x"), "x").profile == profile
    assert parse(new(profile, "x"), "x").profile == profile


def test_save_makes_and_edits_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    save(path, ELABORATE)
    assert load(path) == ELABORATE
    assert path.read_text().startswith("# A k3s-tui profile")
    assert "k3s-tui apply a.toml" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.write_text("# mine\n" + path.read_text())
    path.chmod(0o640)
    save(path, PROFILE)
    assert load(path) == PROFILE
    assert path.read_text().startswith("# mine\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_nothing_is_written_for_what_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    broken = with_(PROFILE, hosts={})
    with pytest.raises(ProfileInvalid):
        save(path, broken)
    assert not path.exists()
    path.write_text("[broken")
    with pytest.raises(ProfileInvalid):
        save(path, PROFILE)
    assert path.read_text() == "[broken"
    with pytest.raises(OperatorError, match="cannot write"):
        save(tmp_path / "absent" / "a.toml", PROFILE)
