"""How the hosts of a profile are reached, and what is known of them at first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.errors import Refused, TimedOut
from k3s_tui.core.secret import Secret
from k3s_tui.hosts import facts
from k3s_tui.hosts.facts import Facts
from k3s_tui.hosts.facts_script import facts_script
from k3s_tui.hosts.target import Target, parse_jump
from k3s_tui.hosts.transport import Transport
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure.site import Credentials, Site, peers_of
from k3s_tui.profile.model import HostEntry, Profile, Ssh
from k3s_tui.resources import nginx
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.service import MARK

_DISKS = ("/var/lib", "/tmp")
"""Folders whose free space the preflight wants to know."""

_FACTS_SECONDS = 60
_FACTS_BYTES = 2 << 20
"""Far more than a busy host says, whose list of connections is the longest."""


@dataclass(frozen=True)
class Look:
    """`clock`: seconds by which the host's is ahead of ours, and how far that can be off."""

    facts: Facts
    clock: tuple[float, float] | None
    out: bytes
    """All that the script said."""


def asked_of_hosts(profile: Profile) -> str:
    """The script that `look_at` has run."""
    return facts_script(peers_of(profile), _DISKS, nginx.PID_PATH, (MARK, CLUSTER_CA))


def target(
    name: str,
    ssh: Ssh,
    hosts: Mapping[str, HostEntry],
    pins: Mapping[str, str],
    sudo: Secret | None = None,
) -> Target:
    """Where SSH goes for a host of the profile.  Raises Refused when its jump host is none."""
    return _target(name, ssh, hosts, pins, sudo, ())


def _target(
    name: str,
    ssh: Ssh,
    hosts: Mapping[str, HostEntry],
    pins: Mapping[str, str],
    sudo: Secret | None,
    before: tuple[str, ...],
) -> Target:
    """`before` are the hosts that are reached through this one."""
    entry = hosts[name]
    if name in before:
        raise Refused(
            "the way to it leads through itself", hint="look at the jump hosts", host=before[0]
        )
    return Target(
        name=name,
        address=entry.address,
        port=entry.port or ssh.port,
        user=entry.user or ssh.user,
        identity=ssh.identity,
        jump=_jump(entry.jump, ssh, hosts, pins, (*before, name)) if entry.jump else None,
        become=ssh.become,
        sudo_password=sudo,
        host_key=pins.get(name),
        connect_timeout=ssh.connect_timeout,
    )


def _jump(
    through: str,
    ssh: Ssh,
    hosts: Mapping[str, HostEntry],
    pins: Mapping[str, str],
    before: tuple[str, ...],
) -> Target:
    """Another host of the profile, or `[user@]host[:port]`."""
    if through in hosts:
        return _target(through, ssh, hosts, pins, None, before)
    try:
        jump = parse_jump(
            through,
            identity=ssh.identity,
            host_key=pins.get(through),
            connect_timeout=ssh.connect_timeout,
        )
    except ValueError:
        jump = None
    if jump is None or not 1 <= (jump.port or 1) <= 65535:
        raise Refused(
            f"{through!r} is not a jump host",
            hint="name a host of the profile, or [user@]host[:port]",
            host=before[-1],
        )
    return jump


async def look_at(transport: Transport, script: str) -> Look:
    """Run a script that begins with `facts_script`, once.  Raises TimedOut, Refused, Lost."""
    asked = time.time()
    try:
        async with asyncio.timeout(_FACTS_SECONDS):
            result = await transport.exec(script)
    except TimeoutError:
        raise TimedOut(
            f"it did not say what it is within {_FACTS_SECONDS} s",
            host=transport.host.name,
            hint="log in by hand and see what hangs there: DNS, a mount, a full disk",
        ) from None
    answered = time.time()
    if len(result.out) > _FACTS_BYTES:
        raise Refused(
            f"it says more of what it is than can be true: {len(result.out) >> 10} KiB",
            host=transport.host.name,
            hint="log in by hand and see what writes to the output of every shell",
        )
    found = facts.parse(result.out)
    return Look(found, facts.skew(asked, answered, found), result.out)


def without_secrets(
    profile: Profile,
    profile_path: Path,
    facts: Mapping[str, Facts],
    clocks: Mapping[str, tuple[float, float] | None],
) -> Site:
    """A site for what reads the profile and the facts only; some hosts may be missing in them."""
    nothing = Secret("")
    return Site(
        profile=profile,
        profile_path=profile_path,
        facts=facts,
        clocks=clocks,
        credentials=Credentials(nothing, nothing, nothing),
        authority=Authority(nothing, ""),
        recorded={},
    )
