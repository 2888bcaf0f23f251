"""Durable work: a script that goes on when the connection does not.

A job is named by what it is for and by its text.  Starting one that is running means watching it;
its log and its status stay in a root-only folder until the next start, so whoever comes back, or
comes too, can read how it ended.
"""

from __future__ import annotations

import hashlib
import re

from k3s_tui.hosts.script import literal, quote

FOLDER = "/run/k3s-tui/jobs"


def job_name(name: str, script: str) -> str:
    """A file name: the given name and the first 12 hex digits of the script's SHA-256."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return f"{readable}.{hashlib.sha256(script.encode()).hexdigest()[:12]}"


def start_or_attach(name: str, script: str, prelude: str, folder: str = FOLDER) -> str:
    """A script that starts the job unless it runs, follows its log, and ends with its status.

    Two locks: `lock` in the job's own folder is held for as long as the job runs, which is how a
    second starter knows to attach; the one above it makes jobs of one host wait for each other,
    also for one that an earlier run left behind.
    """
    # The job's own processes must not inherit the locks (9>&- 8>&-): a daemon that a package
    # starts would hold them for ever.
    home = quote(f"{folder}/{job_name(name, script)}")
    return f"""
mkdir -p {home} && cd {home} || exit 1
exec 9>>lock
if flock -n 9; then
    rm -f status
    : >log
    {literal((prelude + script).encode())} >script
    setsid sh -c '
        exec 8>>../lock
        flock -n 8 || {{ echo "waiting for another job on this host to end" >>log; flock 8; }}
        sh ./script >>log 2>&1 </dev/null 9>&- 8>&-
        echo $? >status.new
        mv -f status.new status
    ' >/dev/null 2>&1 </dev/null &
fi
exec 9>&-
shown=0
follow() {{
    size=$(wc -c <log)
    if [ "$size" -gt "$shown" ]; then
        tail -c +$((shown + 1)) log | head -c $((size - shown)) >&2
        shown=$size
    fi
}}
until [ -e status ]; do
    follow
    sleep 0.2
    # Killed together with its shell (out of memory, reboot): nobody will write a status.
    if [ ! -e status ] && flock -n lock true && [ ! -e status ]; then
        follow
        echo "the job was killed on the host" >&2
        exit 137
    fi
done
follow
exit "$(cat status)"
"""
