"""P12: what is downloaded is what was meant, or it is gone before anything of it runs.

A tampered file says that it ran by leaving a mark.  Who looks for marks alone might look too late:
every program that the hosts start is written down, too.
"""

from __future__ import annotations

import hashlib
import platform
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomli_w

from tests.faults.execs import Started, of_pid_namespace, watched
from tests.faults.tally import Row, Tally
from tests.lab import paths, releases
from tests.lab.lab import Lab
from tests.lab.operators import edit, lock_file, refused, snapshot
from tests.lab.product import Done, Product
from tests.lab.test_air_gap import (
    ARCH,
    BINARY,
    IMAGES,
    IMAGES_THERE,
    from_bundle,
    replace,
    write_sums,
)
from tests.lab.test_interruption import running

NODES = ("k3s-server-1", "k3s-server-2")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}[platform.machine()]
MARK = "/root/tampered-with-and-run"
TAMPERED = f"#!/bin/sh\n: >{MARK}\n".encode()


def script() -> Path:
    return paths.RELEASES / "install.sh"


def binary() -> Path:
    return next(iter((paths.RELEASES / releases.offered_version()).glob("k3s*")))


def sums() -> Path:
    return binary().with_name(f"sha256sum-{ARCHITECTURE}.txt")


@contextmanager
def tampered(*files: Path, listed: bool) -> Iterator[None]:
    """The release server offers something else; with `listed`, its list of sums agrees with it."""
    kept = {file: file.read_bytes() for file in (*files, sums())}
    try:
        for file in files:
            file.write_bytes(TAMPERED)
        if listed:
            sums().write_text(f"{hashlib.sha256(TAMPERED).hexdigest()}  {binary().name}\n")
        yield
    finally:
        for file, content in kept.items():
            file.write_bytes(content)


@contextmanager
def hosts_watched(lab: Lab, folder: Path, names: Sequence[str] = NODES) -> Iterator[Started]:
    inits = [lab.host(name).init for name in names]
    pids = [pid for init in inits if init for pid in of_pid_namespace(init)]
    with watched(folder / "started", pids) as started:
        yield started


def ran(started: Started) -> list[str]:
    """Programs that were started from what is downloaded."""
    told = ("/usr/local/bin/k3s", "install.sh", ".k3s-tui.")
    return [
        command
        for command in started.commands
        if command.split(" ")[0] not in NOT_RUN and any(text in command for text in told)
    ]


NOT_RUN = frozenset(
    (
        "chmod",
        "chown",
        "cp",
        "curl",
        "cut",
        "ls",
        "mktemp",
        "mv",
        "rm",
        "sha256sum",
        "stat",
        "sync",
        "timeout",
    )
)
"""They have such a file among their words, and do not run it; what `timeout` runs comes next."""


MIRROR = "https://release-assets.githubusercontent.com"
"""A server of the lab's that has the releases under its own root, as a mirror has."""


@pytest.fixture(scope="module", params=["online", pytest.param("mirror", marks=pytest.mark.full)])
def product(
    request: pytest.FixtureRequest, bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Product:
    """Of an operator who was given the digests, and has never downloaded anything."""
    bare_hosts.fresh()
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    if request.param == "mirror":
        edit(product, 'source = "online"', f'source = "mirror"\nmirror = "{MIRROR}"')
    assert product.init().status == 0
    given = {
        "version": releases.offered_version(),
        "script-url": f"{MIRROR}/install.sh" if request.param == "mirror" else "https://get.k3s.io",
        "sha256": {
            "install.sh": hashlib.sha256(script().read_bytes()).hexdigest(),
            f"k3s-{ARCHITECTURE}": hashlib.sha256(binary().read_bytes()).hexdigest(),
        },
    }
    wanted = {"host-keys": bare_hosts.host_keys, "install": given}
    lock_file(product).write_text(tomli_w.dumps(wanted))
    return product


@pytest.fixture(scope="module")
def row(tally: Tally) -> Row:
    return tally("P12", "a download that is not what was meant")


def no_mark(lab: Lab) -> None:
    for name in NODES:
        assert lab.host(name).sh(f"ls {MARK} 2>/dev/null || echo none") == "none\n"


# -- a bundle on the laptop -----------------------------------------------------------------------


@pytest.fixture
def content(bare_hosts: Lab, tmp_path: Path) -> Path:
    """The release that is offered, with images."""
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "install.sh").write_bytes(script().read_bytes())
    (folder / BINARY).write_bytes(binary().read_bytes())
    (folder / IMAGES).write_bytes(b"as good as images" * 1000)
    write_sums(folder)
    return folder


def test_images_that_are_not_those_of_the_given_digest(
    bare_hosts: Lab, tmp_path: Path, content: Path, row: Row
) -> None:
    """The bundle's own list fits them: it is of no more worth than its carrier."""
    row.injected += 1
    product = another(bare_hosts, tmp_path)
    names = {"install.sh": "install.sh", f"k3s-{ARCH}": BINARY, IMAGES: IMAGES}
    digests = {n: hashlib.sha256((content / f).read_bytes()).hexdigest() for n, f in names.items()}
    given = {
        "version": releases.offered_version(),
        "script-url": "bundle",
        "sha256": digests,
    }
    wanted = {"host-keys": bare_hosts.host_keys, "install": given}
    lock_file(product).write_text(tomli_w.dumps(wanted))
    bundle = from_bundle(product, content)
    replace(bundle / IMAGES, TAMPERED)
    write_sums(bundle)
    done = refused(product, 5, "nothing was changed", digests[IMAGES], "lab.lock.toml")
    (told,) = done.of("planned", verdict="problem")
    assert told["step"] == "laptop/preflight/bundle" and IMAGES in told["summary"], told
    row.survived += 1


def test_images_that_are_swapped_after_they_were_looked_at(
    bare_hosts: Lab, tmp_path: Path, content: Path, row: Row
) -> None:
    """Between the look and the push there is time: the host compares what arrives."""
    row.injected += 1
    agent = bare_hosts.host("k3s-agent")
    agent.sh(HELD_AT_THE_PUSH)
    product = another(bare_hosts, tmp_path)
    bundle = from_bundle(product, content)
    with running(product, "--only", "k3s-agent/installation/images") as run:
        run.until_event("step-started", "k3s-agent/installation/images")
        replace(bundle / IMAGES, TAMPERED)
        agent.sh("rm /run/held /usr/local/bin/find")
        done = run.ended(120)
    assert done.status == 1, done
    assert done.steps("failed") == {"k3s-agent/installation/images"}, done
    assert agent.sh(f"ls {IMAGES_THERE} 2>/dev/null || echo none") == "none\n"
    row.survived += 1


HELD_AT_THE_PUSH = """
: >/run/held
cat >/usr/local/bin/find <<'SHIM'
#!/bin/sh
tries=0
case $* in */k3s-tui/pushed*)
    while [ -e /run/held ] && [ $tries -lt 300 ]; do tries=$((tries + 1)); sleep 0.1; done ;;
esac
exec /usr/bin/find "$@"
SHIM
chmod 755 /usr/local/bin/find
"""
"""What the host does before it takes a file waits until the test lets it go on."""


def test_images_that_are_others_on_a_later_run(
    bare_hosts: Lab, tmp_path: Path, content: Path, row: Row
) -> None:
    """What was recorded when they were first used decides, whatever the bundle's own list says."""
    row.injected += 1
    product = another(bare_hosts, tmp_path)
    bundle = from_bundle(product, content)
    genuine = hashlib.sha256((bundle / IMAGES).read_bytes()).hexdigest()
    only = ("k3s-agent/installation/images", "laptop/installation/checksums")
    first = product.apply(*(f"--only={step}" for step in only))
    assert first.status == 0, first
    recorded = tomllib.loads(lock_file(product).read_text())
    assert recorded["install"]["sha256"][IMAGES] == genuine
    replace(bundle / IMAGES, TAMPERED)
    write_sums(bundle)
    refused(product, 5, "nothing was changed", genuine, "lab.lock.toml")
    assert tomllib.loads(lock_file(product).read_text()) == recorded
    row.survived += 1


def another(lab: Lab, folder: Path) -> Product:
    product = Product(lab, folder / "operator")
    assert product.init().status == 0
    return product


# -- a first use of which nothing is recorded or given --------------------------------------------

FIRST_USE = ("k3s-server-1/installation/*", "k3s-server-2/installation/*", "laptop/*/checksums")
PATHS = {"script": "/var/lib/k3s-tui/install.sh", "binary": "/usr/local/bin/k3s"}
LEFT = f"""
mkdir -p /var/lib/k3s-tui
printf '#!/bin/sh\\n: >{MARK}\\n' >{PATHS["script"]}
head -c 4096 /bin/sh >{PATHS["binary"]}
chmod 755 {PATHS["script"]} {PATHS["binary"]}
"""
"""What an uninstalled cluster, or a download that was cut off, has left on a host."""


def used(product: Product, *steps: str) -> Done:
    return product.apply(*(f"--only={step}" for step in steps or FIRST_USE))


def genuine() -> dict[str, str]:
    return {
        "install.sh": hashlib.sha256(script().read_bytes()).hexdigest(),
        f"k3s-{ARCHITECTURE}": hashlib.sha256(binary().read_bytes()).hexdigest(),
    }


def there(lab: Lab, name: str) -> list[str]:
    """The SHA-256 of script and binary on a host."""
    asked = f"sha256sum {PATHS['script']} {PATHS['binary']} 2>/dev/null | cut -d ' ' -f 1"
    return lab.host(name).sh(asked).split()


@contextmanager
def offered(file: Path, content: bytes | None) -> Iterator[None]:
    """The release server has another content for that file, or no such file at all."""
    kept = file.read_bytes()
    try:
        file.unlink() if content is None else file.write_bytes(content)
        yield
    finally:
        file.write_bytes(kept)


@pytest.mark.parametrize("listed", [True, False], ids=["with its list", "without a list"])
def test_at_first_use_what_is_there_already_is_no_witness(
    bare_hosts: Lab, tmp_path: Path, row: Row, listed: bool
) -> None:
    """It would be recorded, and what the server gives the other nodes would be called wrong."""
    bare_hosts.fresh("k3s-server-1", "k3s-server-2")
    bare_hosts.host("k3s-server-1").sh(LEFT)
    product = another(bare_hosts, tmp_path)
    old = there(bare_hosts, "k3s-server-1")
    row.injected += 1
    with (
        offered(sums(), sums().read_bytes() if listed else None),
        hosts_watched(bare_hosts, tmp_path) as started,
    ):
        done = used(product)
    assert done.status == 0, done
    for kind, before in zip(("script", "binary"), old, strict=True):
        (told,) = done.of("planned", step=f"k3s-server-1/installation/{kind}")
        assert told["verdict"] == "change", told
        why = before if listed or kind == "script" else "nothing says that what is there came"
        assert why in told["summary"], told
    recorded = tomllib.loads(lock_file(product).read_text())["install"]["sha256"]
    assert recorded == genuine()
    for name in NODES:
        assert there(bare_hosts, name) == list(genuine().values()), name
    (asked,) = done.of("planned", step="k3s-server-1/preflight/published-binary")
    assert ("is taken unchecked" in asked["warning"]) != listed, asked
    assert not [command for command in ran(started) if "install.sh" in command]
    no_mark(bare_hosts)
    again = used(product)
    assert (again.status, again.steps("changed")) == (0, set()), again
    row.survived += 1


def test_at_first_use_a_binary_that_contradicts_its_list(
    bare_hosts: Lab, tmp_path: Path, row: Row
) -> None:
    """A proxy answers with a page of its own: it gets no name, and its sum no place."""
    bare_hosts.fresh("k3s-server-1", "k3s-server-2")
    product = another(bare_hosts, tmp_path)
    row.injected += 1
    with offered(binary(), TAMPERED), hosts_watched(bare_hosts, tmp_path) as started:
        done = used(product)
    assert done.status == 1, done
    assert done.steps("failed") == {"k3s-server-1/installation/binary"}, done
    (failed,) = done.of("step-done", outcome="failed")
    for said in (
        hashlib.sha256(TAMPERED).hexdigest(),
        genuine()[f"k3s-{ARCHITECTURE}"],
        f"/{binary().name} gave",
        f"/{sums().name} says",
    ):
        assert said in failed["error"], failed
    assert any(command.startswith("curl ") for command in started.commands)
    assert not ran(started), ran(started)
    no_mark(bare_hosts)
    assert "install" not in tomllib.loads(lock_file(product).read_text())
    assert there(bare_hosts, "k3s-server-1") == [genuine()["install.sh"]]
    # The next, healthy run is not refused for it.
    done = used(product)
    assert done.status == 0, done
    assert tomllib.loads(lock_file(product).read_text())["install"]["sha256"] == genuine()
    row.survived += 1


def test_at_first_use_a_portal_that_answers_for_the_list(
    bare_hosts: Lab, tmp_path: Path, row: Row
) -> None:
    product = another(bare_hosts, tmp_path)
    row.injected += 1
    with offered(sums(), b"<html>Please log in to this network.</html>"):
        done = refused(product, 5, "nothing was changed", f"{sums().name} gives names no SHA-256")
    (told,) = done.of("planned", verdict="problem")
    assert told["step"] == "k3s-server-1/preflight/published-binary", told
    row.survived += 1


# -- a release server -----------------------------------------------------------------------------


def test_at_first_use_a_given_digest_decides(
    product: Product, bare_hosts: Lab, tmp_path: Path, row: Row
) -> None:
    """Before anything is touched: whoever can change the files can change their list, too."""
    files = {"script": (script(),), "binary": (binary(),), "both": (script(), binary())}
    for what, changed in files.items():
        row.injected += 1
        folder = tmp_path / what
        folder.mkdir()
        with tampered(*changed, listed=True), hosts_watched(bare_hosts, folder) as started:
            done = refused(product, 5, "nothing was changed", "lab.lock.toml")
        wrong = {"script", "binary"} if what == "both" else {what}
        if what == "script":
            wrong |= {"binary"}  # the list says so
        told = {event["step"] for event in done.of("planned", verdict="problem")}
        assert told == {f"k3s-server-1/preflight/published-{kind}" for kind in wrong}, done
        assert started.commands and not ran(started)
        row.survived += 1
    no_mark(bare_hosts)


def test_at_first_use_a_list_that_lies_is_no_help(
    product: Product, bare_hosts: Lab, tmp_path: Path, row: Row
) -> None:
    """The list is the genuine one, the binary is not: it is found out once it has come."""
    row.injected += 1
    with tampered(binary(), listed=False), hosts_watched(bare_hosts, tmp_path) as started:
        done = product.apply("--only", "k3s-server-1/servers/k3s")
    assert done.status == 1, done
    assert done.steps("failed") == {"k3s-server-1/installation/binary"}, done
    (failed,) = done.of("step-done", outcome="failed")
    assert hashlib.sha256(TAMPERED).hexdigest() in failed["error"] and failed["hint"]
    assert any(command.startswith("curl ") for command in started.commands)
    assert not ran(started), ran(started)
    no_mark(bare_hosts)
    left = "find /usr/local/bin /var/lib/k3s-tui -name 'k3s' -o -name '.k3s-tui.*'"
    assert bare_hosts.host("k3s-server-1").sh(f"{left} 2>/dev/null") == ""
    row.survived += 1


def test_what_was_meant_is_used(product: Product, bare_hosts: Lab, tmp_path: Path) -> None:
    """With the genuine files the same run goes on, and what runs of them is seen."""
    with hosts_watched(bare_hosts, tmp_path) as started:
        done = product.apply("--only", "k3s-server-1/servers/k3s")
    assert done.status == 0, done
    assert any("k3s server" in command for command in ran(started)), ran(started)
    assert any("install.sh" in command for command in ran(started)), ran(started)


def test_later_what_was_recorded_decides(
    product: Product, bare_hosts: Lab, tmp_path: Path, row: Row
) -> None:
    """Another server joins after the mirror was taken over: it gets nothing, the first goes on."""
    row.injected += 1
    recorded = lock_file(product).read_bytes()
    unit = "systemctl show -p ActiveEnterTimestampMonotonic -p MainPID k3s"
    first = bare_hosts.host("k3s-server-1")
    running, before = first.sh(unit), snapshot(bare_hosts)["k3s-server-1"]
    both, second = (script(), binary()), ("k3s-server-2",)
    with tampered(*both, listed=True), hosts_watched(bare_hosts, tmp_path, second) as started:
        done = product.apply("--only", "k3s-server-2/servers/k3s")
    assert done.status == 1, done
    kinds = ("script", "binary")
    assert done.steps("failed") == {f"k3s-server-2/installation/{kind}" for kind in kinds}, done
    assert any(command.startswith("curl ") for command in started.commands)
    assert not ran(started), ran(started)
    no_mark(bare_hosts)
    assert first.sh(unit) == running
    ours = {
        path: info
        for path, info in snapshot(bare_hosts)["k3s-server-1"].items()
        if path.startswith(("/etc/", "/usr/"))
    }
    assert ours == {p: info for p, info in before.items() if p.startswith(("/etc/", "/usr/"))}
    assert lock_file(product).read_bytes() == recorded
    row.survived += 1
