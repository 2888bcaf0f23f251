"""The profile while it is being written: what was typed, and what is wrong with it so far.

A draft is the profile's own document, so that the profile's rules judge it, and every problem
knows by its path which field it belongs to.
"""

from __future__ import annotations

import copy
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from k3s_tui.core.errors import OperatorError
from k3s_tui.core.secret import Secret
from k3s_tui.procedure.fixed import Code, changed_options, fixed_fields, installed
from k3s_tui.profile import load, save
from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.locate import locate
from k3s_tui.profile.model import Profile
from k3s_tui.profile.problem import ProfileProblem

K3S_VERSION = "v1.36.3+k3s1"
"""What a new profile pins; the operator may pin another."""


class Draft:
    """`document` is what the file will say.  Values that cannot be right yet are kept as typed."""

    def __init__(self, path: Path, document: Mapping[str, Any]) -> None:
        self.path = path
        self.document: dict[str, Any] = copy.deepcopy(dict(document))
        self.secrets: dict[str, Secret] = {}
        """Values that were typed for keys of the store, until they are put into it."""
        self.unparsed: dict[Place, tuple[str, str]] = {}
        """Text that is no TOML, by the table it was meant for, and what is wrong with it."""
        self._tables: dict[Place, str] = {}
        self._aside: dict[Place, Any] = {}
        self.reviewed: dict[str, str] = {}
        """Certificates that the operator has looked at, and what they said then."""
        self._saved = copy.deepcopy(self.document) if path.exists() else None
        self._opened = self._saved
        self._source = ""
        """The file's text, as it was opened."""
        self._checked: load.Checked | None = None
        self._fixed: dict[Place, Code] | None = None

    @classmethod
    def new(cls, path: Path, user: str) -> Draft:
        """A draft with everything filled in that has a good default."""
        return cls(
            path,
            {
                "schema": 1,
                "name": name_of(path),
                "ssh": {"user": user, "become": "root" if user == "root" else "sudo"},
                "hosts": {},
                "datastore": {
                    "hostname": "postgres.k3s.internal",
                    "database": "k3s",
                    "user": "k3s",
                    "password": "store:datastore.password",
                },
                "pki": {"leaf-days": 730},
                "loadbalancer": {"port": 6443},
                "k3s": {
                    "version": K3S_VERSION,
                    "token": "store:k3s.token",
                    "agent-token": "store:k3s.agent-token",
                },
            },
        )

    @classmethod
    def open(cls, path: Path) -> Draft:
        """The profile at `path`, right or wrong.  Raises ProfileInvalid when it cannot be read."""
        source = load.read_text(path)
        draft = cls(path, load.read_document(source, str(path)))
        draft._source = source
        return draft

    def get(self, place: Place, default: Any = None) -> Any:
        """The value at a place, or `default`."""
        value: Any = self.document
        for key in place:
            if not isinstance(value, dict) or key not in value:
                return default
            value = value[key]
        return value

    def set(self, place: Place, value: Any) -> None:
        """Put a value there, or take it away with None."""
        *tables, last = place
        table = self.document
        for key in tables:
            inner = table.setdefault(str(key), {})
            if not isinstance(inner, dict):
                inner = table[str(key)] = {}
            table = inner
        if value is None:
            table.pop(str(last), None)
        else:
            table[str(last)] = value
        self._checked = None

    def settle(self) -> None:
        """After another choice: what means nothing now is set aside, and what means something
        again is there again.
        """
        aside, self._aside = self._aside, {}
        for place, value in aside.items():
            if self.get(place) is None:
                self.set(place, value)
        for problem in self.problems():
            if problem.code == "needless-setting":
                self._aside[problem.path] = self.get(problem.path)
                self.set(problem.path, None)

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """The hosts' tables as they are typed, by name."""
        hosts = self.get(("hosts",))
        if not isinstance(hosts, dict):
            return {}
        return {name: host for name, host in hosts.items() if isinstance(host, dict)}

    def put_host(self, before: str | None, name: str, table: Mapping[str, Any]) -> None:
        """Add a host, or change the one called `before`, in its place."""
        hosts = dict(self.hosts)
        if before is None:
            hosts[name] = dict(table)
        else:
            hosts = {
                name if n == before else n: dict(table) if n == before else t
                for n, t in hosts.items()
            }
        self.set(("hosts",), hosts)
        self._fill_registration_address()

    def drop_host(self, name: str) -> None:
        self.set(("hosts",), {n: t for n, t in self.hosts.items() if n != name})

    def _fill_registration_address(self) -> None:
        """The load balancer's own address, until somebody says another."""
        balancers = [t for t in self.hosts.values() if "loadbalancer" in roles_of(t)]
        if not self.get(("loadbalancer", "address")) and balancers:
            address = balancers[0].get("node-ip") or balancers[0].get("address")
            if isinstance(address, str) and address:
                first = address.partition(",")[0].strip()
                self.set(("loadbalancer", "address"), first)

    @property
    def checked(self) -> load.Checked:
        """The document as the profile's rules see it."""
        if self._checked is None:
            self._checked = load.check(self.document)
        return self._checked

    @property
    def profile(self) -> Profile | None:
        """The profile, once nothing is wrong with it."""
        return self.checked.profile if self.valid else None

    @property
    def valid(self) -> bool:
        return self.checked.valid and not self.unparsed

    def problems(self, *places: Place) -> list[ProfileProblem]:
        """Those at or below any of the places; all of them without one.  Errors come first."""
        found = [
            *(
                ProfileProblem("syntax", message, place)
                for place, (_, message) in self.unparsed.items()
            ),
            *self.checked.problems,
        ]
        mine = [p for p in found if not places or _is_below(p.path, places)]
        return sorted(mine, key=lambda p: p.severity != "error")

    def line(self, place: Place) -> int:
        """Where the file that was opened says it, from 1; 0 where it does not."""
        span = locate(self._source).keys.get(place)
        return self._source.count("\n", 0, span.start) + 1 if span else 0

    def set_table(self, place: Place, text: str) -> None:
        """Put a table there that was typed as TOML; text that is none is kept aside."""
        try:
            table = tomllib.loads(text)
        except ValueError as error:
            self.unparsed[place] = (text, str(error))
            return
        self.unparsed.pop(place, None)
        self._tables[place] = text
        self.set(place, table)

    def table_text(self, place: Place) -> str:
        """A table as TOML, or what was typed for one."""
        from tomli_w import dumps

        if place in self.unparsed:
            return self.unparsed[place][0]
        table = self.get(place, {})
        typed = self._tables.get(place, "")
        if typed and tomllib.loads(typed) == table:
            return typed
        return dumps(table).rstrip("\n") if isinstance(table, dict) else ""

    def take(self, document: Mapping[str, Any], reviewed: Mapping[str, str]) -> None:
        """Go on from what another draft of this profile said."""
        self.document = copy.deepcopy(dict(document))
        self.reviewed = dict(reviewed)
        self._checked = None

    @property
    def fixed(self) -> Mapping[Place, Code]:
        """What cannot be changed any more, as far as this machine knows: read once, from the
        profile as it was opened and the records beside it.
        """
        if self._fixed is None:
            self._fixed = {}
            if self._saved is not None and (there := load.check(self._saved)).valid:
                with suppress(OperatorError):
                    nodes = installed(self.path, there.profile)
                    found = fixed_fields(there.profile, nodes)
                    self._fixed = {
                        each.path: each.code
                        for each in found
                        if self.get(each.path) == _at(self._saved, each.path)
                    }
        return self._fixed

    def changed_options(self, place: Place) -> tuple[str, ...]:
        """Options of a table that are fixed, and not as they were when the profile was opened."""
        if self._opened is None or not any(fixed[:-1] == place for fixed in self.fixed):
            return ()
        return changed_options(self.checked.profile, _at(self._opened, place), self.get(place))

    @property
    def changed(self) -> bool:
        """Whether the file says something else, or is not there."""
        return self.document != self._saved

    def save(self) -> Profile:
        """Write the profile; comments of a file that is there stay.

        Raises ProfileInvalid when it breaks a rule, OperatorError when it cannot be written.
        """
        profile = self.checked.profile
        if not self.valid:
            load.fail(self.problems(), "", str(self.path))
        save.save(self.path, profile)
        self._saved = copy.deepcopy(self.document)
        return profile


def name_of(path: Path) -> str:
    """What a profile is called that is to lie at `path`: of the file's name, what a name may have;
    "cluster" when that is nothing.
    """
    stem = unicodedata.normalize("NFKD", path.stem)
    plain = "".join(c for c in stem if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:63] or "cluster"


def _at(document: Mapping[str, Any], place: Place) -> Any:
    value: Any = document
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def roles_of(host: Mapping[str, Any]) -> list[str]:
    """A host's roles as far as they are any: whatever was typed may stand there."""
    roles = host.get("roles")
    return [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else []


def _is_below(path: Place, places: Iterable[Place]) -> bool:
    return any(path[: len(place)] == place for place in places)
