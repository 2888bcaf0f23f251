"""What lies in ~/.ssh, for the fuzzer: read as `plan` reads it on its way to a host."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import asyncssh

from k3s_tui.hosts import hostkeys, ssh
from k3s_tui.hosts.keyfiles import existing, read_key_file
from k3s_tui.hosts.known_hosts import KnownHosts
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.target import Target as Place
from tests.faults.fuzzing import Read, Target, words

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8w0a0JpJ0Y4dS5vB1u3m1f3c2b1a0Z9y8x7w6v5u4t"
HOSTS = f"""\
# comment
10.0.0.1 {KEY} somebody
[10.0.0.2]:2222,server {KEY}
*.example.org,!bad.example.org {KEY}
|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {KEY}
@cert-authority *.example.org {KEY}
@revoked 10.0.0.9 {KEY}
"""
CONFIG = """\
Host 127.0.0.* "10.161.129.54"
    User ops
    Port=1
    HostKeyAlias server.example.org
    IdentityFile "~/.ssh/id_ed25519"
    IdentitiesOnly no
    IdentityAgent none
    UserKnownHostsFile ~/.ssh/known_hosts %d/.ssh/known2
    ConnectTimeout 5
    Ciphers aes128-gcm@openssh.com
    RekeyLimit 1G 1h
Match host 10.* user root
    ServerAliveInterval 5
Match all
    Compression yes
    CanonicalizeHostname no
    Include other/*.conf
"""
"""It names no program and no other host: what is made of it is tried, too."""
JUMPING = CONFIG.replace("    Port=1\n", "    HostName db-%h\n    ProxyJump ops@bastion:22,b\n")


@cache
def keys() -> tuple[bytes, ...]:
    """Private and public keys of every kind, in every form that people have."""
    found = [KEY.encode() + b" somebody\n"]
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "ssh-rsa"):
        key = asyncssh.generate_private_key(kind)
        found += [key.export_private_key(), key.export_public_key()]
        if kind != "ssh-ed25519":
            found.append(key.export_private_key("pkcs1-pem"))
        found.append(key.export_private_key("pkcs8-pem"))
    found.append(key.export_private_key(passphrase="x", rounds=50))
    return tuple(found)


def known_hosts() -> tuple[Sequence[bytes], Read, Sequence[bytes], bool]:
    authorities = b"".join(
        b"@cert-authority *.example.org " + key for key in keys() if re.match(rb"(ecdsa|ssh)-", key)
    )
    return [HOSTS.encode() + authorities], _known_hosts, words(HOSTS.encode()), True


def targets(folder: Path) -> list[Target]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    authority = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    certificate = authority.generate_user_certificate(key, "ops", principals=["ops", "root"])
    configs = [CONFIG.encode(), JUMPING.encode()]
    return [
        Target("SSH key", keys(), _key(folder), armored=True),
        Target(
            "SSH certificate",
            [certificate.export_certificate(), certificate.export_certificate("rfc4716")],
            _certificate(folder, key),
            armored=True,
        ),
        Target("ssh_config, on the way", configs, _way(folder / "on the way"), words(configs[1])),
    ]


def _known_hosts(data: bytes) -> None:
    known = KnownHosts.parse(data.decode(errors="replace"))
    for name, port in (("10.0.0.1", 22), ("10.0.0.2", 2222), ("a.example.org", 22), ("[", 1)):
        found = known.find(name, port)
        hostkeys.algorithms(found)
        verdict = hostkeys.judge(found, KEY)
        if not isinstance(verdict, hostkeys.Trusted):
            assert str(hostkeys.refusal(verdict, KEY, host="h", address=f"{name}:{port}"))
        assert ssh._keys((*found.authorities, *found.revoked)) is not None


def _key(folder: Path) -> Read:
    def read(data: bytes) -> None:
        (folder / "id_ed25519").write_bytes(data)
        existing(["id_ed25519"], folder)
        if not read_key_file(folder / "id_ed25519").encrypted:
            _words_only(lambda: ssh._decode(data, None))

    return read


def _certificate(folder: Path, key: asyncssh.SSHKey) -> Read:
    path = folder / "id_ed25519-cert.pub"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        _words_only(lambda: ssh._certify(key, path))

    return read


def _words_only(read: object) -> None:
    """A ValueError is what they promise, and what their caller puts into words."""
    assert callable(read)
    try:
        read()
    except ValueError as error:
        assert str(error)


def _way(home: Path) -> Read:
    (home / ".ssh" / "other").mkdir(parents=True)
    (home / ".ssh" / "other" / "a.conf").write_text("Port 23\n")
    (home / ".ssh" / "id_ed25519").write_bytes(keys()[1])
    loop = asyncio.new_event_loop()

    async def way() -> None:
        connector = Connector(home=home, agent="")
        route = await connector._route(Place("h", "10.161.129.54"))
        await connector._known_of(route)
        assert 1 <= route.port <= 65535 and route.limit
        if route.jump:
            await connector._route(route.jump)
        assert await connector._identities.offer(route)

    def read(data: bytes) -> None:
        (home / ".ssh" / "config").write_bytes(data)
        loop.run_until_complete(way())

    return read
