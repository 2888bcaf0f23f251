"""A PostgreSQL that runs already: what it is without us, and who uses it at the moment.

Asked with the facts, before anything is planned.  What our own drop-in sets is left out, so that
the answer is the same before the first run and after every later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote
from k3s_tui.resources.postgres import foreign
from k3s_tui.resources.postgres.access import BEGIN, END, NOBODY, Reserved, reserved
from k3s_tui.resources.postgres.cluster import DATA_FOLDERS
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer, fields
from k3s_tui.resources.postgres.psql import field as field_line
from k3s_tui.resources.postgres.settings import DROP_IN
from k3s_tui.resources.postgres.settings_script import LOADS_CAS

NAMES = (
    "listen_addresses",
    "ssl",
    "ssl_cert_file",
    "ssl_key_file",
    "ssl_ca_file",
    "ssl_crl_file",
    "ssl_crl_dir",
    "ssl_min_protocol_version",
    "password_encryption",
)

_MOST_BYTES = 1_000_000
"""Of a file that is taken over."""

_START_SECONDS = 20
"""How long a server that is starting up is waited for."""

# `said` are settings that stand in a file or on the command line.
# What a role owns or may use, in every database, is in pg_shdepend: of which databases it is, or
# none of them (a tablespace).
_LOOK = f"""
select json_build_object(
    'data_directory', current_setting('data_directory'),
    'config_file', current_setting('config_file'),
    'hba_file', current_setting('hba_file'),
    'listening', current_setting('listen_addresses'),
    'said', (select coalesce(json_object_agg(name, setting order by seqno), '{{}}') from (
        select f.name, f.setting, f.seqno from pg_file_settings f
        where f.name = any (string_to_array(:'names', ','))
            and f.sourcefile not like '%/' || :'drop_in'
        union all
        select name, setting, 1000000 from pg_settings
        where name = any (string_to_array(:'names', ',')) and source = 'command line') lines),
    'databases', (select coalesce(json_agg(datname order by datname), '[]') from pg_database
        where not datistemplate and datname not in ('postgres', :'ours')),
    'owns', (select coalesce(json_agg(datname order by datname), '[]') from pg_database
        where pg_get_userbyid(datdba) = :'role' and datname <> :'ours'),
    'owner', (select pg_get_userbyid(datdba) from pg_database where datname = :'ours'),
    'uses', (select coalesce(json_agg(distinct coalesce(at.datname, '')), '[]')
        from pg_shdepend d join pg_roles r on r.oid = d.refobjid and r.rolname = :'role'
        left join pg_database at on at.oid = case
            when d.classid = 'pg_database'::regclass then d.objid else d.dbid end
        where d.refclassid = 'pg_authid'::regclass),
    'related', (select coalesce(json_agg(distinct other.rolname), '[]')
        from pg_auth_members m join pg_roles r on r.rolname = :'role'
        join pg_roles other on other.oid = case r.oid when m.member then m.roleid else m.member end
        where r.oid = m.member or (r.oid = m.roleid and not m.admin_option)),
    'powers', (select coalesce(json_agg(power), '[]') from pg_roles, unnest(array[
            case when rolsuper then 'SUPERUSER' end, case when rolcreaterole then 'CREATEROLE' end,
            case when rolreplication then 'REPLICATION' end,
            case when rolbypassrls then 'BYPASSRLS' end]) power
        where rolname = :'role' and power is not null),
    'sessions', (select coalesce(json_agg(json_build_array(datname, usename, client, many)
            order by datname, usename, client), '[]') from ({foreign.SESSIONS}) others));
"""

# In the database of our name: what kine did not make, and no extension either.
_TENANTS = """
with here as (select oid, nspname, pg_get_userbyid(nspowner) as owner from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'),
packed as (select classid, objid from pg_depend where deptype = 'e'),
found as (
    select nspname || '.' || relname as name from pg_class c join here on here.oid = relnamespace
    where relkind in ('r', 'v', 'm', 'f', 'p', 'S') and (nspname, relname) <> ('public', 'kine')
        and ('pg_class'::regclass, c.oid) not in (select * from packed)
        and not exists (select from pg_depend d where relkind = 'S' and d.objid = c.oid
            and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
            and d.deptype in ('a', 'i'))
    union select nspname || '.' || proname || '()' from pg_proc p join here
        on here.oid = pronamespace
    where ('pg_proc'::regclass, p.oid) not in (select * from packed)
    union select 'schema ' || nspname from here
    where nspname <> 'public' and owner <> :'role'
        and ('pg_namespace'::regclass, oid) not in (select * from packed)
    union select 'large objects' where exists (select from pg_largeobject_metadata))
select coalesce(json_agg(name), '[]') from (select name from found order by name limit 4) first;
"""


@dataclass(frozen=True)
class ForeignSession:
    """Sessions of one kind that are not K3s's; `client` is an address, or `local`."""

    database: str
    role: str
    client: str
    count: int

    def __str__(self) -> str:
        many = f"{self.count} sessions" if self.count > 1 else "1 session"
        return f"{many} of {self.role} from {self.client} in database {self.database}"


@dataclass(frozen=True)
class Standing:
    """`said` are its settings by its own files, without ours; a setting missing there has its
    default.  `listening` is what holds now.  The two texts are PEM, '' where there is no file.
    `ca_pem` is its file byte for byte (what is no UTF-8 as surrogates), but for private keys, which
    nobody needs there and which stay on the host.  `ca_unread` is why there is none of it to have,
    in words that go on from the file's path.

    `databases` are all but ours; `owns` are those of them that belong to our role, and `owner` is
    whose our database is, '' without one.  `ours` are the names that an earlier run gave K3s.

    `uses` are the databases in which our role owns or was granted anything, '' for what is in none;
    `related` the roles that it is a member of, or that are members of it; `powers` what it may do
    beyond logging in.  `tenants` are up to four things in our database that K3s has not made.
    `socket` is the folder of the Unix socket, where that is not psql's default.
    """

    data_directory: str
    config_file: str = ""
    hba_file: str = ""
    socket: str = ""
    listening: str = "localhost"
    said: Mapping[str, str] = field(default_factory=dict)
    certificate_pem: str = ""
    ca_pem: str = ""
    ca_unread: str = ""
    databases: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    owner: str = ""
    uses: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    sessions: tuple[ForeignSession, ...] = ()
    ours: Reserved = NOBODY

    def path(self, name: str) -> str:
        """The absolute path that a setting names; '' when it names none."""
        value = self.said.get(name, "")
        if not value or value.startswith("/"):
            return value
        return f"{self.data_directory}/{value}"

    @property
    def serves_tls(self) -> bool:
        return self.said.get("ssl", "off").lower() in ("on", "true", "yes", "1")


Why = Literal["starting", "unreachable", "stopped"]


@dataclass(frozen=True)
class Silent:
    """One that is there and could not be asked.

    `where` is its data folder, '' where nobody knows it.
    """

    why: Why
    where: str = ""


def look(psql: Psql, database: str, role: str, data_folders: tuple[str, ...] = DATA_FOLDERS) -> str:
    """sh that asks; its output is for `parse`.  It fails when a server runs and does not answer.

    `data_folders` are sh patterns: where a cluster would lie that does not run.
    """
    ask = psql.run(_LOOK, names=",".join(NAMES), drop_in=DROP_IN, ours=database, role=role)
    known = psql.run("select 'known' from pg_database where datname = :'name';", name=database)
    tenants = psql.run(_TENANTS, database=database, role=role)
    return f"""{AS_POSTGRES}{_find(psql.port)}{_silent(data_folders)}
socket='' where=''
if command -v pg_isready >/dev/null 2>&1; then {psql.ready()}; ready=$?; else ready=2; fi
if [ "$ready" = 2 ] && find_socket; then
    if {psql.ready()}; then ready=0 socket=''
    else
        case $socket in
            '') silent unreachable ;;
            @*) ;;
            *) [ -S "$socket/.s.PGSQL.{psql.port}" ] || silent unreachable ;;
        esac
        PGHOST=$socket; export PGHOST
        {psql.ready()}; ready=$?
    fi
fi
# After a run that was killed while packages came in, it may be in the middle of its first start.
if [ "$ready" = 1 ] && {psql.await_ready(_START_SECONDS)}; then ready=0; fi
case $ready in
    0) ;;
    1) silent starting ;;
    *) where=$(left_by_others); if [ -n "$where" ]; then silent stopped; fi; exit 0 ;;
esac
answer=$({ask}) || exit 1
rules=$({psql.run("show hba_file;")})
tenants='[]'
if [ -n "$({known})" ]; then tenants=$({tenants}) || exit 1; fi
{_files(psql)}
{field_line("answer", 'printf %s "$answer"')}
{field_line("tenants", 'printf %s "$tenants"')}
{field_line("socket", 'printf %s "$socket"')}
{field_line("certificate", 'public_of "$(path_of ssl_cert_file server.crt)"')}
ca=$(path_of ssl_ca_file '')
unread=$(unread "$ca")
{field_line("ca", '[ -n "$unread" ] || public_of "$ca"')}
{field_line("ca_unread", 'printf %s "$unread"')}
{field_line("block", f'sed -n {quote(f"/^{BEGIN}$/,/^{END}$/p")} "$rules"')}
"""


def _find(port: int) -> str:
    """Defines `find_socket`: where the server listens whose socket is not where psql looks.

    Every process of a server works in its data folder, and its lock file there says port and
    socket, and at last that it is ready.  One in a container with a network of its own has other
    ports.
    """
    return f"""\
find_socket() {{
    for at in /proc/[0-9]*; do
        lock=$at/cwd/postmaster.pid
        [ -r "$lock" ] && [ "$(sed -n 4p "$lock")" = {port} ] || continue
        [ "$(readlink "$at/ns/net")" = "$(readlink /proc/self/ns/net)" ] || continue
        left={_START_SECONDS}
        until [ "$left" -le 0 ]; do
            case $(sed -n 8p "$lock") in ready* | standby*) break ;; esac
            left=$((left - 1)); sleep 1
        done
        socket=$(sed -n 5p "$lock") where=$(sed -n 2p "$lock")
        return 0
    done
    return 1
}}
"""


def _silent(data_folders: tuple[str, ...]) -> str:
    """Defines `silent`, which says so and ends; and `left_by_others`, which prints the folder of a
    cluster that does not run and has databases, or a certificate, that we have not made.

    The databases that initdb makes have numbers below 16384.  Where our block is, one is K3s's.
    """
    return f"""\
silent() {{
    {field_line("silent", 'echo "$1"')}
    {field_line("where", 'printf %s "$where"')}
    exit 0
}}
left_by_others() {{
    for folder in {" ".join(data_folders)}; do
        [ -s "$folder/PG_VERSION" ] || continue
        conf=$folder
        [ -e "$conf/postgresql.conf" ] || conf=/etc/postgresql/${{folder#/var/lib/postgresql/}}
        many=0
        for base in "$folder"/base/[0-9]* "$folder"/pg_tblspc/*/PG_*/[0-9]*; do
            if [ -d "$base" ] && [ "${{base##*/}}" -ge 16384 ]; then many=$((many + 1)); fi
        done
        if grep -qx {quote(BEGIN)} "$conf/pg_hba.conf" 2>/dev/null; then many=$((many - 1)); fi
        if [ "$many" -gt 0 ]; then echo "$folder"; return; fi
        if [ -e "$conf/{DROP_IN}" ] && ! grep -q '^ssl_cert_file' "$conf/{DROP_IN}"
        then echo "$folder"; return; fi
    done
}}
"""


def _files(psql: Psql) -> str:
    """Defines `path_of`, the file that a setting names, or its default; `public_of`, which prints a
    file without private keys; and `unread`, why one cannot be had as PostgreSQL has it.

    Paths in the configuration begin at the data folder, where PostgreSQL runs.
    """
    query = (
        "select setting from pg_file_settings where name = :'name'"
        " and sourcefile not like '%/' || :'drop_in' order by seqno desc limit 1;"
    )
    lines = []
    for name in ("ssl_cert_file", "ssl_ca_file"):
        ask = psql.run(query, name=name, drop_in=DROP_IN)
        lines.append(f"{name}) path=$({ask}) ;;")
    cases = "\n        ".join(lines)
    key = "^[[:space:]]*-----{} .*PRIVATE KEY-----"
    keys = quote(f"/{key.format('BEGIN')}/,/{key.format('END')}/d")
    return f"""\
{LOADS_CAS}
data=$({psql.run("show data_directory;")})
path_of() {{
    case $1 in
        {cases}
    esac
    path=${{path:-$2}}
    case $path in '' | /*) ;; *) path=$data/$path ;; esac
    printf %s "$path"
}}
public_of() {{
    [ -f "$1" ] || return 0
    # Not every sed keeps each byte: so it gets only what has a key.
    if grep -q 'PRIVATE KEY-----' "$1"
    then head -c {_MOST_BYTES} "$1" | sed {keys}
    else head -c {_MOST_BYTES} "$1"
    fi
}}
unread() {{
    [ -n "$1" ] || return 0
    size=$({{ wc -c <"$1"; }} 2>/dev/null) || {{ echo 'cannot be read'; return; }}
    if [ "$size" -gt {_MOST_BYTES} ]
    then echo "has $size bytes, and no more than {_MOST_BYTES} can be taken over"
    elif command -v openssl >/dev/null 2>&1 && ! loads_cas "$1"
    then echo 'is not accepted by OpenSSL'
    fi
}}"""


def parse(out: bytes) -> Standing | Silent | None:
    """What `look` said; None when no PostgreSQL runs, and none of others is there.

    Raises ValueError, KeyError or TypeError for what `look` cannot have said.
    """
    out_of = fields(out)
    said = {name: value.decode("utf-8", "replace") for name, value in out_of.items()}
    if "silent" in said:
        why = said["silent"].strip()
        if why not in get_args(Why):
            raise ValueError(why)
        return Silent(cast(Why, why), sanitize(said.get("where", "")))
    found = answer(said.get("answer", "").encode())
    if found is None:
        return None
    return Standing(
        data_directory=found["data_directory"],
        config_file=found["config_file"],
        hba_file=found["hba_file"],
        socket=said.get("socket", ""),
        listening=found["listening"],
        said=found["said"],
        certificate_pem=said.get("certificate", ""),
        ca_pem=out_of.get("ca", b"").decode("utf-8", "surrogateescape"),
        ca_unread=sanitize(said.get("ca_unread", "").strip()),
        databases=_names(found["databases"]),
        owns=_names(found["owns"]),
        owner=sanitize(found["owner"] or ""),
        uses=_names(found["uses"]),
        related=_names(found["related"]),
        powers=_names(found["powers"]),
        tenants=_names(answer(said.get("tenants", "").encode()) or ()),
        sessions=tuple(
            ForeignSession(sanitize(database), sanitize(role), client, count)
            for database, role, client, count in found["sessions"]
        ),
        ours=reserved(said.get("block", "")),
    )


def _names(found: Iterable[str]) -> tuple[str, ...]:
    """Names that others gave, harmless to show; those that K3s may have are as they were."""
    return tuple(map(sanitize, found))
