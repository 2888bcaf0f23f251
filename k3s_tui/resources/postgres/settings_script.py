"""The sh side of `settings`: check the files, put them live, prove it, and restore on a refusal."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass

from k3s_tui.core.address import endpoint
from k3s_tui.hosts.script import COPY, PLACE, SPARE, literal, quote
from k3s_tui.resources.postgres import foreign
from k3s_tui.resources.postgres.log import server_log_tail
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql


@dataclass(frozen=True)
class Tls:
    """Paths on the database's host: the server's chain, its key, the CA that signs clients.

    `crl` is a revocation list, '' for none.
    """

    certificate: str
    key: str
    ca: str
    crl: str = ""

    def files(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.certificate, self.key, self.ca, self.crl)))


LOADS_CAS = """\
loads_cas() { # file: whether OpenSSL takes it whole, as PostgreSQL has to
    # That nothing on standard input can be verified is another status.
    openssl verify -CAfile "$1" </dev/null >/dev/null 2>&1
    [ "$?" != 1 ]
}"""

_ALONE = "others() { :; }\nnobody_else() { :; }"
"""Where it does not matter."""

_REFUSED = """
select coalesce(f.sourcefile, '') || ':' || coalesce(f.sourceline, 0) || ': ' || f.error
from pg_file_settings f left join pg_settings s using (name)
where f.error is not null and s.context is distinct from 'postmaster';
"""


def digest(tls: Tls, drop_in: str, inputs: str) -> str:
    """Defines `files_digest`, which prints one digest of all that the server loads for us."""
    files = " ".join(map(quote, (*tls.files(), drop_in)))
    return (
        f"files_digest() {{ {{ printf '%s\\n' {quote(inputs)}; cat {files} 2>/dev/null; }}"
        " | sha256sum | cut -d ' ' -f 1; }\n"
    )


def is_loaded(stamp: str) -> str:
    """Prints yes when the stamp names the files as they are.  Needs `digest`."""
    return f'[ "$(files_digest)" = "$(cat {quote(stamp)} 2>/dev/null)" ] && echo yes'


def put_live(
    *,
    psql: Psql,
    tls: Tls,
    config_file: str,
    data_directory: str,
    unit: str,
    drop_in: str,
    text: str,
    address: str,
    include: str,
    restart: str,
    guard: tuple[str, str] | None,
    inputs: str,
    stamp: str,
) -> str:
    """One script from checking to the stamp.  Cut off anywhere, the next run does it again.

    `include` is what postgresql.conf must still be told to include, `restart` the command that
    restarts the server; both '' when not needed.  `address` is one that it listens on then.
    `guard` are K3s's database and role, when nobody else may be connected at a restart; who is
    may have come long after the plan was made.
    """
    folder = posixpath.dirname(drop_in)
    drop, before = quote(drop_in), quote(f"{drop_in}.before")
    put_back = f"if [ -s {before} ]; then mv -f {before} {drop}; else rm -f {drop} {before}; fi"
    alone = foreign.nobody_else(psql, *guard) if restart and guard else _ALONE
    activate = f"{{ {restart}; }} && {psql.await_ready()}" if restart else psql.reload()
    return f"""{AS_POSTGRES}{digest(tls, drop_in, inputs)}
fail() {{ echo "$1" >&2; exit 1; }}
activate() {{
{activate}
}}
restore() {{ as_owner {drop} {quote(put_back)}; }}
undo() {{ # who has come since the restart stays, and so does the address until the next one
restore
if [ -n "$(others)" ]; then {psql.reload()}; else activate; fi
}}
{alone}
{check_pair(tls, psql)}
{_check_ca(tls)}
nobody_else :
[ -d {quote(folder)} ] || as_owner {quote(folder)} {quote(_make_folder(folder))} || exit 1
{literal(text.encode())} | as_owner {drop} {quote(_write(drop_in, text))} || exit 1
{_include(config_file, include) if include else ""}
refused=$({psql.run(_REFUSED)}) || refused='the new settings could not be checked'
if [ -n "$refused" ]; then restore; fail "$refused"; fi
loading=$(files_digest)
nobody_else restore
if ! activate; then
    {server_log_tail(data_directory, unit)} >&2
    restore
    activate
    fail 'PostgreSQL did not take the new settings; the former ones are back'
fi
{_check_served(tls, address, psql.port)} || {{
    {server_log_tail(data_directory, unit)} >&2
    undo
    fail {quote(f"PostgreSQL does not show the certificate {tls.certificate}")}
}}
as_owner {drop} {quote(f"rm -f {before}")}
mkdir -p {quote(posixpath.dirname(stamp))} && printf '%s\\n' "$loading" >{quote(stamp + ".new")} &&
    mv -f {quote(stamp + ".new")} {quote(stamp)}
"""


def _make_folder(folder: str) -> str:
    path = quote(folder)
    return (
        f"mkdir {path} && chmod 0755 {path} && "
        f'{{ [ "$(id -u)" != 0 ] || chown postgres:postgres {path}; }}'
    )


def _write(drop_in: str, text: str) -> str:
    """Puts standard input there; the file that the server accepted last is kept beside it.

    An empty one stands for: there was no such file.  One left by a run that was cut off stays.
    """
    return f"""{PLACE}{COPY}
drop={quote(drop_in)}
if [ ! -e "$drop.before" ]; then
    if [ -e "$drop" ]; then copy "$drop" "$drop.before"; else : >"$drop.before"; fi || exit 1
fi
place "$drop" 0644 postgres:postgres {hashlib.sha256(text.encode()).hexdigest()}
"""


def check_pair(tls: Tls, psql: Psql) -> str:
    """A reload keeps the old files without a word when the new ones are unfit, and the next
    restart then fails: so they are looked at first.  Needs `AS_POSTGRES`, and `fail`.

    An encrypted key is theirs, and their passphrase stays with the command that says it.  Without
    leave to ask it at a reload, PostgreSQL would keep all of its old TLS files, our CA's too.
    """
    certificate, key = quote(tls.certificate), quote(tls.key)
    pair = quote(f"{tls.certificate} and {tls.key} do not belong together")
    mode = quote(f"{tls.key} must be 0600 of postgres, or 0640 of root")
    locked = quote(
        f"{tls.key} is encrypted, and PostgreSQL loads no TLS files anew at a reload without"
        " ssl_passphrase_command_supports_reload = on"
    )
    ask = psql.run("show ssl_passphrase_command_supports_reload;")
    return f"""{_readable(tls.certificate)}
{_readable(tls.key)}
if grep -q ENCRYPTED {key}; then
    [ "$({ask})" = on ] || fail {locked}
else
    public=$(openssl x509 -in {certificate} -noout -pubkey) && [ -n "$public" ] &&
        [ "$public" = "$(openssl pkey -in {key} -passin pass: -pubout)" ] || fail {pair}
fi
case $(stat -L -c '%U %a' {key}) in
    "postgres "[0-7]00 | "root "[0-7][04]0) ;;
    *) fail {mode} ;;
esac"""


def _check_ca(tls: Tls) -> str:
    readable = "\n".join(map(_readable, filter(None, (tls.ca, tls.crl))))
    ca = quote(tls.ca)
    empty = quote(f"{tls.ca} holds no certificate")
    broken = quote(f"{tls.ca} is not accepted by OpenSSL: one of its certificates is broken")
    return (
        f"{readable}\nopenssl x509 -in {ca} -noout || fail {empty}\n"
        f"{LOADS_CAS}\nloads_cas {ca} || fail {broken}"
    )


def _readable(path: str) -> str:
    test = quote(f"test -r {quote(path)}")
    return f"as_postgres {test} || fail {quote(f'{path} cannot be read by the user postgres')}"


def _check_served(tls: Tls, address: str, port: int) -> str:
    """Whether the server shows the certificate that is in the file."""
    fingerprint = "openssl x509 -noout -fingerprint -sha256"
    return (
        f'[ "$(timeout 10 openssl s_client -starttls postgres'
        f" -connect {quote(endpoint(address, port))}"
        f' </dev/null 2>/dev/null | {fingerprint})" = '
        f'"$({fingerprint} -in {quote(tls.certificate)})" ]'
    )


def _include(config_file: str, include: str) -> str:
    """One line at the end of postgresql.conf, whose first original is kept.

    It names our file alone: a whole folder might hold what nobody meant to switch on.
    """
    line = f"include_if_exists = '{include}'"
    add = f"""{SPARE}{COPY}
conf=$(readlink -f {quote(config_file)}) || exit 1
[ -e "$conf.k3s-tui.orig" ] || copy "$conf" "$conf.k3s-tui.orig" || exit 1
conf_new=$(spare "${{conf%/*}}") && cp -p "$conf" "$conf_new" &&
    printf '\\n# BEGIN k3s-tui\\n%s\\n# END k3s-tui\\n' {quote(line)} >>"$conf_new" &&
    {{ sync "$conf_new" 2>/dev/null || sync; }} && mv -f "$conf_new" "$conf"
"""
    return f"as_owner {quote(config_file)} {quote(add)} || exit 1"
