"""Everything that a run leaves on the lab's hosts, in a form in which two runs can be compared.

What differs between two undisturbed runs, because it is random or tells the time, is named in
:data:`RANDOM` and :data:`TEMPORARY`, each with its reason, and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.containers import Container
from tests.lab.lab import Lab

_VERSION = r"v-\d{8}T\d{6}Z-[0-9a-f]{8}"

Tree = dict[str, str]
"""``host:path`` to kind, mode, owner and digest; ``host#what`` to a line of what is no file."""


@dataclass(frozen=True)
class Random:
    """Content that no two runs have in common; `plain` makes it what they do have in common."""

    path: str
    why: str
    plain: Callable[[str], str] | None = None
    """None: only kind, mode and owner are compared."""


def _without(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "*", text)


RANDOM = (
    Random(r"/etc/k3s-tui/[a-z]+/v-\*/tls\.(key|crt)", "a key and its certificate"),
    Random(r"/etc/k3s-tui/[a-z]+/current", "the version's name", _without(_VERSION)),
    Random(r"/var/lib/k3s-tui/loaded/(postgres|k3s(-agent)?\.service)", "a certificate's digest"),
    Random(
        r"/etc/rancher/k3s/config\.yaml\.d/50-secrets\.yaml",
        "the agent token names the cluster's CA, which K3s makes",
        _without(r"K10[0-9a-f]{64}::"),
    ),
    Random(r"/etc/rancher/k3s/k3s\.yaml", "holds K3s's own keys"),
    Random(r"/etc/rancher/node/password", "K3s makes it"),
    Random(r"/var/lib/rancher/k3s/(server|agent)/.*\.(crt|key)", "K3s's own keys"),
    Random(r"/var/lib/rancher/k3s/server/(agent-)?token", "as the agent token"),
    Random(r"/etc/machine-id", "the lab makes it"),
    Random(r"/etc/ssl/(certs|private)/ssl-cert-snakeoil\.(pem|key)", "made by a package"),
    Random(r"/var/cache/.*", "only faster for it"),
    Random(r"/var/lib/dpkg/(status|status-old|available|diversions.*)", "order; see `packages`"),
)

TEMPORARY = (
    (r"/(run|tmp|proc|sys|dev)/|/var/tmp/", "gone with a boot"),
    (r"/var/log/(journal|apt|postgresql|nginx|k3s-tui-lb)/", "logs tell the time"),
    (r"/var/lib/postgresql/\d+/main/(base|global|pg_.*|postmaster\..*)(/|$)", "see `database`"),
    (r"/var/backups/|/var/lib/logrotate/", "timers write there at midnight"),
    (r"/var/log/(dpkg|alternatives|bootstrap)\.log$|/var/log/[bw]tmp$|/var/log/lastlog$", "logs"),
)


def tree(lab: Lab) -> Tree:
    """All hosts, as they are now."""
    found: Tree = {}
    for name, host in lab.containers.items():
        found |= {f"{name}:{path}": told for path, told in files(host).items()}
        found |= {f"{name}#{what}": told for what, told in facts(host).items()}
    return found


def files(host: Container) -> dict[str, str]:
    """What is not as in the base image: the overlay's upper layer, and K3s's data folder."""
    found: dict[str, str] = {}
    tops = ((host.folder / "layers" / "upper", ""), (host.folder / "rancher", "/var/lib/rancher"))
    for top, prefix in tops:
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                real = Path(folder) / name
                path = _versioned(f"{prefix}/{real.relative_to(top)}")
                if any(re.match(pattern, path) for pattern, _ in TEMPORARY):
                    continue
                told = _told(real, path)
                if told is not None:
                    while path in found:  # one more version is one too many
                        path += " again"
                    found[path] = told
    return found


def _versioned(path: str) -> str:
    return re.sub(rf"/{_VERSION}(?=/|$)", "/v-*", path)


def _told(real: Path, path: str) -> str | None:
    try:
        info = real.lstat()
        access = f"{stat.S_IMODE(info.st_mode):04o} {info.st_uid}:{info.st_gid}"
        if stat.S_ISDIR(info.st_mode):
            return f"folder {access}"
        if stat.S_ISLNK(info.st_mode):
            return f"link {_plain(path, str(real.readlink()))}"
        if stat.S_ISCHR(info.st_mode):
            return "deleted"
        if not stat.S_ISREG(info.st_mode):
            return f"other {access}"
        if re.match(r"/usr/(?!local/)", path):  # packages' own: thousands, and large
            return f"file {access} {info.st_size} bytes"
        content = _plain(path, real.read_bytes().decode("latin-1"))
    except FileNotFoundError:  # it has just gone
        return None
    return f"file {access} {hashlib.sha256(content.encode('latin-1')).hexdigest()[:16]}"


def _plain(path: str, content: str) -> str:
    for random in RANDOM:
        if re.fullmatch(random.path, path):
            return random.plain(content) if random.plain else ""
    return content


FACTS = {
    "packages": "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'",
    "unit": (
        "systemctl list-unit-files --no-legend"
        " --state=enabled,enabled-runtime,masked,masked-runtime | awk '{ print $1, $2 }'"
    ),
    "active": (
        "systemctl list-units --type=service --state=active,failed,activating --no-legend --plain |"
        " awk '{ print $1, $3, $4 }' | grep -v '^\\(user\\|session\\|systemd-\\)'"
    ),
    "jobs": "cat /run/k3s-tui/jobs/*/status 2>/dev/null | sort -u",
    "database": (
        "! command -v psql >/dev/null || { cd /; runuser -u postgres -- psql -XAtq <<'SQL'\n"
        "select 'role', rolname, rolsuper, rolcreatedb, rolcreaterole, rolcanlogin from pg_roles;\n"
        "select 'database', datname, pg_get_userbyid(datdba), datacl from pg_database;\n"
        "select 'rule', type, database, user_name, address, auth_method, options"
        " from pg_hba_file_rules;\n"
        "select 'setting', name, setting from pg_settings where sourcefile ~ 'k3s-tui';\n"
        "\\c k3s\n"
        "select 'relation', relname, relkind, pg_get_userbyid(relowner) from pg_class"
        " where relnamespace = 'public'::regnamespace;\n"
        "SQL\n}"
    ),
}
"""What is not in files, or not legibly: a shell command for each."""


def facts(host: Container) -> dict[str, str]:
    found: dict[str, str] = {}
    for what, script in FACTS.items():
        for line in host.sh(f"{script} || :").splitlines():
            found[f"{what} {line.strip()}"] = "is"
    return found


def differences(one: Tree, other: Tree) -> list[str]:
    """What is not the same, a line for each: ``PLACE: this | that``."""
    return [
        f"{place}: {one.get(place, '-')} | {other.get(place, '-')}"
        for place in sorted(one.keys() | other.keys())
        if one.get(place) != other.get(place)
    ]


def laptop(folder: Path) -> Tree:
    """The operator's folder: the profile and what a run puts beside it."""
    found: Tree = {}
    for file in folder.iterdir():
        if file.is_file():
            info = file.stat()
            content = b"" if file.suffix == ".kubeconfig" else file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[f"laptop:{file.name}"] = f"file {stat.S_IMODE(info.st_mode):04o} {digest}"
    return found
