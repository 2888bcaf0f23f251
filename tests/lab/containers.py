"""One lab host: an overlay over the base image, booted by systemd-nspawn in its namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

from . import cgroups, mounts, network, paths, processes
from .command import LabError, run
from .topology import PASSWORD_USER, USER, HostSpec

_READY_WITHIN = 120.0

# systemd-nspawn mounts the controllers of cgroup version 1 read-only; a kubelet writes to them.
_WRITABLE_CGROUPS = """
for controller in $(awk '$3 == "cgroup" { print $2 }' /proc/mounts); do
    mount -o remount,bind,rw "$controller"
done
"""

# What makes a node with K3s's `flannel-backend: none` Ready: any network configuration. Only a
# real K3s looks at it.
_CNI = """{"cniVersion": "0.4.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true,
   "ipam": {"type": "host-local", "subnet": "10.42.0.0/24"}}]}
"""


class Container:
    """A host's life: prepare, start, run scripts in it, stop."""

    def __init__(self, host: HostSpec) -> None:
        self.host = host
        self.folder = paths.host_folder(host.name)
        self.root = self.folder / "root"
        """The merged file system as this machine sees it, while the host is prepared or up."""
        self._record = self.folder / "nspawn.pid"

    @property
    def console(self) -> Path:
        """What the host wrote on its console since it was prepared."""
        return self.folder / "console.log"

    @property
    def public_key(self) -> str:
        """The host's ed25519 SSH key as ``ssh-ed25519 AAAA…``."""
        words = (self.folder / "ssh" / "ssh_host_ed25519_key.pub").read_text().split()
        return " ".join(words[:2])

    @property
    def pid(self) -> int | None:
        """Pid of systemd-nspawn, the host's supervisor; ``None`` when the host is off."""
        return processes.recorded(self._record)

    @property
    def init(self) -> int | None:
        """Pid, on this machine, of the host's own process 1."""
        if (supervisor := self.pid) is None:
            return None
        for line in _lines(Path(f"/proc/{supervisor}/task/{supervisor}/children")):
            for word in line.split():
                for field in _lines(Path(f"/proc/{word}/status")):
                    if field.startswith("NSpid:") and field.split()[-1] == "1":
                        return int(word)
        return None

    def prepare(self, base: Path, *, for_real_k3s: bool = False) -> None:
        """Lay a fresh overlay over ``base`` and give the host its name and keys.

        The SSH host keys survive a second preparation: the host is wiped, not replaced.
        """
        for name in ("root", "layers", "rancher"):
            mounts.remove_tree(self.folder / name)
        self.console.unlink(missing_ok=True)
        (self.folder / "rancher").mkdir(parents=True)
        layers = self.folder / "layers"
        layers.mkdir()
        mounts.in_memory_if_roomy(layers)
        mounts.overlay(base, layers / "upper", layers / "work", self.root)
        self._write("etc/hostname", f"{self.host.name}\n")
        # The name stands at the host's real address. Debian's installer would write 127.0.1.1,
        # which no other node can reach and which K3s would announce.
        self._write(
            "etc/hosts",
            f"127.0.0.1\tlocalhost\n::1\tlocalhost\n{self.host.address}\t{self.host.name}\n",
        )
        self._write("etc/machine-id", f"{uuid.uuid4().hex}\n")
        if for_real_k3s:
            (self.root / "etc/cni/net.d").mkdir(parents=True)
            self._write("etc/cni/net.d/10-lab.conflist", _CNI)
        self._ssh_keys()

    def start(self) -> None:
        """Boot the host; returns as soon as its init runs. See :meth:`wait_ready`."""
        argv: list[str | Path] = [
            *("systemd-nspawn", "--quiet", "-D", self.root, f"--machine={self.host.machine}"),
            f"--hostname={self.host.name}",
            *("--register=no", "--keep-unit", "--boot", "--console=pipe"),
            # Capabilities as on a real machine: K3s, iptables and sysctl need them.
            *("--capability=all", "--bind=/dev/kmsg"),
            f"--network-namespace-path={network.namespace_path(self.host)}",
            # containerd's overlays cannot lie on an overlay.
            f"--bind={self.folder / 'rancher'}:/var/lib/rancher",
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        ]
        processes.spawn(
            self._record,
            argv,
            log=self.console,
            cgroup_files=cgroups.create(self.host.name),
            env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"},
        )

    def wait_ready(self) -> None:
        """Wait until systemd in the host has started everything.

        Raises:
            LabError: it has not within two minutes, or the host died.
        """
        deadline = time.monotonic() + _READY_WITHIN
        seen = "no init process yet"
        while time.monotonic() < deadline:
            if self.pid is None:
                raise LabError(f"{self.host.name}: died while booting; see {self.console}")
            if self.init is not None:
                try:
                    seen = self.sh("systemctl is-system-running || :", within=10).strip()
                except LabError as error:
                    seen = str(error).splitlines()[-1].strip()
                if seen in ("running", "degraded"):
                    self.sh(_WRITABLE_CGROUPS)
                    return
            time.sleep(0.1)
        raise LabError(f"{self.host.name}: not up in {_READY_WITHIN:g} s, last seen: {seen}")

    def enter(self, *argv: str) -> list[str]:
        """``argv`` as a command that runs inside all of the host's namespaces.

        Raises:
            LabError: the host is off.
        """
        if (init := self.init) is None:
            raise LabError(f"{self.host.name} is not running")
        plain = [
            "env",
            "-i",
            "HOME=/root",
            "LC_ALL=C.UTF-8",
            f"TERM={os.environ.get('TERM', 'dumb')}",
        ]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        into = ["nsenter", f"--target={init}", "--all", "--root", "--wd"]
        return [*into, *plain, path, *argv]

    def sh(self, script: str, *, within: float = 60.0) -> str:
        """Run a shell script as root in the host and return its standard output.

        Raises:
            LabError: it failed; the text holds the end of what it wrote.
        """
        return run(self.enter("/bin/sh", "-s"), stdin=script.encode(), within=within)

    def shell(self) -> int:
        """An interactive root shell in the host; returns its exit status."""
        return subprocess.run(self.enter("/bin/bash", "-l"), check=False).returncode

    def power_off(self, within: float = 15.0) -> None:
        """Shut down in good order; the file system stays for the next :meth:`start`."""
        processes.stop(self._record, signum=signal.SIGTERM, within=within)
        self.kill()

    def kill(self) -> None:
        """End the host as a power cut would, also the remains of a start that crashed."""
        cgroups.kill(self.host.name)
        processes.stop(self._record)
        cgroups.remove(self.host.name)

    def discard(self) -> None:
        """Unmount and delete everything that the host wrote."""
        mounts.remove_tree(self.folder)

    def _write(self, path: str, text: str) -> None:
        target = self.root / path
        target.unlink(missing_ok=True)
        target.write_text(text)

    def _ssh_keys(self) -> None:
        keys = self.folder / "ssh"
        keys.mkdir(exist_ok=True)
        for kind in ("ed25519", "ecdsa"):
            name = f"ssh_host_{kind}_key"
            if not (keys / name).exists():
                comment = f"root@{self.host.name}"
                run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", keys / name])
            self._write(f"etc/ssh/{name}", (keys / name).read_text())
            (self.root / "etc/ssh" / name).chmod(0o600)
            self._write(f"etc/ssh/{name}.pub", (keys / f"{name}.pub").read_text())
        identity = paths.IDENTITY.with_suffix(".pub").read_text()
        for user in ("root", USER, PASSWORD_USER):
            home = self.root / ("root" if user == "root" else f"home/{user}")
            owner = home.stat()
            folder = home / ".ssh"
            folder.mkdir(mode=0o700, exist_ok=True)
            file = folder / "authorized_keys"
            file.write_text(identity)
            file.chmod(0o600)
            for path in (folder, file):
                os.chown(path, owner.st_uid, owner.st_gid)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # the process went away meanwhile
        return []
