from __future__ import annotations

import hashlib
import shutil
import ssl
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import Refused, StepFailed
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_server
from k3s_tui.resources.download import Download
from k3s_tui.resources.published import PublishedState, PublishedSum
from tests.unit.hands import ME, LocalHands

CONTENT = b"#!/bin/sh\necho it runs\n"
SUM = hashlib.sha256(CONTENT).hexdigest()
ANOTHER = hashlib.sha256(b"another").hexdigest()
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
        found = {"/file": CONTENT, "/sums.txt": LISTED, "/cut-off": CONTENT}.get(self.path)
        self.send_response(200 if found else 404)
        missing = 9 if self.path == "/cut-off" else 0
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


async def test_a_first_use_says_what_it_got(hands: LocalHands, root: Path, url: str) -> None:
    path = root / "bin/k3s"
    download = Download(f"{url}/file", str(path), None, "0755", ME)
    change = await hands.settle(download)
    assert change.summary == f"download {url}/file to {path}"
    assert change.after is None
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert (await hands.look(download)).digest == SUM
    assert [p.name for p in path.parent.iterdir()] == ["k3s"]


async def test_a_known_sum(hands: LocalHands, root: Path, url: str) -> None:
    path = root / "file"
    path.write_text("something else")
    path.chmod(0o755)
    change = await hands.settle(Download(f"{url}/file", str(path), SUM, "0755", ME))
    assert "its SHA-256 is" in change.summary
    assert path.read_bytes() == CONTENT


async def test_another_content_is_never_put_in_place(
    hands: LocalHands, root: Path, url: str
) -> None:
    path = root / "file"
    download = Download(f"{url}/file", str(path), ANOTHER, "0755", ME)
    with pytest.raises(StepFailed, match=f"SHA-256 is {SUM}, wanted is {ANOTHER}"):
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
    path.chmod(0o600)
    await hands.settle(Download(f"{url}/file", str(path), None, "0755", ME))


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


def published(url: str, root: Path, sha256: str | None, file: str = "file") -> PublishedSum:
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
    check = published("https://127.0.0.1:1", root, None)
    assert check.diff(await hands.look(check)) is None
    hands.only(tmp_path / "nothing")
    assert await hands.look(check) == PublishedState()
