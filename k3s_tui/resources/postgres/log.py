"""The server's own words: a mismatched CN, for one, is told to nobody but PostgreSQL's log."""

from __future__ import annotations

from k3s_tui.hosts.script import quote

_TELLING = "FATAL|PANIC|ERROR|DETAIL|mismatch|do not match|certificate|SSL|pg_hba"


def server_log_tail(data_directory: str, unit: str, *, lines: int = 12) -> str:
    """Shell text that prints the last telling lines of the server's log, at most `lines`.

    Looks where the server writes: the collector's file, else what its standard error leads to
    (Debian), else the newest file of /var/log/postgresql, else the unit's journal.  Works for a
    server that is down, too.  Its status is always 0.  Needs `AS_POSTGRES` earlier in the script:
    the server's user says which file that is, so it is read with that user's rights.
    """
    return f"""(
data={quote(data_directory)}
log=$(sed -n 's/^stderr //p' "$data/current_logfiles" 2>/dev/null)
case $log in '' | /*) ;; *) log=$data/$log ;; esac
if [ ! -f "$log" ]; then
    log=$(readlink "/proc/$(sed -n 1p "$data/postmaster.pid" 2>/dev/null)/fd/2")
fi
if [ ! -f "$log" ]; then
    for file in /var/log/postgresql/*.log; do
        if [ ! -f "$log" ] || [ "$file" -nt "$log" ]; then log=$file; fi
    done
fi
export log
if [ -f "$log" ]; then as_postgres 'tail -n 200 "$log"'
else journalctl -u {quote(unit)} -n 200 --no-pager -o cat 2>/dev/null
fi | grep -E {quote(_TELLING)} | tail -n {lines}
:
)"""
