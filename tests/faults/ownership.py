"""To whom what changed on a host belongs: a planned resource, a planned package, or K3s itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.audit import HostState, State, moved_files, started_units

Event = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """What one step of a host may change: paths, units, and lines of `trees.FACTS`."""

    step: str
    paths: str = "(?!)"
    units: str = "(?!)"
    facts: str = "(?!)"


_REMEMBERED = r"/var/lib/k3s-tui/loaded/"
_PACKAGES = r"/var/lib/k3s-tui/(installed/(?!k3s$)|quiet/)"

RESOURCES = (
    Resource("datastore/packages", _PACKAGES),
    Resource(
        "datastore/cluster",
        r"/(etc|var/lib)/postgresql/|/etc/systemd/system/multi-user.target.wants/postgresql",
        r"postgresql[@.]",
        r"(unit|active) postgresql|database (role\|(postgres|pg_)|database\|(postgres|template))"
        r"|database rule\|(local|host)\|\{(all|replication)\}\|\{all\}",
    ),
    Resource("datastore/ca", r"/etc/k3s-tui/postgresql/ca\.crt$"),
    Resource("datastore/certificate", r"/etc/k3s-tui/postgresql/(current$|v-)"),
    Resource("datastore/role", facts=r"database role\|k3s\|"),
    Resource("datastore/database", facts=r"database database\|k3s\|"),
    Resource(
        "datastore/settings",
        r"/etc/postgresql/15/main/conf\.d/90-k3s-tui\.conf$|" + _REMEMBERED,
        r"postgresql[@.]",
        r"database setting\|",
    ),
    Resource(
        "datastore/access",
        r"/etc/postgresql/15/main/pg_hba\.conf(\.k3s-tui\.orig)?$",
        facts=r"database rule\|",
    ),
    Resource("installation/script", r"/var/lib/k3s-tui/(install|fetched/install)\.sh$"),
    Resource("installation/binary", r"/(usr/local/bin|var/lib/k3s-tui/fetched)/k3s$"),
    Resource("servers/hosts-entry", r"/etc/hosts(\.k3s-tui\.orig)?$"),
    Resource("servers/datastore-ca", r"/etc/k3s-tui/datastore/ca\.crt$"),
    Resource("servers/certificate", r"/etc/k3s-tui/datastore/(current$|v-)"),
    Resource(
        "(servers|agents)/k3s",
        r"/etc/rancher/k3s/config\.yaml(\.d/50-secrets\.yaml)?$"
        r"|/etc/systemd/system/(multi-user\.target\.wants/)?k3s(-agent)?\.service(\.env)?$"
        r"|/usr/local/bin/(kubectl|crictl|ctr|k3s(-agent)?-(killall|uninstall)\.sh)$"
        r"|/var/lib/k3s-tui/installed/k3s$|" + _REMEMBERED,
        r"k3s(-agent)?\.service$",
        r"(unit|active) k3s(-agent)?\.service ",
    ),
    Resource("loadbalancer/packages", _PACKAGES, facts=r"unit nginx\.service "),
    Resource(
        "loadbalancer/service",
        r"/etc/nginx/k3s-tui-lb\.conf$|" + _REMEMBERED + r"|"
        r"/etc/systemd/system/(multi-user\.target\.wants/)?k3s-tui-lb\.service$",
        r"k3s-tui-lb\.service$",
        r"(unit|active) k3s-tui-lb\.service ",
    ),
    Resource("loadbalancer/rotation", r"/etc/logrotate\.d/k3s-tui-lb$"),
)

K3S = (
    r"/var/lib/rancher/|/etc/rancher/(node/|k3s/k3s\.yaml$)|database relation\|(kine|standin)\w*\|"
)
"""K3s's own: its data folder, its password and kubeconfig, and its tables."""

MAINTAINED = (
    r"/var/lib/(dpkg|apt|systemd|pam|ucf|logrotate|nginx|postgresql)(/|$)|/var/cache/|/var/backups/"
    r"|/etc/(ld\.so\.cache|mailcap|(passwd|group|shadow|gshadow|subuid|subgid)-?|\.pwd\.lock)$"
    r"|/etc/(alternatives|ssl|rc.\.d|nginx/modules-enabled|nginx/sites-enabled)/"
    r"|/etc/(default/locale|locale\.gen|inputrc)$"
    r"|/etc/(postgresql|postgresql-common|apt/apt\.conf\.d)/|/etc/systemd/system/.*wants/"
    r"|/usr/(share/man|lib/locale)/|/var/www/|/etc/(init\.d|default)/\.depend"
)
"""Where the scripts of packages put what no package lists."""


@dataclass
class Audit:
    """One apply, with what was planned just before it and what each host had before and after."""

    plan: list[Event]
    before: State
    after: State
    claimed: set[str] = field(default_factory=set)
    """Steps to which something belongs; filled by `strange`."""

    def strange(self) -> Iterator[str]:
        """What belongs to nothing that was planned."""
        for name in self.before:
            yield from (f"{name}: {what}" for what in self._on(name))

    def _on(self, name: str) -> Iterator[str]:
        before, after = self.before[name], self.after[name]
        mine = dict(self._planned(name))
        new = {what.split()[1] for what in after.facts - before.facts if "packages" in what}
        listed = after.listed if self._installing(name) else {}
        theirs = {path for package in new for path in listed.get(package, ())}
        yield from (f"{package} is not planned" for package in self._uninvited(name, new))
        for path in moved_files(before, after):
            of_package = path in theirs or bool(theirs and re.match(MAINTAINED, path))
            if not (self._claims(mine, "paths", path) or of_package or re.match(K3S, path)):
                yield path
        units = {path.rpartition("/")[2] for path in theirs}
        for unit in started_units(before, after):
            template = re.sub(r"@.*\.", "@.", unit)
            if not (self._claims(mine, "units", unit) or {unit, template} & units):
                yield f"{unit} was started anew"
        for fact in before.facts ^ after.facts:
            kind, about = fact.split()[:2]
            of_package = kind in ("unit", "active") and bool(
                {about, re.sub(r"@.*\.", "@.", about)} & units
            )
            expected = kind in ("packages", "jobs") or of_package or re.match(K3S, fact)
            if not (self._claims(mine, "facts", fact) or expected):
                yield fact

    def _planned(self, name: str) -> Iterator[tuple[Resource, Event]]:
        for event in self.plan:
            if event["host"] == name and event["verdict"] in ("change", "later"):
                what = event["step"].partition("/")[2]
                for resource in RESOURCES:
                    if re.fullmatch(resource.step, what):
                        yield resource, event

    def _claims(self, mine: Mapping[Resource, Event], kind: str, what: str) -> bool:
        owners = [r for r in mine if re.match(getattr(r, kind), what)]
        self.claimed |= {mine[owner]["step"] for owner in owners}
        return bool(owners)

    def _installing(self, name: str) -> list[str]:
        """Packages that the plan names for a host."""
        found: list[str] = []
        for event in self.plan:
            if event["host"] == name and event["verdict"] == "change":
                told = re.match(r"install ([^;]+)", event["summary"])
                found += told[1].split(", ") if told else []
        return found

    def _uninvited(self, name: str, new: set[str]) -> set[str]:
        """New packages that are neither planned nor needed by those."""
        wanted, known = self._installing(name), set[str]()
        while wanted:
            package = wanted.pop()
            if package not in known:
                known.add(package)
                wanted += self.after[name].needs.get(package, ())
        return new - known


def leaves_a_trace(step: str) -> bool:
    """Whether a change by that step is seen on its host."""
    what = step.partition("/")[2]
    return any(re.fullmatch(resource.step, what) for resource in RESOURCES)


PROMISES = r"(?:create|write|issue|renew|set|block in|to) (/[^\s,:;]+)"
"""Where the text of a planned change names a path that is going to be another one."""


def unkept(plan: list[Event], before: State, after: State) -> Iterator[str]:
    """Paths that a planned change names, and which are as they were."""
    moved = {name: set(moved_files(before[name], after[name])) for name in before}
    for event in plan:
        if event["verdict"] == "change" and event["host"] in moved:
            for path in re.findall(PROMISES, event["summary"]):
                # Behind a link to a folder, it is a new version that is written.
                start = re.sub(r"/current/.*", "/v-", path)
                if not any(
                    place == path or (start != path and place.startswith(start))
                    for place in moved[event["host"]]
                ):
                    yield f"{event['step']}: {path}"


def objects(state: HostState) -> int:
    return sum(fact.startswith("database ") for fact in state.facts)
