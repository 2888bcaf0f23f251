"""Every reader of files that others may have written, with good samples for the fuzzer to spoil."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from textual.css.stylesheet import Stylesheet

from k3s_tui.core.events import Line
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.hosts import hostkeys
from k3s_tui.hosts.known_hosts import Known
from k3s_tui.pki import inspect, judge
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client
from k3s_tui.procedure import history, report
from k3s_tui.profile import bundle, hostlines, lockfile, sshconfig, store
from k3s_tui.profile import load as profiles
from k3s_tui.profile.conceal import concealed
from k3s_tui.profile.problem import ProfileInvalid
from k3s_tui.profile.secrets import read_secret_file
from k3s_tui.tui import progress, themes
from k3s_tui.tui.app import STYLES
from k3s_tui.tui.widgets.log_buffer import LogBuffer
from tests.faults import certificates, sealed, ssh_files
from tests.faults.fuzzing import Read, Target, words
from tests.faults.ssh_files import KEY as KEY
from tests.unit.profile.documents import TEXT

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SSH_CONFIG = """\
Include other/*.conf
Host k3s-server-1 k3s-server-2
    HostName 10.161.129.54
    User ops
    Port 2222
    ProxyJump bastion
    IdentityFile "~/.ssh/id ed25519"
Host *.internal !no.internal
    HostName=%h.example.org
    ProxyCommand none
Match all
    User root
Match host foo exec "true"
    Port 22
"""
LOCK = f"""\
[host-keys]
k3s-server-1 = "{KEY}"
postgres = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY="

[install]
version = "v1.36.3+k3s1"
script-url = "https://get.k3s.io"

[install.sha256]
"install.sh" = "{"0" * 64}"
k3s-amd64 = "{"1" * 64}"
"""
STORE = b"""\
"datastore.password" = "one'\\"two"
"k3s.token" = "0123456789abcdef"
"pki.ca-certificate" = \"\"\"
-----BEGIN CERTIFICATE-----
AAAA
-----END CERTIFICATE-----
\"\"\"
"""
PASTED = b"""\
server-1 10.0.0.1 ops server
10.0.0.2, agent; loadbalancer # a comment
ops@db.example.org datastore
"""


_STYLES = "\n".join(path.read_text() for path in sorted(STYLES.glob("*.tcss")))

READERS = [
    *("profile", "lock file", "secret store, sealed", "secret store, opened", "secret file"),
    *(
        "theme",
        "event recording",
        "known_hosts",
        "ssh_config",
        "SSH key",
        "SSH certificate",
        "ssh_config, on the way",
        "PEM",
        "CA of others",
        "certificate of others",
        "pasted hosts",
        "bundle",
    ),
]
"""Their names, known without making a sample."""

SUMS = "".join(
    f"{sha256(name.encode()).hexdigest()} {kind}{name}\n"
    for name, kind in (("install.sh", " "), ("k3s", "*"), ("./images.tar.zst", " "))
).encode()


def readers(folder: Path) -> list[Target]:
    """All of them; their files lie in `folder`, which must exist."""
    demo = (ROOT / "k3s_tui" / "demo" / "how-to.jsonl").read_bytes().splitlines(keepends=True)
    kinds = {msgspec.json.decode(line)["type"]: line for line in demo}
    events = b"".join([*demo[:8], *kinds.values()])
    shipped = [path.read_bytes() for path in sorted(themes.SHIPPED.glob("*.toml"))]
    profile = TEXT.encode()
    return [
        Target("profile", [profile], _profile, words(profile)),
        Target("lock file", [LOCK.encode()], _lock_file(folder), words(LOCK.encode())),
        Target("secret store, sealed", [sealed.seal(STORE, "x")], _sealed(folder)),
        Target("secret store, opened", [STORE], _opened(folder), words(STORE)),
        Target("secret file", [b"a passphrase\n", b"\n"], _secret_file(folder)),
        Target("theme", shipped, _theme(folder), words(b"\n".join(shipped))),
        Target("event recording", [events], _events(folder), list(kinds.values())),
        Target("known_hosts", *ssh_files.known_hosts()),
        Target(
            "ssh_config", [SSH_CONFIG.encode()], _ssh_config(folder), words(SSH_CONFIG.encode())
        ),
        *ssh_files.targets(folder),
        Target("PEM", pems(), _pem, armored=True),
        *certificates.targets(authority(), pems()),
        Target("pasted hosts", [PASTED], _pasted, words(PASTED)),
        Target("bundle", [SUMS], _bundle(folder / "bundle"), words(SUMS)),
    ]


def _profile(data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode(errors="replace")
    concealed(text)
    try:
        profiles.parse(text, "x.toml")
    except ProfileInvalid as invalid:
        told = invalid.render()
        odd = [c for c in told if c != "\n" and not c.isprintable() and ord(c) < 0x300]
        assert not odd and "\u202e" not in told, ascii(odd)
        raise


def _lock_file(folder: Path) -> Read:
    path = folder / "x.lock.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = lockfile.load(path)
        for key in found.host_keys.values():
            known = hostkeys.pinned(Known(), key)
            hostkeys.algorithms(known)
            for verdict in (hostkeys.judge(known, KEY), hostkeys.judge(Known(), KEY)):
                if not isinstance(verdict, hostkeys.Trusted):
                    assert str(hostkeys.refusal(verdict, KEY, host="h", address="h:22"))

    return read


def _sealed(folder: Path) -> Read:
    path = folder / "x.secrets"

    def read(data: bytes) -> None:
        if sealed.work(data) > 8:  # as much as a second each
            return
        path.write_bytes(data)
        store._parse(sealed.opened(store.read_sealed(path), "x", path), path)

    return read


def _opened(folder: Path) -> Read:
    path = folder / "x.secrets"

    def read(data: bytes) -> None:
        values = store._parse(data, path)
        key, certificate = values.get(store.CA_KEY), values.get(store.CA_CERTIFICATE)
        if key and certificate:
            Authority.from_pem(key, certificate.reveal())

    return read


def _secret_file(folder: Path) -> Read:
    path = folder / "passphrase"
    path.touch(0o600)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_secret_file(path, "the passphrase").reveal().encode()

    return read


def _theme(folder: Path) -> Read:
    own = folder / "themes"
    own.mkdir()

    def read(data: bytes) -> None:
        (own / "own.toml").write_bytes(data)
        found = themes.load(own)
        assert len(found.themes) + len(found.warnings) == len(list(themes.SHIPPED.glob("*"))) + 1
        for theme in found.themes[3:]:
            colours = {**theme.to_color_system().generate(), **theme.variables}
            sheet = Stylesheet(variables=colours)
            sheet.add_source(_STYLES)
            sheet.parse()

    return read


def _events(folder: Path) -> Read:
    run = folder / "state" / "run"
    run.mkdir(parents=True)
    path = run / "events.jsonl"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        view, log = progress.Progress(), LogBuffer()
        for event in history.replay(path):
            view(event)
            if isinstance(event, Line):
                log.add(event)
        assert view.phase and view.chapters is not None and view.silent(0.0) is not None
        assert history._read(path) is not None
        report.save(path, folder / "no.toml", Redactor())

    return read


def _ssh_config(folder: Path) -> Read:
    home = folder / "home"
    (home / ".ssh" / "other").mkdir(parents=True)
    (home / ".ssh" / "other" / "a.conf").write_text("Host included\n  Port 23\n")

    def read(data: bytes) -> None:
        (home / ".ssh" / "config").write_bytes(data)
        sshconfig.read_hosts(home / ".ssh" / "config", home)

    return read


def _pem(data: bytes) -> None:
    text = data.decode(errors="replace")
    issuer = authority()
    for leaf, key in ((text, None), (pems()[1].decode(), text)):
        profile = datastore_client("k3s", "s1")
        judge.objections(leaf, profile, issuer.certificate_pem, NOW, datetime.timedelta(1), key)
    _words_only(lambda: issuer.sign(text, datastore_client("k3s", "s1"), 90, NOW))
    _words_only(lambda: Authority.from_pem(Secret(text), issuer.certificate_pem))
    _words_only(lambda: Authority.from_pem(issuer.key, text))
    with suppress(ValueError):  # that is what it promises
        assert inspect.view(text).fingerprint


def _words_only(read: Callable[[], object]) -> None:
    from k3s_tui.core.errors import OperatorError

    try:
        read()
    except OperatorError as error:
        assert str(error)


def _pasted(data: bytes) -> None:
    hostlines.parse_lines(data.decode(errors="replace"))


def _bundle(folder: Path) -> Read:
    """The list of sums, and a script and a binary that are the list itself."""
    folder.mkdir()
    wanted = [
        bundle.Wanted("script", ("install.sh",)),
        bundle.Wanted("binary", ("k3s",), "amd64", "k3s-amd64"),
        bundle.Wanted("images", ("images.tar.zst",), "amd64"),
    ]

    def read(data: bytes) -> None:
        for name in (bundle.SUMS, "install.sh", "k3s", "images.tar.zst"):
            (folder / name).write_bytes(data)
        found = bundle.read(folder, wanted, "v1.36.3+k3s1")
        assert all(found.faults) and msgspec.json.encode(found)

    return read


@cache
def authority() -> Authority:
    return Authority.create("a test's CA", 3650, NOW)


@cache
def pems() -> list[bytes]:
    """Keys, requests and certificates, of ours and as others make them."""
    ours = authority()
    pair = ours.issue_short_lived(datastore_client("k3s", "s1"), NOW)
    found = [ours.certificate_pem.encode(), pair.certificate_pem.encode()]
    found.append(pair.key.reveal().encode())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "somebody"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "unit"),
        ]
    )
    keys = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    )
    import ipaddress

    names: list[x509.GeneralName] = [
        x509.DNSName("a.example.org"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
        x509.RFC822Name("a@example.org"),
        x509.UniformResourceIdentifier("https://example.org"),
        x509.RegisteredID(NameOID.COMMON_NAME),
        x509.DirectoryName(name),
    ]
    for key in keys:
        digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        san = x509.SubjectAlternativeName(names)
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        found.append(
            request.add_extension(san, critical=False)
            .sign(key, digest)
            .public_bytes(serialization.Encoding.PEM)
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(NOW)
            .not_valid_after(NOW + datetime.timedelta(30))
            .add_extension(san, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        found.append(builder.sign(key, digest).public_bytes(serialization.Encoding.PEM))
        found.append(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    return found
