from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import Refused, StepFailed
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_server
from k3s_tui.resources.download import Download
from k3s_tui.resources.published import FirstSum, FirstSumState, PublishedState, PublishedSum
from tests.unit.hands import ME, LocalHands

CONTENT = b"#!/bin/sh\necho it runs\n"
SUM = hashlib.sha256(CONTENT).hexdigest()
ANOTHER = hashlib.sha256(b"another").hexdigest()
PAGE = b"<html>Please log in to this network.</html>"
LISTED = f"{'0' * 64}  k3s-images.tar\n{SUM}  k3s\n{ANOTHER} *k3s-arm64\n".encode()


class Site(BaseHTTPRequestHandler):
    plain_port = 0
    """Where the same is to be had without TLS: where a redirect must not lead."""

    def do_GET(self) -> None:
        if self.path == "/plain":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.plain_port}/file")
            self.end_headers()
            return
        found = {
            "/file": CONTENT,
            "/sums.txt": LISTED,
            "/cut-off": CONTENT,
            "/cut-off.txt": LISTED,
            "/portal.txt": PAGE,
            "/page": PAGE,
            "/sums-of-file.txt": f"{SUM}  file\n".encode(),
            "/sums-of-page.txt": f"{ANOTHER}  page\n".encode(),
        }.get(self.path)
        self.send_response(200 if found else 403 if self.path == "/forbidden.txt" else 404)
        missing = 9 if self.path.startswith("/cut-off") else 0
        self.send_header("Content-Length", str(len(found or b"") + missing))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real HTTPS server on loopback: its address, and the CA that it is to be trusted by."""
    folder = tmp_path_factory.mktemp("site")
    now = datetime.now(UTC)
    ca = Authority.create("test", 1, now)
    pair = ca.issue_short_lived(datastore_server("localhost", ("127.0.0.1",)), now)
    (folder / "ca").write_text(ca.certificate_pem)
    (folder / "pair").write_text(pair.key.reveal() + pair.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    plain = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    Site.plain_port = plain.server_port
    for each in (server, plain):
        threading.Thread(target=each.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", folder / "ca"
    for each in (server, plain):
        each.shutdown()
        each.server_close()


@pytest.fixture
def url(hands: LocalHands, site: tuple[str, Path]) -> str:
    hands.environment["CURL_CA_BUNDLE"] = str(site[1])
    return site[0]


def first_use(url: str, root: Path, path: Path) -> Download:
    """Of a source that has no list of sums."""
    return Download(f"{url}/file", str(path), None, "0755", ME, marks=str(root / "fetched"))


async def test_a_first_use_says_what_it_got(hands: LocalHands, root: Path, url: str) -> None:
    path = root / "bin/k3s"
    download = first_use(url, root, path)
    change = await hands.settle(download)
    assert change.summary == f"download {url}/file to {path}"
    assert change.after is None
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert (await hands.look(download)).digest == SUM
    assert [p.name for p in path.parent.iterdir()] == ["k3s"]
    mark = root / "fetched/k3s"
    assert mark.read_text() == f"{SUM}  {url}/file\n"
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"an old one", CONTENT[:9], b"<html>", b""])
async def test_at_first_use_what_is_there_already_is_no_witness(
    hands: LocalHands, root: Path, url: str, content: bytes
) -> None:
    path = root / "k3s"
    path.write_bytes(content)
    path.chmod(0o755)
    change = await hands.settle(first_use(url, root, path))
    assert change.after is None
    assert change.summary == (
        f"download {url}/file to {path} (nothing says that what is there came from that address)"
    )
    assert path.read_bytes() == CONTENT


async def test_at_first_use_the_same_content_stays_where_it_is(
    hands: LocalHands, root: Path, url: str
) -> None:
    """It may be running."""
    path = root / "k3s"
    path.write_bytes(CONTENT)
    path.chmod(0o600)
    before = path.stat()
    await hands.settle(first_use(url, root, path))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(p.name for p in root.rglob("*")) == ["fetched", "k3s", "k3s"]


async def test_what_a_killed_run_fetched_is_not_fetched_again(
    hands: LocalHands, root: Path, url: str
) -> None:
    path = root / "k3s"
    await hands.settle(first_use(url, root, path))
    for tool in ("curl", "wget"):
        hands.tool(tool, "echo must not be asked >&2; exit 1")
    download = first_use(url, root, path)
    assert download.diff(await hands.look(download)) is None
    path.chmod(0o600)
    change = await hands.settle(download)
    assert change.summary == f"set mode 0600 → 0755 of {path}"


async def test_a_run_that_is_killed_before_the_file_has_its_name(
    hands: LocalHands, root: Path, url: str
) -> None:
    """The mark is there, and fits no file."""
    path = root / "k3s"
    path.write_bytes(b"an old one")
    download = first_use(url, root, path)
    hands.tool("mv", 'case $* in *fetched*) exec /bin/mv "$@" ;; *) kill -9 $PPID ;; esac')
    with pytest.raises(StepFailed):
        await download.apply(hands, Change(""))
    assert (root / "fetched/k3s").read_text() == f"{SUM}  {url}/file\n"
    assert path.read_bytes() == b"an old one"
    hands.tool("mv", 'exec /bin/mv "$@"')
    await hands.settle(download)
    assert path.read_bytes() == CONTENT
    assert sorted(p.name for p in root.rglob("*")) == ["fetched", "k3s", "k3s"]


@pytest.mark.parametrize("wrong", ["url", "sum", "link", "owner", "torn"])
async def test_a_mark_that_is_not_of_that_download(
    hands: LocalHands, root: Path, url: str, wrong: str
) -> None:
    path, mark = root / "k3s", root / "fetched/k3s"
    await hands.settle(first_use(url, root, path))
    right = mark.read_text()
    match wrong:
        case "url":
            mark.write_text(f"{SUM}  {url}/another\n")
        case "sum":
            path.write_bytes(b"changed since")
        case "link":
            mark.rename(root / "elsewhere")
            mark.symlink_to(root / "elsewhere")
        case "owner":
            if os.getuid():
                pytest.skip("only root gives files away")
            os.chown(mark, 65534, 65534)
        case "torn":
            mark.write_text(right[:70])
    await hands.settle(first_use(url, root, path))
    assert path.read_bytes() == CONTENT
    assert mark.read_text() == right and not mark.is_symlink() and mark.stat().st_uid == os.getuid()


async def test_a_known_sum(hands: LocalHands, root: Path, url: str) -> None:
    path = root / "file"
    path.write_text("something else")
    path.chmod(0o755)
    download = Download(f"{url}/file", str(path), SUM, "0755", ME, "as LIST says")
    change = await hands.settle(download)
    assert f"wanted is {SUM}, as LIST says)" in change.summary
    assert path.read_bytes() == CONTENT


async def test_another_content_is_never_put_in_place(
    hands: LocalHands, root: Path, url: str
) -> None:
    path = root / "file"
    download = Download(f"{url}/file", str(path), ANOTHER, "0755", ME, "as LIST says")
    with pytest.raises(StepFailed, match=f"SHA-256 is {SUM}, wanted is {ANOTHER}, as LIST says"):
        await download.apply(hands, Change(""))
    assert list(root.iterdir()) == []


async def test_what_is_there_is_not_fetched_again(hands: LocalHands, root: Path, url: str) -> None:
    path = root / "file"
    path.write_bytes(CONTENT)
    path.chmod(0o600)
    for tool in ("curl", "wget"):
        hands.tool(tool, "echo must not be asked >&2; exit 1")
    change = await hands.settle(Download(f"{url}/file", str(path), SUM, "0755", ME))
    assert change.summary == f"set mode 0600 → 0755 of {path}"


@pytest.mark.parametrize("page", ["none", "plain"])
async def test_an_error_or_a_way_out_of_https(
    hands: LocalHands, root: Path, url: str, page: str
) -> None:
    with pytest.raises(StepFailed):
        await Download(f"{url}/{page}", str(root / "x"), None).apply(hands, Change(""))
    assert list(root.iterdir()) == []


async def test_a_server_that_nobody_vouches_for(
    hands: LocalHands, root: Path, site: tuple[str, Path]
) -> None:
    with pytest.raises(StepFailed, match="cannot download https://") as caught:
        await Download(f"{site[0]}/file", str(root / "x"), SUM).apply(hands, Change(""))
    assert "certificate" in caught.value.tail


async def test_wget_serves_where_the_sum_is_known(
    hands: LocalHands, root: Path, site: tuple[str, Path], tmp_path: Path
) -> None:
    # Of the host's tools all but curl.
    folder = tmp_path / "path"
    folder.mkdir()
    for name in (
        "cat",
        "cut",
        "chmod",
        "chown",
        "mkdir",
        "mktemp",
        "mv",
        "rm",
        "sha256sum",
        "sync",
    ):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    (folder / "wget").symlink_to(shutil.which("wget") or "")
    (tmp_path / "wgetrc").write_text(f"ca_certificate = {site[1]}\n")
    hands.environment["WGETRC"] = str(tmp_path / "wgetrc")
    hands.only(folder)
    path = root / "file"
    download = Download(f"{site[0]}/file", str(path), SUM, "0755", ME)
    await download.apply(hands, Change(""))
    assert path.read_bytes() == CONTENT
    with pytest.raises(StepFailed, match="cannot download"):
        await Download(f"{site[0]}/file", str(root / "y"), None).apply(hands, Change(""))
    assert "curl is not installed" in hands.said


def test_only_https() -> None:
    with pytest.raises(Refused, match="not an https"):
        Download("http://get.k3s.io", "/tmp/x", None)


async def test_a_folder_in_the_way(hands: LocalHands, root: Path) -> None:
    download = Download("https://x", str(root), SUM)
    assert isinstance(download.diff(await hands.look(download)), Problem)


# -- what would be downloaded ---------------------------------------------------------------------


def published(url: str, root: Path, sha256: str, file: str = "file") -> PublishedSum:
    """The script, or one of the files of the release, which are on its list."""
    listed_in = "" if file in ("file", "cut-off", "missing") else f"{url}/sums.txt"
    return PublishedSum("it", f"{url}/{file}", str(root / "it"), sha256, "x.lock.toml", listed_in)


@pytest.mark.parametrize(
    ("file", "sha256", "digest"),
    [
        ("file", SUM, SUM),
        ("file", ANOTHER, SUM),
        ("k3s", SUM, SUM),
        ("k3s", ANOTHER, SUM),
        ("k3s-arm64", SUM, ANOTHER),
        # Not there, not in full, not on the list: nobody can say.
        ("missing", ANOTHER, ""),
        ("cut-off", ANOTHER, ""),
        ("k3s-armhf", ANOTHER, ""),
    ],
)
async def test_what_is_published(
    hands: LocalHands, root: Path, url: str, file: str, sha256: str, digest: str
) -> None:
    check = published(url, root, sha256, file)
    now = await hands.look(check)
    assert now == PublishedState(digest)
    found = check.diff(now)
    if digest in ("", sha256):
        assert found is None
    else:
        assert found is not None and digest in found.text and sha256 in found.text


async def test_what_is_in_place_is_not_looked_up(hands: LocalHands, root: Path, url: str) -> None:
    (root / "it").write_bytes(CONTENT)
    check = published(url, root, SUM, "k3s-arm64")
    assert await hands.look(check) == PublishedState()


async def test_without_an_answer_there_is_no_verdict(
    hands: LocalHands, root: Path, tmp_path: Path
) -> None:
    check = published("https://127.0.0.1:1", root, SUM)
    assert await hands.look(check) == PublishedState()
    hands.only(tmp_path / "nothing")
    assert await hands.look(check) == PublishedState()


# -- what a first use must get --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "listed_in", "found"),
    [
        ("file", "", FirstSumState(SUM)),
        ("k3s", "sums.txt", FirstSumState(SUM)),
        ("k3s-arm64", "sums.txt", FirstSumState(ANOTHER)),
        # Only where there is no list at all is the file taken as it comes.
        ("k3s", "missing.txt", FirstSumState(unlisted=True, why="error: 404")),
        ("k3s", "forbidden.txt", FirstSumState(why="error: 403")),
        ("k3s-armhf", "sums.txt", FirstSumState()),
        ("k3s", "portal.txt", FirstSumState()),
        ("k3s", "cut-off.txt", FirstSumState(why="(18)")),
        ("missing", "", FirstSumState(why="error: 404")),
        ("cut-off", "", FirstSumState(why="(18)")),
    ],
)
async def test_what_a_first_use_must_get(
    hands: LocalHands, url: str, file: str, listed_in: str, found: FirstSumState
) -> None:
    check = FirstSum(f"{url}/{file}", f"{url}/{listed_in}" if listed_in else "")
    now = await hands.look(check)
    assert found.why in now.why
    assert now == replace(found, why=now.why)
    told = check.diff(now)
    if found.digest:
        assert told is None and not now.why
    else:
        assert told is not None and told.hint
        # An answer that is none refuses; without one, the download asks again.
        assert told.warning == bool(found.why)
        assert f"{url}/{listed_in or file}" in told.text


async def test_before_there_is_a_curl_there_is_no_verdict(
    hands: LocalHands, root: Path, tmp_path: Path
) -> None:
    hands.only(tmp_path / "nothing")
    check = FirstSum("https://127.0.0.1:1/k3s", "https://127.0.0.1:1/sums.txt")
    now = await hands.look(check)
    assert now == FirstSumState(why="it is not installed")
    assert check.diff(now) is None


def asks_for_itself(url: str, root: Path, listed_in: str, file: str = "file") -> Download:
    """There was no curl, or no answer, when the plan was made."""
    wanted, marks = root / "bin/k3s", str(root / "fetched")
    list = f"{url}/{listed_in}"
    return Download(f"{url}/{file}", str(wanted), None, "0755", ME, listed_in=list, marks=marks)


@pytest.mark.parametrize("there", [None, b"an old one", CONTENT])
@pytest.mark.parametrize("listed_in", ["sums-of-file.txt", "missing.txt"])
async def test_a_download_asks_the_list_itself(
    hands: LocalHands, root: Path, url: str, there: bytes | None, listed_in: str
) -> None:
    download = asks_for_itself(url, root, listed_in)
    path = Path(download.path)
    if there is not None:
        path.parent.mkdir()
        path.write_bytes(there)
    await hands.settle(download)
    assert path.read_bytes() == CONTENT
    unchecked = any("is taken unchecked" in line for line in hands.said)
    assert unchecked == (listed_in == "missing.txt")


async def test_what_contradicts_the_list_gets_no_name(
    hands: LocalHands, root: Path, url: str
) -> None:
    """A proxy that gives a page of its own, with the status of success."""
    download = asks_for_itself(url, root, "sums-of-page.txt", "page")
    with pytest.raises(StepFailed) as caught:
        await download.apply(hands, Change(""))
    page = hashlib.sha256(PAGE).hexdigest()
    assert caught.value.text == (
        f"what {url}/page gave is not what it should be: its SHA-256 is {page}, "
        f"wanted is {ANOTHER}, as {url}/sums-of-page.txt says"
    )
    assert [file for file in root.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    ("listed_in", "why"),
    [
        ("sums.txt", "names no SHA-256 of file"),
        ("portal.txt", "names no SHA-256 of file"),
        ("forbidden.txt", "error: 403"),
        ("cut-off.txt", "(18)"),
    ],
)
async def test_nothing_is_fetched_while_nobody_says_what_it_must_be(
    hands: LocalHands, root: Path, url: str, listed_in: str, why: str
) -> None:
    download = asks_for_itself(url, root, listed_in)
    with pytest.raises(StepFailed) as caught:
        await download.apply(hands, Change(""))
    assert why in caught.value.text and f"{url}/{listed_in}" in caught.value.text
    assert caught.value.hint
    assert list(root.iterdir()) == []
