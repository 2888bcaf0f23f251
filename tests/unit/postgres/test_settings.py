from __future__ import annotations

import os
import shutil
import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.resources.postgres.served_key import ServedKey
from k3s_tui.resources.postgres.settings import Settings
from k3s_tui.resources.postgres.settings_script import Tls
from k3s_tui.resources.unmendable import Unmendable
from tests.unit.hands import LocalHands
from tests.unit.postgres import certificates
from tests.unit.postgres.server import Server


def wanted(server: Server, tls: Tls, *addresses: str) -> Settings:
    return Settings(
        psql=server.psql,
        config_file=str(server.config_file),
        data_directory=str(server.data),
        tls=tls,
        addresses=addresses or ("127.0.0.1",),
        restart=server.restart,
        stamp=str(server.folder / "loaded" / "postgres"),
    )


def fresh_tls(server: Server) -> Tls:
    ca = certificates.authority()
    return certificates.install(server.folder, ca, certificates.server_pair(ca))


def served(server: Server) -> str:
    """The certificate that the server shows, PEM."""
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert plain.recv(1) == b"S"
        with anything.wrap_socket(plain) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")


async def test_tls_comes_with_a_reload(every_shell: LocalHands, server: Server) -> None:
    started = server.started()
    settings = wanted(server, fresh_tls(server))
    change = await every_shell.settle(settings)
    assert change.summary.endswith("reload PostgreSQL")
    assert "+ssl = 'on'" in change.diff
    assert server.started() == started
    assert served(server) == Path(settings.tls.certificate).read_text()
    assert server.sql("show password_encryption") == "scram-sha-256"

    original = Path(f"{server.config_file}.k3s-tui.orig").read_text()
    ours = server.config_file.read_text().removeprefix(original)
    include = "include_if_exists = 'conf.d/90-k3s-tui.conf'"
    assert ours == f"\n# BEGIN k3s-tui\n{include}\n# END k3s-tui\n"
    assert Path(settings.drop_in).owner() == server.config_file.owner() == "postgres"
    assert sorted(path.name for path in Path(settings.drop_in).parent.iterdir()) == [
        "90-k3s-tui.conf"
    ]


async def test_an_address_comes_with_a_restart_and_nothing_is_taken_away(
    every_shell: LocalHands, server: Server
) -> None:
    started = server.started()
    settings = wanted(server, fresh_tls(server), "127.0.0.7")
    change = await every_shell.settle(settings)
    assert change.summary.endswith("restart PostgreSQL")
    assert server.started() != started
    assert server.sql("show listen_addresses") == "localhost, 127.0.0.7"

    started = server.started()
    await every_shell.settle(replace(settings, addresses=("127.0.0.8",)))
    assert server.sql("show listen_addresses") == "localhost, 127.0.0.7, 127.0.0.8"
    # The next one has nothing to do, and does nothing.
    assert settings.diff(await every_shell.look(settings)) is None


async def test_a_folder_that_is_included_already_is_used(hands: LocalHands, server: Server) -> None:
    folder = server.data / "conf.d"
    folder.mkdir()
    before = server.config_file.read_text() + "include_dir = 'conf.d'\t# Debian's\n"
    server.config_file.write_text(before)
    settings = wanted(server, fresh_tls(server))
    # Root's own, and below a folder in which the database's user could put another in its place.
    with pytest.raises(StepFailed, match=f"may not write to {folder}, .* chown postgres"):
        await hands.settle(settings)
    shutil.chown(folder, "postgres")
    await hands.settle(settings)
    assert server.config_file.read_text() == before


async def test_a_line_below_the_folder_does_not_win(hands: LocalHands, server: Server) -> None:
    """Debian's file includes the folder, and ends with the place for lines of one's own."""
    (server.data / "conf.d").mkdir()
    shutil.chown(server.data / "conf.d", "postgres")
    with server.config_file.open("a") as conf:
        conf.write("include_dir = 'conf.d'\nssl_ca_file = '/elsewhere.crt'\n")
    await hands.settle(wanted(server, fresh_tls(server)))
    assert server.config_file.read_text().endswith("# END k3s-tui\n")


async def test_without_localhost_nothing_is_restarted(hands: LocalHands, server: Server) -> None:
    with server.config_file.open("a") as conf:
        conf.write("listen_addresses = '127.0.0.7'\n")
    await hands.sh(server.restart)
    started = server.started()
    change = await hands.settle(wanted(server, fresh_tls(server), "127.0.0.7"))
    assert change.summary.endswith("reload PostgreSQL")
    assert server.started() == started
    assert server.sql("show listen_addresses") == "127.0.0.7"


@pytest.mark.parametrize("asked_at_a_reload", [True, False])
async def test_an_encrypted_key(
    every_shell: LocalHands, server: Server, asked_at_a_reload: bool
) -> None:
    """Legal with a command that says its passphrase, which is asked again at a reload, or not."""
    settings = wanted(server, tls := fresh_tls(server))
    key, locked = Path(tls.key), Path(f"{tls.key}.locked")
    await every_shell.sh(
        f"openssl pkcs8 -topk8 -in {key} -passout pass:theirs -out {locked}"
        f" && chown postgres {locked} && mv {locked} {key}"
    )
    with server.config_file.open("a") as conf:
        conf.write("ssl_passphrase_command = 'echo theirs'\n")
        conf.write(f"ssl_passphrase_command_supports_reload = {asked_at_a_reload}\n")
    server.sql("select pg_reload_conf()")
    check = ServedKey(server.psql, tls)
    problem = check.diff(await every_shell.look(check))
    if asked_at_a_reload:
        assert problem is None
        await every_shell.settle(settings)
        assert served(server) == Path(tls.certificate).read_text()
    else:
        assert isinstance(problem, Problem)
        assert "ssl_passphrase_command_supports_reload" in problem.text
        await refuses(every_shell, settings, "is encrypted")


async def test_a_key_that_the_next_restart_would_fail_on_is_seen_beforehand(
    every_shell: LocalHands, server: Server
) -> None:
    tls = fresh_tls(server)
    check = ServedKey(server.psql, tls)
    Path(tls.ca).unlink()  # made by the run
    assert check.diff(await every_shell.look(check)) is None
    Path(tls.key).chmod(0o640)
    problem = check.diff(await every_shell.look(check))
    assert isinstance(problem, Problem) and "must be 0600 of postgres" in problem.text


async def test_what_it_could_not_mend_is_seen_beforehand(hands: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server))
    check = Unmendable(settings)
    assert check.diff(await hands.look(check)) is None  # a change is not a problem
    server.sql("alter system set ssl_cert_file = '/elsewhere.crt'")
    problem = check.diff(await hands.look(check))
    assert isinstance(problem, Problem) and "ALTER SYSTEM" in problem.text


async def test_a_renewed_certificate_is_loaded(hands: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server))
    await hands.settle(settings)
    started, old = server.started(), served(server)
    fresh_tls(server)
    change = await hands.settle(settings)
    assert change.summary == "load the TLS files, reload PostgreSQL"
    assert served(server) != old
    assert server.started() == started


async def test_a_change_of_inputs_is_loaded(hands: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server))
    await hands.settle(settings)
    await hands.settle(replace(settings, inputs="another digest"))


async def test_what_was_placed_but_not_loaded_is_loaded_by_the_next_run(
    hands: LocalHands, server: Server
) -> None:
    settings = wanted(server, fresh_tls(server), "127.0.0.9")
    await hands.settle(settings)
    # As a run leaves it that was cut off after placing: the file is there, the rest is not.
    text = Path(settings.drop_in).read_text()
    Path(settings.drop_in).write_text("")
    server.sql("select pg_reload_conf()")
    await hands.sh(server.restart)
    Path(settings.drop_in).write_text(text)
    Path(f"{settings.drop_in}.before").write_text("")
    change = await hands.settle(settings)
    assert change.summary.endswith("restart PostgreSQL")
    assert not Path(f"{settings.drop_in}.before").exists()


@pytest.mark.parametrize("suffix", ["", ".before"])
async def test_root_follows_no_link_of_postgres(
    hands: LocalHands, server: Server, tmp_path: Path, suffix: str
) -> None:
    """Whoever took the database's user over has its folder, and would like to have the host."""
    settings = wanted(server, fresh_tls(server))
    target = tmp_path / "root's alone"
    folder = Path(settings.drop_in).parent
    folder.mkdir()
    os.chown(folder, *_owner(server.config_file.parent))
    Path(settings.drop_in + suffix).symlink_to(target)
    with suppress(StepFailed):
        await hands.settle(settings)
    assert not target.exists()


def _owner(path: Path) -> tuple[int, int]:
    info = path.stat()
    return info.st_uid, info.st_gid


async def test_drift_is_mended(hands: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server))
    await hands.settle(settings)
    with Path(settings.drop_in).open("a") as drop_in:
        drop_in.write("ssl = off\n")
    server.sql("select pg_reload_conf()")
    change = await hands.settle(settings)
    assert "-ssl = off" in change.diff


async def test_a_deleted_file_is_put_back(hands: LocalHands, server: Server) -> None:
    """PostgreSQL calls what vanished, and takes a restart, an error: of no file and no line."""
    settings = wanted(server, fresh_tls(server), "127.0.0.7")
    await hands.settle(settings)
    text = Path(settings.drop_in).read_text()
    Path(settings.drop_in).unlink()
    change = await hands.settle(settings)
    assert change.summary.startswith(f"write {settings.drop_in}")
    assert Path(settings.drop_in).read_text() == text


async def test_a_stricter_protocol_is_left(hands: LocalHands, server: Server) -> None:
    with server.config_file.open("a") as conf:
        conf.write("ssl_min_protocol_version = 'TLSv1.3'\n")
    server.sql("select pg_reload_conf()")
    await hands.look(settings := wanted(server, fresh_tls(server)))
    await hands.settle(settings)
    assert server.sql("show ssl_min_protocol_version") == "TLSv1.3"


async def refuses(hands: LocalHands, settings: Settings, words: str) -> None:
    change = settings.diff(await hands.look(settings))
    assert isinstance(change, Change), change
    with pytest.raises(StepFailed) as failed:
        await settings.apply(hands, change)
    assert words in failed.value.tail


async def test_a_key_of_another_certificate_never_goes_live(
    every_shell: LocalHands, server: Server
) -> None:
    settings = wanted(server, fresh_tls(server))
    await every_shell.settle(settings)
    old = served(server)
    key = Path(settings.tls.key)
    key.write_text(certificates.server_pair(certificates.authority()).key.reveal())
    await refuses(every_shell, settings, "do not belong together")
    assert served(server) == old


@pytest.mark.parametrize(
    ("file", "mode", "words"),
    [
        ("server.key", 0o640, "must be 0600 of postgres"),
        ("ca.crt", 0o600, "cannot be read by the user postgres"),
    ],
)
async def test_modes_that_the_next_restart_would_fail_on_are_refused(
    every_shell: LocalHands, server: Server, file: str, mode: int, words: str
) -> None:
    settings = wanted(server, fresh_tls(server))
    (server.folder / "tls" / file).chmod(mode)
    await refuses(every_shell, settings, words)
    assert server.sql("show ssl") == "off"
    assert not Path(settings.drop_in).exists()


async def test_a_setting_that_postgresql_refuses_is_taken_back(
    hands: LocalHands, server: Server
) -> None:
    tls = fresh_tls(server)
    settings = wanted(server, tls)
    await hands.settle(settings)
    before = Path(settings.drop_in).read_text()
    bad = replace(settings, tls=replace(tls, crl=str(server.folder / "tls" / "crl")))
    # No PEM in it: `pg_file_settings` accepts the name, the load of the files does not.
    Path(bad.tls.crl).write_text("nothing\n")
    Path(bad.tls.crl).chmod(0o644)
    renewed = certificates.authority()
    certificates.install(server.folder, renewed, certificates.server_pair(renewed))
    await refuses(hands, bad, "does not show the certificate")
    assert Path(settings.drop_in).read_text() == before


async def test_a_restart_that_fails_is_taken_back(every_shell: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server), "127.0.0.9")
    every_shell.tool("sleep", ":")
    broken = replace(settings, restart="echo 'not today' >&2; false")
    await refuses(every_shell, broken, "the former ones are back")
    assert not Path(settings.drop_in).exists()
    await every_shell.settle(settings)


@pytest.mark.parametrize(
    "broken", ["-----BEGIN CERTIFICATE-----\nno\n", "-----BEGIN X509 CRL-----"]
)
async def test_client_cas_that_a_reload_would_not_take_never_go_live(
    every_shell: LocalHands, server: Server, broken: str
) -> None:
    """PostgreSQL keeps its old ones then, without a word, and does not start the next time."""
    settings = wanted(server, fresh_tls(server))
    with Path(settings.tls.ca).open("a") as ca:
        ca.write(broken)
    await refuses(every_shell, settings, "is not accepted by OpenSSL")
    assert not Path(settings.drop_in).exists()


async def test_a_restart_ends_no_session_of_others_that_came_meanwhile(
    every_shell: LocalHands, server: Server
) -> None:
    server.sql("create role shop login superuser password 'secret'")
    settings = wanted(server, fresh_tls(server), "127.0.0.7")
    where = f"host=127.0.0.1 port={server.port} user=shop password=secret dbname=postgres"
    started = server.started()
    with psycopg.connect(where, autocommit=True) as one, psycopg.connect(where):
        change = settings.diff(await every_shell.look(settings))
        assert isinstance(change, Change)
        with pytest.raises(StepFailed) as failed:
            await settings.apply(every_shell, change)
        named = "that ends 2 sessions of shop from 127.0.0.1 in database postgres"
        assert named in str(failed.value) and "--allow-restart" in failed.value.hint
        assert one.execute("select 1").fetchone() == (1,)
        assert server.started() == started
        assert not Path(settings.drop_in).exists()
        assert not Path(f"{server.config_file}.k3s-tui.orig").exists()
        # Neither ours nor what was allowed to end stops it.
        await every_shell.settle(replace(settings, allow_restart=True))
        assert server.started() != started


async def test_a_session_of_others_at_the_last_moment_stops_a_restart(
    every_shell: LocalHands, server: Server, tmp_path: Path
) -> None:
    """It begins when the new settings stand there already: they are taken back."""
    server.sql("create role shop login superuser password 'secret'")
    settings = wanted(server, fresh_tls(server), "127.0.0.7")
    started = server.started()
    came = tmp_path / "came"
    then = f"[ ! -e {settings.drop_in} ] || {_shop_comes(server, came)}"
    every_shell.tool("sha256sum", f'{then}\nexec {shutil.which("sha256sum")} "$@"')
    await refuses(every_shell, settings, "1 session of shop from 127.0.0.1 in database postgres")
    assert came.exists() and not Path(settings.drop_in).exists()
    assert server.started() == started
    assert _shop_goes(server) == "1"


async def test_what_has_to_be_taken_back_ends_no_session_of_others(
    every_shell: LocalHands, server: Server, tmp_path: Path
) -> None:
    """One begins right after the restart, and the certificate that is shown is another one."""
    server.sql("create role shop login superuser password 'secret'")
    settings = wanted(server, fresh_tls(server), "127.0.0.7")
    came, openssl = tmp_path / "came", shutil.which("openssl")
    shows_nothing = f'if [ "$1" = s_client ]; then {_shop_comes(server, came)}; exit 1; fi'
    every_shell.tool("openssl", f'{shows_nothing}\nexec {openssl} "$@"')
    await refuses(every_shell, settings, "does not show the certificate")
    assert came.exists() and not Path(settings.drop_in).exists()
    assert server.sql("show ssl") == "off"
    assert _shop_goes(server) == "1"


def _shop_comes(server: Server, came: Path) -> str:
    """sh that begins a session, once, and waits until it is there."""
    where = f"host=127.0.0.1 port={server.port} user=shop password=secret dbname=postgres"
    words = f'-c "\\! : >{came}" -c "select pg_sleep(600)"'
    return (
        f'{{ [ -e {came} ] || {{ psql -X "{where}" {words} >/dev/null 2>&1 & }}\n'
        f"until [ -e {came} ]; do sleep 0.1; done; }}"
    )


def _shop_goes(server: Server) -> str:
    """How many sessions it still had."""
    ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'shop'"
    return server.sql(ended)


async def test_sessions_of_k3s_stop_no_restart(hands: LocalHands, server: Server) -> None:
    server.sql("create role k3s login password 'secret'")
    server.sql("create database k3s owner k3s")
    settings = replace(wanted(server, fresh_tls(server), "127.0.0.7"), database="k3s", role="k3s")
    where = f"host=127.0.0.1 port={server.port} user=k3s password=secret dbname=k3s"
    with psycopg.connect(where), psycopg.connect(f"{where} application_name=k3s-tui"):
        await hands.settle(settings)
    assert server.sql("show listen_addresses") == "localhost, 127.0.0.7"


async def test_a_broken_file_is_told_before_anything(hands: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server))
    with server.config_file.open("a") as conf:
        conf.write("no_such_setting = 1\n")
    problem = settings.diff(await hands.look(settings))
    assert isinstance(problem, Problem)
    assert "no_such_setting" in problem.text
    assert str(server.config_file) in problem.text


async def test_alter_system_wins_and_is_told(hands: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server))
    server.sql("alter system set ssl_cert_file = '/elsewhere.crt'")
    problem = settings.diff(await hands.look(settings))
    assert isinstance(problem, Problem)
    assert "ALTER SYSTEM" in problem.text
    assert "alter system reset ssl_cert_file" in problem.hint
    server.sql("alter system reset ssl_cert_file")
    # One that says what we want, or more, is no obstacle.
    server.sql("alter system set listen_addresses = '*'")
    await hands.settle(settings)


async def test_a_later_file_wins_and_is_told(hands: LocalHands, server: Server) -> None:
    settings = wanted(server, fresh_tls(server))
    await hands.settle(settings)
    with server.config_file.open("a") as conf:
        conf.write("ssl_ca_file = '/elsewhere.crt'\n")
    problem = settings.diff(await hands.look(settings))
    assert isinstance(problem, Problem)
    assert "sets ssl_ca_file again" in problem.text
