"""The settings that mutual TLS needs, as a drop-in file of our own.

`listen_addresses` is the one of them that needs a restart; all others are a reload.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.hosts.script import quote
from k3s_tui.resources.file import unified
from k3s_tui.resources.postgres import foreign, listen, settings_script
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer, fields
from k3s_tui.resources.postgres.psql import field as field_line
from k3s_tui.resources.postgres.settings_script import Tls

DROP_IN = "conf.d/90-k3s-tui.conf"

SNAKEOIL = "/etc/ssl/certs/ssl-cert-snakeoil.pem"
"""What Debian has every new cluster show: signed by itself, for the host's name at installation."""

_LOOK = """
select json_build_object(
    'running', (select json_object_agg(name, setting) from pg_settings
                where name = any (string_to_array(:'names', ','))),
    'pinned', (select coalesce(json_agg(name), '[]') from pg_settings
               where name = any (string_to_array(:'names', ',')) and source = 'command line'),
    'entries', (select coalesce(json_agg(json_build_object(
                    'file', f.sourcefile, 'line', f.sourceline, 'name', coalesce(f.name, ''),
                    'value', coalesce(f.setting, ''),
                    'error', case when s.context = 'postmaster' then '' else coalesce(f.error, '')
                             end) order by f.seqno), '[]')
                from pg_file_settings f left join pg_settings s using (name)
                where (f.error is not null and f.sourcefile is not null)
                    or f.name = any (string_to_array(:'names', ','))));
"""
# A setting that needs a restart counts as an error in `pg_file_settings` until it has had one; one
# that has vanished from all files, as with our own file, is an error of no file.

_INCLUDE = re.compile(r"^(\d+):\s*include(_dir|_if_exists|)\s*=?\s*'([^']+)'", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One line of a configuration file; `error` is why PostgreSQL refuses it."""

    file: str
    line: int
    name: str
    value: str
    error: str = ""


@dataclass(frozen=True)
class SettingsState:
    """`running` are the settings that new sessions get; empty while nobody answers.

    `pinned` come from the command line.  `entries` are in the order in which they are read: the
    last of a name wins.  `loaded`: the server read the files as they are now.
    """

    running: dict[str, str] = field(default_factory=dict)
    pinned: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    includes: str = ""
    drop_in: str = ""
    loaded: bool = False

    def last(self, name: str) -> Entry | None:
        """The entry of that name that wins."""
        return next((entry for entry in reversed(self.entries) if entry.name == name), None)


@dataclass(frozen=True)
class Settings:
    """TLS on with these files, and the server listening on `addresses` besides what it does now.

    `addresses` are the datastore's own.  `restart` is sh that restarts the server.
    `inputs` is a digest of what the TLS files hold, so that their change shows in the plan.
    `stamp` is the file that remembers what the server has loaded, `unit` names its journal.
    `leave` are settings that others have decided and K3s can live with.  Sessions that are not of
    `role` in `database` stop a restart, unless `allow_restart`.
    """

    psql: Psql
    config_file: str
    data_directory: str
    tls: Tls
    addresses: tuple[str, ...]
    restart: str
    inputs: str = ""
    unit: str = "postgresql"
    stamp: str = "/var/lib/k3s-tui/loaded/postgres"
    leave: frozenset[str] = frozenset()
    database: str = ""
    role: str = ""
    allow_restart: bool = False

    @property
    def drop_in(self) -> str:
        return posixpath.join(posixpath.dirname(self.config_file), DROP_IN)

    def wanted(self, now: SettingsState) -> dict[str, str]:
        """Each setting's value; nothing that is stricter or wider already is taken back."""
        running = now.running.get("listen_addresses", "")
        last = now.last("listen_addresses")
        strict = now.running.get("ssl_min_protocol_version") == "TLSv1.3"
        wanted = {
            "listen_addresses": listen.wanted(
                self.addresses, running, last.value if last else running
            ),
            "ssl": "on",
            "ssl_cert_file": self.tls.certificate,
            "ssl_key_file": self.tls.key,
            "ssl_ca_file": self.tls.ca,
            "ssl_crl_file": self.tls.crl,
            "ssl_min_protocol_version": "TLSv1.3" if strict else "TLSv1.2",
            "password_encryption": "scram-sha-256",
            # The words of a refused login are how its cause is told, in every country; and who
            # reads the log is spared a translation.
            "lc_messages": "C",
        }
        return {name: value for name, value in wanted.items() if name not in self.leave}

    def probe(self) -> Probe[SettingsState]:
        names = ",".join(self.wanted(SettingsState()))
        script = "\n".join(
            (
                AS_POSTGRES + settings_script.digest(self.tls, self.drop_in, self.inputs),
                field_line("answer", self.psql.run(_LOOK, names=names)),
                field_line(
                    "includes", f"grep -nE '^[[:space:]]*include' {quote(self.config_file)}"
                ),
                field_line("drop", f"cat {quote(self.drop_in)} 2>/dev/null"),
                field_line("loaded", settings_script.is_loaded(self.stamp)),
            )
        )
        return Probe(script, _parse)

    def diff(self, now: SettingsState) -> Change[SettingsState] | Problem | None:
        if problem := self._obstacle(now):
            return problem
        reasons = []
        text = self._text(now)
        if now.drop_in != text:
            reasons.append(f"write {self.drop_in}")
        if not self.included(now):
            reasons.append(f"include it in {self.config_file}")
        wrong = [name for name in self.wanted(now) if not self._serves(name, now.running.get(name))]
        if not reasons and wrong:
            reasons.append(f"apply {', '.join(wrong)}")
        if not reasons and not now.loaded:
            reasons.append("load the TLS files")
        if not reasons:
            return None
        effect = "restart PostgreSQL" if self._needs_restart(now) else "reload PostgreSQL"
        shown = unified(self.drop_in, now.drop_in, text)
        return Change(f"{', '.join(reasons)}, {effect}", shown)

    async def apply(self, on: Hands, change: Change[SettingsState]) -> None:
        probe = self.probe()
        assert isinstance(probe.ask, str)
        now = probe.parse(await on.sh(probe.ask))
        await self._put_live(
            on,
            settings_script.put_live(
                psql=self.psql,
                tls=self.tls,
                config_file=self.config_file,
                data_directory=self.data_directory,
                unit=self.unit,
                drop_in=self.drop_in,
                text=self._text(now),
                address=self.addresses[0],
                include="" if self.included(now) else DROP_IN,
                restart=self.restart if self._needs_restart(now) else "",
                guard=None if self.allow_restart else (self.database, self.role),
                inputs=self.inputs,
                stamp=self.stamp,
            ),
        )

    async def _put_live(self, on: Hands, script: str) -> None:
        try:
            await on.sh(script)
        except StepFailed as failed:
            if failed.status == foreign.CONNECTED:
                failed.hint = "k3s-tui apply --allow-restart, when they may end"
            raise

    def included(self, now: SettingsState) -> bool:
        """Whether postgresql.conf reads our file: by itself, or with its whole folder.

        With the folder alone, what others say after it must not undo ours.
        """
        home = posixpath.dirname(self.config_file)
        by_folder = 0
        for line, kind, path in _INCLUDE.findall(now.includes):
            full = posixpath.normpath(posixpath.join(home, path))
            if kind != "_dir" and full == self.drop_in:
                return True
            if kind == "_dir" and full == posixpath.dirname(self.drop_in):
                by_folder = int(line)
        return by_folder > 0 and not any(
            self._is_undone(now, name, by_folder) for name in self.wanted(now)
        )

    def _is_undone(self, now: SettingsState, name: str, by_folder: int) -> bool:
        """Whether something else is said of it, later than ours: by a file of the same folder, or
        further down than the line of postgresql.conf that includes the folder."""
        last = now.last(name)
        if last is None or self._serves(name, last.value):
            return False
        if last.file == self.config_file:
            return last.line > by_folder
        return (
            posixpath.dirname(last.file) == posixpath.dirname(self.drop_in)
            and last.file > self.drop_in
        )

    def _needs_restart(self, now: SettingsState) -> bool:
        return not self._serves("listen_addresses", now.running.get("listen_addresses"))

    def _serves(self, name: str, value: str | None) -> bool:
        """Whether this value of a setting, as PostgreSQL shows it, is as good as ours."""
        if value is None:
            return False
        if name == "listen_addresses":
            return listen.covers(value, self.addresses)
        if name == "ssl_min_protocol_version":
            return value in ("TLSv1.2", "TLSv1.3")
        if name == "ssl":
            return value.lower() in ("on", "true", "yes", "1")
        return value == self.wanted(SettingsState())[name]

    def _obstacle(self, now: SettingsState) -> Problem | None:
        for entry in now.entries:
            if entry.error and entry.file != self.drop_in:
                return Problem(
                    f"{entry.file}:{entry.line}: {entry.name}: {entry.error}",
                    "correct that line: until then PostgreSQL ignores every reload",
                )
        for name in self.wanted(now):
            last = now.last(name)
            if name in now.pinned and not self._serves(name, now.running.get(name)):
                return Problem(
                    f"PostgreSQL is started with {name}={now.running.get(name)} on its command"
                    " line, which no file can change",
                    f"take {name} out of the unit's options",
                )
            if last is None or last.file == self.drop_in or self._serves(name, last.value):
                continue
            if posixpath.basename(last.file) == "postgresql.auto.conf":
                return Problem(
                    f"ALTER SYSTEM has set {name} to '{last.value}', which wins over every file",
                    f'as postgres: psql -c "alter system reset {name}"',
                )
            if self.included(now) and any(entry.file == self.drop_in for entry in now.entries):
                return Problem(
                    f"{last.file}:{last.line} sets {name} again after our {self.drop_in}",
                    f"take {name} out of {last.file}",
                )
        return None

    def _text(self, now: SettingsState) -> str:
        lines = [f"{name} = {_literal(value)}\n" for name, value in self.wanted(now).items()]
        return "# Written by k3s-tui, and put back by each of its runs.\n" + "".join(lines)


def _literal(value: str) -> str:
    """A value in postgresql.conf's own quoting."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _parse(out: bytes) -> SettingsState:
    said = fields(out)
    found = answer(said.get("answer", b"")) or {"running": {}, "pinned": [], "entries": []}
    return SettingsState(
        running=found["running"],
        pinned=tuple(found["pinned"]),
        entries=tuple(Entry(**entry) for entry in found["entries"]),
        includes=said.get("includes", b"").decode("utf-8", "replace"),
        drop_in=said.get("drop", b"").decode("utf-8", "replace"),
        loaded=said.get("loaded", b"").strip() == b"yes",
    )
