"""A folder that scripts of the real procedure take for a host, and cannot leave.

It is the root of namespaces without a network: a shell, busybox's tools, and for what a host would
do with them commands that only write down their arguments.  A canary that sings is a file in it.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CANARY = "/canary"

SHELLS = ("dash", "busybox")

_RECORDED = [
    "curl",
    "wget",
    "systemctl",
    "nginx",
    "k3s",
    "kubectl",
    "openssl",
    "apt-get",
    "dpkg",
    "dpkg-query",
    "rpm",
    "dnf",
    "apk",
    "pacman",
    "ip",
    "ss",
    "journalctl",
    "flock",
    "psql",
    "pg_isready",
    "pg_lsclusters",
    "pg_ctlcluster",
    "systemd-run",
    "runcon",
    "restorecon",
    "getenforce",
    "sync",
    "chown",
    "timedatectl",
    "update-ca-certificates",
    "install.sh",
    "nproc",
    "getent",
]

_RECORD = """\
#!/bin/sh
{ printf '%s\\0' "${0##*/}" "$@"; printf '\\001\\0'; } >>/argv
"""
_AS_SOMEBODY = """\
#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
# Whoever waits for a time sees it pass.
_DATE = """\
#!/bin/sh
read -r now 2>/dev/null </now || now=1000
now=$((now + 1000))
echo $now | tee /now
"""


@dataclass(frozen=True)
class Sandbox:
    """One shell's."""

    root: Path
    shell: str

    @classmethod
    def make(cls, root: Path, shell: str) -> Sandbox:
        for folder in (
            "bin",
            "usr/local/bin",
            "etc",
            "tmp",
            "run",
            "dev",
            "root",
            "var/lib",
            "var/log/k3s-tui-lb",
        ):
            (root / folder).mkdir(parents=True)
        (root / "dev" / "null").touch()  # nothing is a device here
        (root / "var/log/k3s-tui-lb/access.log").touch()
        (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        for program in ("busybox", "dash"):
            _copy(program, root)
        subprocess.run(["chroot", root, "/bin/busybox", "--install", "-s", "/bin"], check=True)
        (root / "bin" / "sh").unlink()
        (root / "bin" / "sh").symlink_to(shell)
        made = cls(root, shell)
        for name in _RECORDED:
            made._tool(name, _RECORD)
        made._tool("runuser", _AS_SOMEBODY)
        made._tool("date", _DATE)
        made._tool("sleep", "#!/bin/sh\n")
        return made

    def _tool(self, name: str, script: str) -> None:
        file = self.root / "usr" / "local" / "bin" / name
        file.write_text(script)
        file.chmod(0o755)

    def run(self, script: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run a script as the transport does: on the standard input of `sh -s`, unless it is fed
        something else there.
        """
        apart = ["unshare", "--net", "--pid", "--fork", "--mount", "--uts", "--ipc"]
        argv = ["/bin/sh", "-s"] if stdin is None else ["/bin/sh", "-c", script]
        return subprocess.run(
            [*apart, f"--root={self.root}", "--kill-child", "--", *argv],
            input=script.encode() if stdin is None else stdin,
            env={"PATH": "/usr/local/bin:/bin"},
            capture_output=True,
            timeout=60,
            check=False,
        )

    def sang(self) -> list[str]:
        """Canaries that were let out since the last time, anywhere in it."""
        found = sorted(path for path in self.root.rglob("canary*") if path.is_file())
        for path in found:
            path.unlink()
        return [str(path.relative_to(self.root)) for path in found]

    def argv(self) -> list[list[str]]:
        """The command lines since the last time."""
        file = self.root / "argv"
        raw = file.read_bytes() if file.exists() else b""
        file.unlink(missing_ok=True)
        lines = raw.split(b"\0\x01\0")[:-1]
        return [[word.decode() for word in line.split(b"\0")] for line in lines]


def _copy(program: str, root: Path) -> None:
    """The program into /bin, and what it is linked against to where it is looked for."""
    source = shutil.which(program)
    assert source, f"{program} is not installed"
    shutil.copy(source, root / "bin" / program)
    linked = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
    for word in linked.split():
        if word.startswith("/"):
            target = root / word[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, target)
