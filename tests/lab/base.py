"""The base image: a bare host's root folder, made once and never written to by the hosts.

It is what a freshly installed server has and no more: no PostgreSQL, no nginx, no Python, and
empty package lists. The stand-in's interpreter is unpacked below :data:`STANDIN_HOME` without the
package manager's knowledge, so that no package counts as installed because of it.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from . import apt, authority, mounts, paths
from .command import contained, run
from .topology import GATEWAY, MARKER, PASSWORD_USER, STANDIN_HOME, SUDO_PASSWORD, USER

PACKAGES: tuple[str, ...] = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "sudo",
    "curl",
    "ca-certificates",
    "iproute2",
    "iptables",
    "procps",
    "openssl",
)
"""What a host has beyond debootstrap's ``minbase``."""

STANDIN_PACKAGES: tuple[str, ...] = (
    "python3-minimal",
    "python3-psycopg2",
    "python3-pymysql",
    "python3-cryptography",
    "python3-yaml",
)

_RECIPE = "4"
"""Counted up when :func:`_build` changes what it makes; part of the cache key."""

_SSHD = """\
# Lab hosts: keys only, as on a well-kept server; root too, for the `become = "root"` tests.
PasswordAuthentication no
PermitRootLogin prohibit-password
"""


def ensure(say: Callable[[str], None]) -> Path:
    """The base image's folder, built when the cache has none for this recipe."""
    authority.ensure()
    suite = apt.suite()
    folder = paths.CACHE / f"base-{_key(suite)}"
    if folder.exists():
        return folder
    say(f"building the base image ({suite.codename}, about a minute)")
    building = folder.with_suffix(".building")
    mounts.remove_tree(building)
    _build(building, suite)
    for old in paths.CACHE.glob("base-*"):
        if old != building:
            mounts.remove_tree(old)
    building.rename(folder)
    return folder


def _key(suite: apt.Suite) -> str:
    words = [
        *(_RECIPE, suite.codename, platform.machine(), _SSHD, SUDO_PASSWORD, GATEWAY),
        *(*PACKAGES, "+", *STANDIN_PACKAGES),
        paths.CA_CERTIFICATE.read_text(),
    ]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _build(root: Path, suite: apt.Suite) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    # debootstrap knows only the distribution's key; where the machine was told to trust its
    # source without one, so must this.
    unsigned = ["--no-check-gpg"] if suite.trusted else []
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}", *unsigned]
    debootstrap: list[str | Path] = ["debootstrap", *options, suite.codename, root, suite.uri]
    run(contained(debootstrap), within=900)
    _unpack_standin_python(root)
    _users(root)
    _write(root, "etc/ssh/sshd_config.d/lab.conf", _SSHD)
    _write(
        root, MARKER, "A host of the k3s-tui test lab. The stand-in K3s runs only where this is.\n"
    )
    _write(root, "etc/resolv.conf", f"nameserver {GATEWAY}\n")
    _write(root, "etc/apt/sources.list", f"deb [trusted=yes] http://{GATEWAY}/packages ./\n")
    _write(root, "usr/local/share/ca-certificates/lab.crt", paths.CA_CERTIFICATE.read_text())
    run(["chroot", root, "update-ca-certificates"])
    # They would take the package manager's lock at a moment of their own choosing.
    run(["chroot", root, "systemctl", "disable", "apt-daily.timer", "apt-daily-upgrade.timer"])
    for pattern in (
        *("etc/ssh/ssh_host_*", "etc/machine-id", "var/lib/dbus/machine-id"),
        *("var/lib/apt/lists/*", "var/cache/apt/*", "var/log/*.log"),
    ):
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _unpack_standin_python(root: Path) -> None:
    scratch = root.with_suffix(".apt")
    mounts.remove_tree(scratch)
    downloader = apt.Downloader(root / "var/lib/dpkg/status", scratch)
    downloader.update()
    home = root / STANDIN_HOME.lstrip("/")
    for package in downloader.fetch(STANDIN_PACKAGES, scratch / "debs"):
        run(["dpkg-deb", "--extract", package, home])
    for unneeded in ("usr/share/doc", "usr/share/man"):
        shutil.rmtree(home / unneeded, ignore_errors=True)
    mounts.remove_tree(scratch)
    interpreter = next((home / "usr/bin").glob("python3.[0-9]*"))
    (home / "usr/bin/python").symlink_to(interpreter.name)
    # Compiled once here; otherwise every host's first start of the stand-in does it again.
    python = ["env", f"PYTHONHOME={STANDIN_HOME}/usr", f"{STANDIN_HOME}/usr/bin/python"]
    compiling = ["-I", "-m", "compileall", "-q", f"{STANDIN_HOME}/usr/lib"]
    run(["chroot", root, *python, *compiling], within=300)


def _users(root: Path) -> None:
    for user in (USER, PASSWORD_USER):
        run(["chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", user])
    run(["chroot", root, "chpasswd"], stdin=f"{PASSWORD_USER}:{SUDO_PASSWORD}\n".encode())
    _write(
        root,
        "etc/sudoers.d/lab",
        f"{USER} ALL=(ALL) NOPASSWD: ALL\n{PASSWORD_USER} ALL=(ALL) ALL\n",
    )
    (root / "etc/sudoers.d/lab").chmod(0o440)


def _write(root: Path, path: str, text: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_text(text)
