"""A unit together with exactly the files that it runs on.

A restart is not a step of its own: whoever were killed between writing a file and restarting would
leave a service that runs on what is no longer there.  Here one script stages, validates, swaps,
activates, waits, restores on failure, and at last stamps what the service has loaded; the probe
compares that stamp.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import PLACE, quote
from k3s_tui.resources.file import LOOK, File, FileState, describe, parent, parse, show
from k3s_tui.resources.package import STATE_FOLDER
from k3s_tui.resources.service_script import REFUSED, service_script

_ENABLED = frozenset({"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"})


@dataclass(frozen=True)
class ServiceState:
    """`stamp` tells what was loaded last, '' when that is not known: digests of what takes a
    restart to load, and of what a reload loads, with a dot between.

    `active` and `enabled` are systemd's words; `installed` is what the service's own text said.
    """

    stamp: str
    files: tuple[FileState, ...]
    active: str
    enabled: str
    installed: bool = True


@dataclass(frozen=True)
class Service:
    """`unit` is enabled, active, and has loaded `files` and `inputs`.

    `inputs` are digests (or other public texts) of what else it loads, such as a certificate.
    The texts are sh, run as root without standard input, each in a shell of its own with `set -e`
    (which a line that begins with `!` never trips):

    - `installed` succeeds where the unit is whole, and changes nothing; it is for those units
      that `activate` brings, and where it fails, that is due whatever is loaded
    - `validate` before anything changes; the new files are at `$staged_0`, `$staged_1`, …
    - `verify_placed` after they took their places, before the unit hears of it
    - `activate` starts the unit anew; by default reloads systemd, enables and restarts.  It may
      come back before the unit has been stopped
    - `reload`, when nothing but the files at `reloadable` is new to a running unit; it must not
      succeed while the unit goes on with what it had
    - `ready` must succeed within `ready_seconds`, and is asked once the unit is active, after a
      restart in another start than before: whoever answers is not the old process.  Where a
      version is taken back, it is asked of the one before (and so is `reload`): what is to be
      ready, such as a port, it learns from the files in their places
    - `deactivate` when a first version fails: by default disables and stops.  Without it, a
      service could go on, or start anew, without its configuration.  Where it leaves the unit
      running or enabled, the files of that version stay.

    With `follow_journal`, what the unit logs while it comes up is said on standard error as it
    comes.
    """

    unit: str
    files: tuple[File, ...] = ()
    inputs: tuple[str, ...] = ()
    installed: str = ""
    validate: str = ""
    verify_placed: str = ""
    activate: str = ""
    reload: str = ""
    reloadable: frozenset[str] = frozenset()
    deactivate: str = ""
    ready: str = ""
    ready_seconds: int = 30
    follow_journal: bool = False
    state_folder: str = STATE_FOLDER

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9@_:.\\-]+", self.unit):
            raise ValueError(f"not a unit's name: {self.unit!r}")

    @property
    def stamp(self) -> str:
        """What the service has loaded once all is as wanted."""
        parts: dict[bool, list[str]] = {False: list(self.inputs), True: []}
        for file in self.files:
            parts[file.path in self.reloadable].append(f"{file.path} {file.state.digest}")
        return f"{_digest(parts[False])}.{_digest(parts[True])}"

    @property
    def _stamp_path(self) -> str:
        return f"{self.state_folder}/loaded/{self.unit}"

    @property
    def _after_others(self) -> str:
        lock = quote(f"{self._stamp_path}.lock")
        return f"[ ! -e {lock} ] || flock {lock} true\n"

    @property
    def _ask(self) -> str:
        unit, stamp = quote(self.unit), quote(self._stamp_path)
        return (
            LOOK
            + "".join(file.ask for file in self.files)
            + f'stamp=; [ ! -r {stamp} ] || read -r stamp <{stamp}; echo "stamp=$stamp"\n'
            + f'echo "active=$(systemctl is-active {unit} 2>/dev/null)"\n'
            # `systemctl show` would tell what systemd remembers, whatever became of the link.
            + f'echo "enabled=$(systemctl is-enabled {unit} 2>/dev/null)"\n'
            # Not in an `if`, where shells ignore `set -e`.
            + f"(\nset -e\n:\n{self.installed}\n) </dev/null >/dev/null 2>&1\n"
            + 'echo "installed=$?"\n'
        )

    def _parse(self, out: bytes) -> ServiceState:
        lines = out.decode(errors="replace").splitlines()
        files = [parse(lines[2 * i : 2 * i + 2], file.owner) for i, file in enumerate(self.files)]
        told = dict(line.partition("=")[::2] for line in map(sanitize, lines[2 * len(files) :]))
        return ServiceState(
            told["stamp"],
            tuple(files),
            told["active"],
            told["enabled"],
            told["installed"] == "0",
        )

    def probe(self) -> Probe[ServiceState]:
        return Probe(self._ask, self._parse)

    def diff(self, now: ServiceState) -> Change[ServiceState] | Problem | None:
        for file, found in zip(self.files, now.files, strict=True):
            if found.kind in ("folder", "other"):
                return Problem(f"{file.path} is not a file", hint="move it away, then run again")
        changes = []
        diffs = []
        for file, found in zip(self.files, now.files, strict=True):
            if found != file.state:
                changes.append(describe(file.path, found, file.state))
                diffs.append(show(file.path, found, file.state))
        starting = now.active in ("activating", "deactivating")
        if not now.installed:
            changes.append("install")
        if not self._has_loaded(now):
            verb = "reload" if self._reload_suffices(now) else "restart"
            changes.append(verb if now.active == "active" or starting else "start")
        elif starting:
            return Problem(f"{self.unit} is {now.active}", hint=f"systemctl status {self.unit}")
        if now.enabled not in _ENABLED:
            changes.append("enable")
        if not changes:
            return None
        after = ServiceState(
            self.stamp,
            tuple(replace(file.state, text=None) for file in self.files),
            "active",
            now.enabled if now.enabled in _ENABLED else "enabled",
        )
        return Change(f"{self.unit}: {', '.join(changes)}", "".join(diffs), after)

    async def apply(self, on: Hands, change: Change[ServiceState]) -> None:
        # Look again: whether a restart is due must follow from what is there now.
        # A script that an earlier, lost connection left behind is waited for: it may be about to
        # do just this, or to take it back.
        now = self._parse(await on.sh(self._after_others + self._ask))
        if self._has_loaded(now) and now.active == "active":
            await on.sh(self._touch_up())
            return
        reload = self._reload_suffices(now)
        try:
            await on.sh(
                service_script(
                    unit=self.unit,
                    files=self.files,
                    validate=self.validate,
                    verify_placed=self.verify_placed,
                    activate=self._reload if reload else self.activate or _activate(self.unit),
                    anew=not reload,
                    deactivate=self.deactivate or f"systemctl disable --now {quote(self.unit)}",
                    ready=self.ready,
                    ready_seconds=self.ready_seconds,
                    follow_journal=self.follow_journal,
                    stamp_path=self._stamp_path,
                    stamp=self.stamp,
                )
            )
        except StepFailed as failed:
            refused = failed.status == REFUSED
            raise StepFailed(
                failed.text,
                status=failed.status,
                tail=failed.tail,
                hint=failed.hint or ("" if refused else f"on the host: journalctl -u {self.unit}"),
                host=failed.host,
            ) from None

    def _has_loaded(self, now: ServiceState) -> bool:
        """Whether the running service is known to have read just these contents.

        A file that differs may have been read by a restart that was not ours.
        """
        same = all(
            found.digest == file.state.digest
            for file, found in zip(self.files, now.files, strict=True)
        )
        running = now.active in ("active", "reloading", "activating", "deactivating")
        return same and now.stamp == self.stamp and running and now.installed

    def _reload_suffices(self, now: ServiceState) -> bool:
        """Whether the running start is known to have loaded all that a reload does not load."""
        started_with, _, _ = now.stamp.partition(".")
        same = all(
            found.digest == file.state.digest
            for file, found in zip(self.files, now.files, strict=True)
            if file.path not in self.reloadable
        )
        wanted, _, _ = self.stamp.partition(".")
        loaded = same and now.installed and started_with == wanted
        return bool(self.reload) and loaded and now.active == "active"

    @property
    def _reload(self) -> str:
        unit = quote(self.unit)
        return f"systemctl is-enabled --quiet {unit} || systemctl enable {unit}\n{self.reload}"

    def _touch_up(self) -> str:
        """Modes, owners and enablement: nothing that the service has to hear of."""
        lines = [
            f"{parent(file.path, file.folder_mode)} && {file.placing()} || exit\n"
            for file in self.files
        ]
        unit = quote(self.unit)
        enabled = f"systemctl is-enabled --quiet {unit} || systemctl enable {unit}\n"
        return PLACE + "".join(lines) + enabled


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _activate(unit: str) -> str:
    unit = quote(unit)
    return f"systemctl daemon-reload\nsystemctl enable {unit}\nsystemctl restart {unit}"
