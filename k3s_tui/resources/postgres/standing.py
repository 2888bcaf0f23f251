"""A PostgreSQL that runs already: what it is without us, and who uses it at the moment.

Asked with the facts, before anything is planned.  What our own drop-in sets is left out, so that
the answer is the same before the first run and after every later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from k3s_tui.hosts.script import quote
from k3s_tui.resources.postgres.access import BEGIN, END, NOBODY, Reserved, reserved
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer, fields
from k3s_tui.resources.postgres.psql import field as field_line
from k3s_tui.resources.postgres.settings import DROP_IN

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

# `said` are settings that stand in a file or on the command line; `serving` what holds now.
_LOOK = """
select json_build_object(
    'data_directory', current_setting('data_directory'),
    'listening', current_setting('listen_addresses'),
    'said', (select coalesce(json_object_agg(name, setting order by seqno), '{}') from (
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
    'sessions', (select coalesce(json_agg(json_build_array(datname, usename, client, many)
            order by datname, usename, client), '[]') from (
        select coalesce(datname, 'replication') as datname, coalesce(usename, '') as usename,
            coalesce(host(client_addr), 'local') as client, count(*) as many
        from pg_stat_activity
        where backend_type in ('client backend', 'walsender') and pid <> pg_backend_pid()
            and (datname, usename) is distinct from (:'ours'::name, :'role'::name)
        group by 1, 2, 3) others));
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

    `databases` are all but ours; `owns` are those of them that belong to our role, and `owner` is
    whose our database is, '' without one.  `ours` are the names that an earlier run gave K3s.
    """

    data_directory: str
    listening: str = "localhost"
    said: Mapping[str, str] = field(default_factory=dict)
    certificate_pem: str = ""
    ca_pem: str = ""
    databases: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    owner: str = ""
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


def look(psql: Psql, database: str, role: str) -> str:
    """sh that asks; its output is for `parse`.  It fails when a server runs and does not answer."""
    ask = psql.run(_LOOK, names=",".join(NAMES), drop_in=DROP_IN, ours=database, role=role)
    return f"""{AS_POSTGRES}
command -v pg_isready >/dev/null 2>&1 && {psql.ready()} || exit 0
answer=$({ask}) || exit 1
rules=$({psql.run("show hba_file;")})
{_files(psql)}
{field_line("answer", 'printf %s "$answer"')}
{field_line("certificate", "file_of ssl_cert_file server.crt")}
{field_line("ca", "file_of ssl_ca_file ''")}
{field_line("block", f'sed -n {quote(f"/^{BEGIN}$/,/^{END}$/p")} "$rules"')}
"""


def _files(psql: Psql) -> str:
    """Defines `file_of`, which prints the file that a setting names, or its default.

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
    return f"""\
data=$({psql.run("show data_directory;")})
file_of() {{
    case $1 in
        {cases}
    esac
    path=${{path:-$2}}
    case $path in '') return ;; /*) ;; *) path=$data/$path ;; esac
    head -c 1000000 "$path" 2>/dev/null
}}"""


def parse(out: bytes) -> Standing | None:
    """What `look` said; None when no PostgreSQL runs.

    Raises ValueError, KeyError or TypeError for what `look` cannot have said.
    """
    said = fields(out)
    found = answer(said.get("answer", b""))
    if found is None:
        return None
    return Standing(
        data_directory=found["data_directory"],
        listening=found["listening"],
        said=found["said"],
        certificate_pem=said.get("certificate", b"").decode("ascii", "replace"),
        ca_pem=said.get("ca", b"").decode("ascii", "replace"),
        databases=tuple(found["databases"]),
        owns=tuple(found["owns"]),
        owner=found["owner"] or "",
        sessions=tuple(ForeignSession(*session) for session in found["sessions"]),
        ours=reserved(said.get("block", b"").decode("utf-8", "replace")),
    )
