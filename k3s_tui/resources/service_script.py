"""The one script in which a service gets its files and takes them up."""

from __future__ import annotations

from collections.abc import Sequence

from k3s_tui.hosts.script import PLACE, UPTIME, quote
from k3s_tui.resources.file import File, parent

REFUSED, FAILED = 3, 4
"""Statuses: nothing was changed; something was, and was taken back."""

# Beside each file, hidden so that no program takes them for its own: `.NAME.k3s-tui.new` while it
# is staged; and until the new one is known to work, `.old` (the last that did) or `.none` (there
# was none).  A killed run leaves the latter two: they stay the last good state for the next one.
_FILES = """\
beside() { spare=${1%/*}/.${1##*/}.k3s-tui; }
keep_old() {
    beside "$1"
    if [ -e "$spare.old" ] || [ -e "$spare.none" ]; then return 0; fi
    if [ -e "$1" ]; then cp -p "$1" "$spare.tmp" && mv -f "$spare.tmp" "$spare.old"
    else : >"$spare.none"; fi
}
swap() { beside "$1"; mv -f "$spare.new" "$1"; }
unstage() { beside "$1"; rm -f "$spare.new"; }
forget_old() { beside "$1"; rm -f "$spare.old" "$spare.none"; }
restore() {
    beside "$1"
    if [ -e "$spare.old" ]; then mv -f "$spare.old" "$1"
    elif [ -e "$spare.none" ]; then rm -f "$1" "$spare.none"; fi
}
had_none() { beside "$1"; [ -e "$spare.none" ]; }
"""

# The texts that a service brings run in subshells with `set -e`, which shells ignore wherever the
# outcome is tested (`if`, `&&`, `||`): hence the plain calls, each with a look at `$?` after it.
_MAIN = """\
say() { printf '%s\\n' "$unit: $*" >&2; }
refuse() {
    for_each unstage
    say "$1; nothing was changed"
}
write_stamp() { printf '%s\\n' "$1" >"$stamp.new" && mv -f "$stamp.new" "$stamp"; }
tell_journal() {
    [ $follow = yes ] || return 0
    # The cursor file makes each line come once, and none get lost at the end.
    journalctl -u "$unit" --since "@$since" --cursor-file "$stamp.cursor" -o cat -q --no-pager \\
        >&2 2>/dev/null
}
# Which start of the unit this is.  Where systemd is too old to give an identity, its time is one.
this_start() {
    systemctl show -p InvocationID -p ExecMainStartTimestampMonotonic "$unit" 2>/dev/null
}
runs() {
    systemctl is-active --quiet "$unit" || return 1
    [ $anew = no ] || [ "$(this_start)" != "$last_start" ]
}
wait_ready() {
    end=$(($(uptime) + seconds))
    while :; do
        tell_journal
        # Until it is stopped, the process of before goes on answering.
        said="it does not run on the new files yet"
        if runs; then
            said=$(ready 2>&1)
            [ $? -ne 0 ] || return 0
        fi
        ! systemctl is-failed --quiet "$unit" 2>/dev/null || break
        [ "$(uptime)" -lt $end ] || break
        sleep 0.2 2>/dev/null || sleep 1
    done
    [ -z "$said" ] || printf '%s\\n' "$said" >&2
    return 1
}
take_up() {
    told=yes
    # A failure of before must not count as one of now.
    systemctl reset-failed "$unit" >/dev/null 2>&1
    since=$(date +%s)
    last_start=$(this_start)
    rm -f "$stamp.cursor"
    why="it cannot be activated"
    activate
    up=$?
    if [ $up -eq 0 ]; then
        why="it is not ready within $seconds s"
        wait_ready
        up=$?
    fi
    tell_journal
    rm -f "$stamp.cursor"
    return $up
}
is_down() {
    case $(systemctl is-active "$unit" 2>/dev/null) in
        inactive | failed | unknown) ;;
        *) return 1 ;;
    esac
    case $(systemctl is-enabled "$unit" 2>/dev/null) in
        enabled | enabled-runtime | alias) return 1 ;;
    esac
}
back_out() {
    # The end of what it said is about the version that failed, not about the one put back.
    follow=no
    journalctl -u "$unit" -n 20 --no-pager -o cat >&2 2>/dev/null
    if [ "$files" -eq 0 ]; then
        say "$1"
    elif for_any had_none; then
        # Without one of its files it would be something else: a K3s without its datastore makes a
        # cluster of its own.  So it must not run, nor start by itself, on what there was before.
        deactivate
        if is_down; then
            for_each restore
            systemctl daemon-reload >/dev/null 2>&1
            say "$1; it is stopped, and its files are as they were before"
        else
            say "$1; it cannot be stopped and disabled, so the new files stay in their places"
        fi
    elif [ $told = no ]; then
        for_each restore
        [ -z "$before" ] || write_stamp "$before"
        say "$1; the files of before are back"
    else
        for_each restore
        take_up
        if [ $? -eq 0 ]; then
            [ -z "$before" ] || write_stamp "$before"
            say "$1; the files of before are back, and it runs on them"
        else
            how="but it does not run on them either"
            ! runs || how="and it runs, but $why"
            say "$1; the files of before are back, $how"
        fi
    fi
}
main() {
    mkdir -p "${stamp%/*}" && exec 9>>"$stamp.lock" && flock 9 && stage
    if [ $? -ne 0 ]; then refuse "the new files cannot be written"; return $refused; fi
    validate
    if [ $? -ne 0 ]; then refuse "its own check refuses the new files"; return $refused; fi
    for_each keep_old
    if [ $? -ne 0 ]; then refuse "the files of before cannot be kept"; return $refused; fi
    # From here on nobody can say what is loaded, until it is said again.
    before=$(cat "$stamp" 2>/dev/null)
    rm -f "$stamp"
    for_each swap && sync
    if [ $? -ne 0 ]; then back_out "the new files cannot take their places"; return $failed; fi
    verify_placed
    if [ $? -ne 0 ]; then back_out "the check of the placed files fails"; return $failed; fi
    take_up
    if [ $? -ne 0 ]; then back_out "$why"; return $failed; fi
    for_each forget_old
    write_stamp "$wanted"
}
# A lost connection closes what is written to, and whatever speaks next is ended by that: half-way,
# and as if the service had failed.  So nothing here writes to it but `cat`, and once that is ended
# another one hears the rest.
outlive_listener() {
    status=$(
        { { main >/dev/null 3>&-; echo $? >&3; } 2>&1 | { cat; cat >/dev/null; } >&2; } 3>&1
    )
    exit "$status"
}
"""


def service_script(
    *,
    unit: str,
    files: Sequence[File],
    validate: str,
    verify_placed: str,
    activate: str,
    anew: bool,
    deactivate: str,
    ready: str,
    ready_seconds: int,
    follow_journal: bool,
    stamp_path: str,
    stamp: str,
) -> str:
    """See `Service` for the texts.  Exits with REFUSED or FAILED; says why in its last line.

    `anew`: `activate` starts the unit anew, and it is ready only in that start.
    Nothing happens before the last line is there: a script that is cut off on its way does nothing.
    """
    staged = [f"{_folder(file.path)}/.{_name(file.path)}.k3s-tui.new" for file in files]
    paths = " ".join(quote(file.path) for file in files)
    stage = "".join(
        f"{parent(file.path, file.folder_mode)} || return 1\n{file.placing(at)} || return 1\n"
        for file, at in zip(files, staged, strict=True)
    )
    names = "".join(f"staged_{i}={quote(path)}\n" for i, path in enumerate(staged))
    return f"""\
{PLACE}{UPTIME}{_FILES}\
unit={quote(unit)} stamp={quote(stamp_path)} wanted={stamp}
files={len(files)} seconds={ready_seconds} refused={REFUSED} failed={FAILED} told=no
follow={"yes" if follow_journal else "no"} anew={"yes" if anew else "no"}
{names}\
for_each() {{
    for path in {paths}; do "$1" "$path" || return 1; done
}}
for_any() {{
    for path in {paths}; do ! "$1" "$path" || return 0; done
    return 1
}}
stage() {{
{stage}:
}}
{_function("validate", validate)}\
{_function("verify_placed", verify_placed)}\
{_function("activate", activate)}\
{_function("deactivate", deactivate)}\
{_function("ready", ready)}\
{_MAIN}\
outlive_listener
"""


def _function(name: str, text: str) -> str:
    return f"{name}() {{ (\nset -e\n:\n{text}\n) </dev/null >&2; }}\n"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
