"""A stand-in for systemctl, for the scripts that call it: units are files in a folder."""

from __future__ import annotations

from pathlib import Path

from k3s_tui.hosts.script import quote
from tests.unit.hands import LocalHands

_SCRIPT = """\
now=; verb=; unit=; wanted=; block=yes
while [ $# -gt 0 ]; do
    case $1 in
    --now) now=yes ;;
    --no-block) block=no ;;
    -p) wanted="$wanted $2"; shift ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$1; else unit=$1; fi ;;
    esac
    shift
done
state() { cat "$unit.$1" 2>/dev/null || echo "$2"; }
case $verb in
is-active | is-failed)
    state active inactive
    [ "is-$(state active inactive)" = "$verb" ]
    exit ;;
is-enabled)
    state enabled disabled
    [ "$(state enabled disabled)" = enabled ]
    exit ;;
show)
    [ -e "$unit.known" ] && load=loaded || load=not-found
    enabled=$(state enabled disabled)
    [ ! -e "$unit.masked" ] || { load=masked; enabled=masked-runtime; }
    # systemd looks once, and then remembers until it is told to look again.
    [ -e "$unit.remembered" ] || echo "$enabled" >"$unit.remembered"
    for property in $wanted; do
        case $property in
        LoadState) echo "LoadState=$load" ;;
        ActiveState) echo "ActiveState=$(state active inactive)" ;;
        UnitFileState) echo "UnitFileState=$(state remembered -)" ;;
        InvocationID) echo "InvocationID=$(state starts 0)" ;;
        MainPID) echo "MainPID=$(state pid 0)" ;;
        esac
    done
    exit ;;
cat) [ -e "$unit.known" ]; exit ;;
reset-failed) [ "$(state active -)" != failed ] || echo inactive >"$unit.active"; exit ;;
esac
echo "$verb${unit:+ $unit}${now:+ --now}" >>log
[ ! -e fails ] || ! grep -qx "$verb" fails || exit 1
case $verb in daemon-reload | enable | disable | mask | unmask) rm -f ./*.remembered ;; esac
case $verb in
enable | disable)
    echo "${verb}d" >"$unit.enabled"
    [ -z "$now" ] || [ "$verb" = enable ] || echo inactive >"$unit.active" ;;
start | restart)
    [ ! -e "$unit.masked" ] || exit 1
    # Not blocking, systemctl comes back while the process of before is still there.
    [ $block = yes ] || [ ! -e "$unit.slow" ] || exit 0
    echo "$(($(state starts 0) + 1))" >"$unit.starts"
    if [ ! -e "$unit.start" ] || sh "$unit.start"; then echo active >"$unit.active"
    else echo failed >"$unit.active"; exit 1; fi ;;
reload) [ ! -e "$unit.reload" ] || sh "$unit.reload" ;;
stop) echo inactive >"$unit.active" ;;
mask) : >"$unit.masked" ;;
unmask) rm -f "$unit.masked" ;;
esac
"""


# With a cursor file: what was not told yet.  Without: how it ended.
_JOURNALCTL = """\
unit=$2 cursor=
while [ $# -gt 0 ]; do
    case $1 in --cursor-file) cursor=$2 ;; esac
    shift
done
if [ -z "$cursor" ]; then echo "last words of $unit"; exit; fi
touch {journal} "$cursor"
told=$(wc -l <"$cursor")
tail -n +$((told + 1)) {journal} | tee -a "$cursor"
"""


class Systemctl:
    """Put in place of the host's by being made; `log` has what changed something."""

    def __init__(self, hands: LocalHands, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        hands.tool("systemctl", f"cd {quote(str(folder))} || exit 1\n{_SCRIPT}")
        journal = quote(str(folder / "journal"))
        hands.tool("journalctl", _JOURNALCTL.format(journal=journal))

    def unit(self, name: str, *, enabled: str = "enabled", active: str = "active") -> None:
        """A unit that is there."""
        self.put(f"{name}.known", "")
        self.put(f"{name}.enabled", enabled)
        self.put(f"{name}.active", active)

    def put(self, name: str, text: str) -> None:
        (self._folder / name).write_text(f"{text}\n")

    def read(self, name: str) -> str:
        return (self._folder / name).read_text().strip()

    @property
    def log(self) -> list[str]:
        """Calls that change something, since the last time this was asked."""
        log = self._folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines
