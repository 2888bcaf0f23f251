"""Packages of the distribution, and the services that come with them unasked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from k3s_tui.core.contract import Change, Hands, Probe
from k3s_tui.families.base import Family
from k3s_tui.hosts.script import quote

STATE_FOLDER = "/var/lib/k3s-tui"
"""What we remember on a host about ourselves: what we installed, what a service has loaded."""


@dataclass(frozen=True)
class UnitState:
    """`ours`: it came with a package that we installed.  `known`: there is such a unit."""

    name: str
    ours: bool
    known: bool
    quiet: bool


@dataclass(frozen=True)
class PackagesState:
    """Of the packages asked about: those installed, and those that k3s-tui installed."""

    installed: frozenset[str]
    ours: frozenset[str]
    units: tuple[UnitState, ...] = ()


@dataclass(frozen=True)
class Packages:
    """All of `names` are installed; one that is there already is not upgraded.

    `quiet_units` (such as `nginx.service`) must not run when they came with our installation: they
    never start, and are disabled.  A unit that was there before is not touched.
    """

    names: tuple[str, ...]
    family: Family
    quiet_units: tuple[str, ...] = ()
    state_folder: str = STATE_FOLDER

    def __post_init__(self) -> None:
        for name in (*self.names, *self.quiet_units):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_@-]*", name):
                raise ValueError(f"neither a package nor a unit: {name!r}")

    def probe(self) -> Probe[PackagesState]:
        return Probe(
            f"""\
folder={quote(self.state_folder)}
installed() {{
{self.family.installed}
}}
installed {" ".join(self.names)} | sed 's/^/installed /'
for name in {" ".join(self.names)}; do
    [ ! -e "$folder/installed/$name" ] || echo "ours $name"
done
for unit in {" ".join(self.quiet_units)}; do
    whose=theirs
    [ ! -e "$folder/quiet/$unit" ] || whose=ours
    echo unit "$unit" "$whose" \\
        $(systemctl show -p LoadState -p UnitFileState -p ActiveState "$unit" 2>/dev/null)
done
""",
            _parse,
        )

    def diff(self, now: PackagesState) -> Change[PackagesState] | None:
        missing = [name for name in self.names if name not in now.installed]
        loud = [unit for unit in now.units if _to_be_quieted(unit, bool(missing))]
        if not missing and not loud:
            return None
        does = [f"install {', '.join(missing)}"] if missing else []
        does += [f"disable {unit.name}" for unit in loud]
        after = PackagesState(
            now.installed | set(missing),
            now.ours | set(missing),
            tuple(
                UnitState(unit.name, True, True, True) if unit in loud else unit
                for unit in now.units
            ),
        )
        return Change("; ".join(does), after=after)

    async def apply(self, on: Hands, change: Change[PackagesState]) -> None:
        # Name and text stay the same while packages come in, so that a run which comes back
        # after a lost connection finds its job again.
        await on.job(f"install-{'-'.join(self.names)}", self._script())

    def _script(self) -> str:
        """Marks come first: whatever a kill leaves behind, it is known to be ours."""
        return f"""\
folder={quote(self.state_folder)}
mkdir -p "$folder/installed" "$folder/quiet" && cd "$folder" || exit
installed() {{
{self.family.installed}
}}
install() {{
{self.family.install}
}}
units={quote(" ".join(self.quiet_units))}
set -- {" ".join(self.names)}
have=$(installed "$@")
missing=
for name; do
    printf '%s\\n' "$have" | grep -qxF -e "$name" || missing="$missing $name"
done
if [ -n "$missing" ]; then
    marked=
    for name in $missing; do
        [ -e "installed/$name" ] || {{ : >"installed/$name"; marked="$marked $name"; }}
    done
    masked=
    for unit in $units; do
        if [ ! -e "quiet/$unit" ]; then
            ! systemctl cat "$unit" >/dev/null 2>&1 || continue
            : >"quiet/$unit"
        fi
        # Masked while it is installed, it does not even start once.
        systemctl mask --runtime "$unit" >/dev/null 2>&1
        masked="$masked $unit"
    done
    # A power cut must not take the marks and leave the packages: they would count as somebody's.
    sync
    # Maintainer scripts expect the usual umask, not ours.
    (umask 022; cd /; install $missing)
    status=$?
    for unit in $masked; do
        systemctl unmask --runtime "$unit" >/dev/null 2>&1
    done
    if [ $status -ne 0 ]; then
        have=$(installed "$@")
        for name in $marked; do
            printf '%s\\n' "$have" | grep -qxF -e "$name" || rm -f "installed/$name"
        done
        for unit in $masked; do
            systemctl cat "$unit" >/dev/null 2>&1 || rm -f "quiet/$unit"
        done
        exit $status
    fi
fi
for unit in $units; do
    [ -e "quiet/$unit" ] || continue
    systemctl unmask --runtime "$unit" >/dev/null 2>&1
    ! systemctl cat "$unit" >/dev/null 2>&1 || systemctl disable --now "$unit" || exit
done
"""


def _to_be_quieted(unit: UnitState, installing: bool) -> bool:
    if unit.ours:
        return not unit.quiet
    return installing and not unit.known


def _parse(out: bytes) -> PackagesState:
    told: dict[str, set[str]] = {"installed": set(), "ours": set()}
    units: list[UnitState] = []
    for line in out.decode(errors="replace").splitlines():
        kind, name, *rest = line.split()
        if kind == "unit":
            units.append(_unit(name, rest))
        else:
            told[kind].add(name)
    return PackagesState(frozenset(told["installed"]), frozenset(told["ours"]), tuple(units))


def _unit(name: str, told: list[str]) -> UnitState:
    whose, *properties = told
    values = dict(pair.partition("=")[::2] for pair in properties)
    known = values.get("LoadState", "not-found") != "not-found"
    idle = values.get("ActiveState", "inactive") in ("inactive", "failed")
    # `masked-runtime` is ours, from an installation that was cut off.
    loud = values.get("UnitFileState") in ("enabled", "enabled-runtime", "masked-runtime")
    return UnitState(name, whose == "ours", known, idle and not loud)
