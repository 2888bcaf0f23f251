"""Sessions that are not K3s's: whose a restart would end."""

from __future__ import annotations

from k3s_tui.hosts.script import quote
from k3s_tui.resources.postgres.psql import APPLICATION, Psql

SESSIONS = f"""
        select coalesce(datname, 'replication') as datname, coalesce(usename, '') as usename,
            coalesce(host(client_addr), 'local') as client, count(*) as many
        from pg_stat_activity
        where backend_type in ('client backend', 'walsender') and pid <> pg_backend_pid()
            and application_name is distinct from '{APPLICATION}'
            and (datname, usename) is distinct from (:'ours'::name, :'role'::name)
        group by 1, 2, 3"""
"""A query: one row for each kind.  `ours` and `role` are K3s's database and role.

Other steps of ours may be looking at the same server: their psql says whose it is.
"""

# In the words of `standing.ForeignSession`.
_NAMED = f"""
select string_agg(format('%s of %s from %s in database %s', case many when 1 then '1 session'
    else many || ' sessions' end, usename, client, datname), '; ' order by datname, usename, client)
from ({SESSIONS}) others;
"""

CONNECTED = 9
"""Status of a script that `nobody_else` ended."""


def nobody_else(psql: Psql, database: str, role: str) -> str:
    """Defines `others`, which names such sessions; and `nobody_else`, which ends the script when
    there are any, its argument having been run.  Needs `AS_POSTGRES` earlier in the script.
    """
    ask = psql.run(_NAMED, ours=database, role=role)
    text = quote("PostgreSQL was not restarted, since that ends ")
    return f"""others() {{ {ask} || echo 'nobody knows whose sessions'; }}
nobody_else() {{
    found=$(others | tr '\\n' ' ')
    [ -n "${{found% }}" ] || return 0
    "$1"
    printf '%s%s\\n' {text} "${{found% }}" >&2
    exit {CONNECTED}
}}"""
