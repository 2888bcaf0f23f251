"""The K3s unit of a node: configured, installed, started, and answering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.resources.file import File
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.diagnosis import diagnose
from k3s_tui.resources.service import Service, ServiceState

SCRIPT_PATH = "/var/lib/k3s-tui/install.sh"
MARK = "/var/lib/k3s-tui/installed/k3s"
"""Says that the K3s on this host is ours; written before anything of it is."""
UNFINISHED = "/var/lib/k3s-tui/installing-k3s"
"""There from before the install script begins until it has ended, and what it wrote is on the disk.

Not the other way round, a file that says that it has ended: hosts of earlier versions have none.
"""

_SECONDS = 300
"""K3s itself gives the datastore five minutes before it starts anew."""


@dataclass(frozen=True)
class K3sService:
    """A `Service` whose failure is explained by what K3s said in its journal."""

    service: Service

    def probe(self) -> Probe[ServiceState]:
        return self.service.probe()

    def diff(self, now: ServiceState) -> Change[ServiceState] | Problem | None:
        return self.service.diff(now)

    async def apply(self, on: Hands, change: Change[ServiceState]) -> None:
        try:
            await self.service.apply(on, change)
        except StepFailed as failed:
            cause = diagnose(failed.tail.splitlines())
            if cause is None:
                raise
            raise StepFailed(
                f"{failed.text}: {cause.text}",
                status=failed.status,
                tail=failed.tail,
                hint=cause.hint or failed.hint,
                host=failed.host,
            ) from None


# The port of the file in its place, which is that of before when a version is taken back.
_PONG = f"""\
port=$(sed -n 's/^https-listen-port: *\\([0-9][0-9]*\\)$/\\1/p' {config.CONFIG})
[ "$(curl -sk --max-time 5 "https://127.0.0.1:${{port:-6443}}/ping")" = pong ]"""


def server_service(public: str, secrets: Secret, *, inputs: Sequence[str]) -> K3sService:
    """`k3s.service` on these two files; ready when its API server runs (it is then that K3s tells
    systemd so, which every `Service` waits for) and the supervisor answers on its port.
    """
    return K3sService(_service("server", "k3s.service", public, secrets, inputs, _PONG))


def agent_service(public: str, secrets: Secret, *, inputs: Sequence[str]) -> K3sService:
    """`k3s-agent.service`; its unit is active only once it has joined."""
    return K3sService(_service("agent", "k3s-agent.service", public, secrets, inputs, ready=""))


def _service(
    role: str, unit: str, public: str, secrets: Secret, inputs: Sequence[str], ready: str
) -> Service:
    return Service(
        unit=unit,
        files=(
            File(config.CONFIG, public, mode="0600", folder_mode="0700"),
            File(config.SECRETS, secrets, mode="0600", folder_mode="0700"),
        ),
        inputs=tuple(inputs),
        installed=_installed(unit),
        activate=_activation(role, unit),
        ready=ready,
        ready_seconds=_SECONDS,
        follow_journal=True,
    )


def _activation(role: str, unit: str) -> str:
    """Install when that is due, then start without waiting: what to wait for is `ready`.

    Whatever a power cut leaves of what the script wrote, the marks tell of it: they are on the disk
    before it begins.  It writes all of its files anew each time.
    The script gets no environment but what it has to know, so it has no secret to write into its
    environment file; the configuration is in place before it runs.
    """
    return f"""\
mkdir -p {MARK.rpartition("/")[0]}
: >{MARK}
installed() {{
{_installed(unit)}
}}
if ! installed; then
    : >{UNFINISHED}
    sync
    env -i PATH="$PATH" INSTALL_K3S_SKIP_DOWNLOAD=true INSTALL_K3S_SKIP_START=true \\
        sh {SCRIPT_PATH} {role}
    sync
    rm -f {UNFINISHED}
    if ! installed; then
        echo "the install script has left no unit that starts anything: {_unit_path(unit)}" >&2
        exit 1
    fi
fi
systemctl daemon-reload
systemctl enable {unit}
systemctl restart --no-block {unit}
"""


def _installed(unit: str) -> str:
    """sh that succeeds where the install script has come to its end; the unit is its last file.

    Of a unit that was being written when the power went there may be nothing but the name.
    """
    return f"[ ! -e {UNFINISHED} ] && grep -q '^ExecStart=.' {_unit_path(unit)}"


def _unit_path(unit: str) -> str:
    return f"/etc/systemd/system/{unit}"
