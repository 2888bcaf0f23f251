"""The certificates' step: what will be issued, what is there, and whether it was looked at."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from textual.widgets import Input, OptionList

from k3s_tui.core.contract import Change
from k3s_tui.engine.plan import Item, Plan
from k3s_tui.pki import inspect
from k3s_tui.pki.adopt import Kept
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client
from k3s_tui.procedure.adoption import Adoption
from k3s_tui.procedure.cluster import build
from k3s_tui.procedure.leaves import TLS
from k3s_tui.resources.certificate import CertificateState, HostCertificate
from k3s_tui.resources.file import File
from k3s_tui.resources.postgres.standing import Standing
from k3s_tui.tui import glyphs, language
from k3s_tui.tui.backend import Engine
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.export import ExportDialog
from k3s_tui.tui.screens.certificates import CertificatesScreen
from k3s_tui.tui.widgets.certificate_detail import CertificateDetail
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.tick import Tick
from tests.tui.fields import HOSTILE, SIZES, choose, field, fill, go, wrong
from tests.tui.operator import Operator, how_to, operator
from tests.unit.procedure.sites import AUTHORITY, site
from tests.unit.procedure.test_certificates import NOW, issue, steps
from tests.unit.procedure.test_own_pki import encrypted


def clock() -> float:
    return NOW.timestamp()


def detail(user: Operator) -> str:
    """All that is shown of the chosen certificate, below the edge, too."""
    rows = user.wizard.screen.query_one(CertificateDetail).rows
    return "\n".join(
        f"{row.label}: {glyphs.glyph(row.state) if row.state else ''} {row.text}" for row in rows
    )


def places(user: Operator) -> list[tuple[str | int, ...]]:
    return [one.place for one in user.wizard.screen.query(Field)]


def listed(user: Operator) -> list[str]:
    options = user.wizard.screen.query_one(OptionList).options
    return [str(option.prompt) for option in options]


def seen(**states: CertificateState) -> Plan:
    """A look at the how-to's hosts: these are there, by host, and the rest is not."""
    plan = Plan()
    for step in build(site()):
        if isinstance(step.ensure, File) and step.ensure.path == TLS.ca:
            plan.items[step] = Item(step, "ok")
    for host, step in steps().items():
        now = states.get(host.replace("-", "_")) or CertificateState("", "", "", ())
        wanted = step.ensure
        assert isinstance(wanted, HostCertificate)
        change = wanted.diff(now)
        if isinstance(change, Change):
            plan.items[step] = Item(step, "change", change.summary, state=change.after)
        else:
            plan.items[step] = Item(step, "ok", state=now)
    return plan


OURS = Authority.create("k3s-tui how-to datastore CA", 3650, NOW)
THEIR_CA = Authority.create("the wiki's CA", 3650, NOW)
THEIR_CLIENTS = Authority.create("the wiki's clients", 3650, NOW)


def beside_others() -> Plan:
    """A look at the how-to's hosts where PostgreSQL runs for others, whose certificate stays."""
    there = Standing("/var/lib/postgresql/15/main", ca_pem=THEIR_CLIENTS.certificate_pem)
    adopted = Adoption(there, Kept(THEIR_CA.certificate_pem))
    where = replace(site(), authority=OURS, adoption=adopted)
    placed = (s for s in build(where) if isinstance(s.ensure, File | HostCertificate))
    return Plan({step: Item(step, "change", "issue it") for step in placed})


def issued(host: str, days_ago: int) -> CertificateState:
    wanted = steps()[host].ensure
    assert isinstance(wanted, HostCertificate)
    return issue(wanted, NOW - timedelta(days=days_ago))


@pytest.mark.parametrize("size", SIZES)
async def test_each_is_shown_as_it_will_be_issued(folder: Path, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size, clock=clock) as user:
        await go(user, "certificates")
        assert listed(user) == [
            "· certificate authority",
            "· postgres: PostgreSQL",
            "· k3s-server-1: client",
            "· k3s-server-2: client",
        ]
        await user.sees("Certificate authority of this cluster's datastore")
        assert "you 0600  (its key, encrypted)" in detail(user)
        assert "k3s-server-2: /etc/k3s-tui/datastore/ca.crt  root:root 0644" in detail(user)
        await user.press("down")
        await user.sees("PostgreSQL's own certificate")
        for text in (
            "Subject:  CN=postgres.rancher.rke2",
            "✓ matches the datastore's host name postgres.rancher.rke2",
            "Names:  DNS:postgres.rancher.rke2, IP:10.161.129.212",
            "Issuer:  CN=k3s-tui how-to datastore CA",
            "Key:  ECDSA P-256; made on postgres, and never leaves it",
            "Use:  server authentication, digital signature",
            "Valid:  2030-01-15 11:00 … 2032-01-15 12:00 UTC",
            "░░░░░░░░░░░░░░░░░░░░ 730 days from its issue",
            "Renewed:  by a run from 2031-05-17 on, 243 days before its end",
            "Serial:  known after issue",
            "SHA-256:  known after issue",
            "postgres: /etc/k3s-tui/postgresql/current/tls.key  postgres:postgres 0600  (its key)",
            "Replaces:  known once somebody has looked",
        ):
            assert text in detail(user), detail(user)
        await user.press("down")
        assert "✓ matches the database user k3s" in detail(user)
        assert "Subject:  CN=k3s,OU=k3s-server-1" in detail(user)


async def test_what_is_there_is_shown_with_its_life(folder: Path) -> None:
    kept, old = issued("k3s-server-1", 73), issued("k3s-server-2", 700)
    async with operator(folder, how_to(folder), clock=clock) as user:
        user.wizard.plan = seen(k3s_server_1=kept, k3s_server_2=old)
        await go(user, "certificates")
        ca = inspect.view(AUTHORITY.certificate_pem)
        assert "✓ is there, and stays" in detail(user)
        assert f"Serial:  {ca.serial}" in detail(user)
        await user.press("down")
        assert "will be issued" in detail(user) and "Replaces:  nothing" in detail(user)
        await user.press("down")
        there = inspect.view(kept.certificate_pem)
        assert "✓ is there, and stays" in detail(user)
        assert f"Serial:  {there.serial}" in detail(user)
        assert there.fingerprint.replace(":", "") in re.sub("[: ]", "", detail(user))
        assert "██░░░░░░░░░░░░░░░░░░ 657 days left" in detail(user)
        await user.press("y")
        assert user.wizard.clipboard == there.fingerprint
        await user.press("down")
        assert "will be issued anew" in detail(user)
        assert "it ends in 30 days" in detail(user)


@pytest.mark.parametrize("code", list(language.LANGUAGES))
async def test_a_database_of_others_keeps_its_certificate(folder: Path, code: str) -> None:
    """Its clients' CA is not ours, and what it shows is not to be issued."""
    language.use(code)
    path = how_to(folder)
    async with operator(folder, path, (120, 40), clock=clock) as user:
        await go(user, "certificates")
        user.wizard.screen.query_one(OptionList).highlighted = 1
        pending = {"en": "unless PostgreSQL has one that stays", "zh_CN": "除非 PostgreSQL 已有"}
        await user.until(lambda: pending[code] in detail(user), "nobody has looked")
        user.wizard.screen.query_one(Tick).value = True
        await user.until(lambda: user.wizard.draft.reviewed, "looked at")
        user.wizard.plan = beside_others()
        user.wizard.go("datastore")
        await user.at("datastore")
        await go(user, "certificates")
        assert inspect.view(OURS.certificate_pem).serial in detail(user)
        assert "wiki" not in detail(user)
        # Servers are given the CA of PostgreSQL's own certificate.
        assert "/etc/k3s-tui/postgresql/ca.crt" in detail(user)
        assert "/etc/k3s-tui/datastore/ca.crt" not in detail(user)
        await user.press("down")
        stays = {"en": "it stays as it is", "zh_CN": "保持不变"}
        await user.until(lambda: stays[code] in detail(user), "it stays")
        assert "CN=the wiki's CA" in detail(user)
        assert "/etc/k3s-tui/postgresql" not in detail(user) and "ECDSA" not in detail(user)
        await user.press("e", "y")
        copy = {"en": "It was there before", "zh_CN": "它先于此次安装"}
        said = [note.message for note in user.wizard._notifications]
        assert len(said) == 2 and all(one.startswith(copy[code]) for one in said)
        await user.press("down")
        issuer = {"en": "Issuer", "zh_CN": "颁发者"}
        assert f"{issuer[code]}:  CN=k3s-tui how-to datastore CA" in detail(user)
        # It is no other than what was looked at before: nothing is asked again.
        assert not [line for line in listed(user) if line.startswith("!")]
        assert user.wizard.screen.query_one(Tick).value


async def test_one_of_another_authority_that_has_ended(folder: Path) -> None:
    foreign = Authority.create("somebody [/ else", 10, NOW - timedelta(days=20)).certificate_pem
    step = steps()["k3s-server-1"]
    state = CertificateState(foreign, "", "v-1", ())
    async with operator(folder, how_to(folder), clock=clock) as user:
        user.wizard.plan = Plan({step: Item(step, "ok", state=state)})
        await go(user, "certificates")
        assert listed(user)[2] == "✗ k3s-server-1: client"
        await user.press("down", "down")
        assert "✗ somebody [/ else does not match the database user k3s" in detail(user)
        assert "✗ ████████████████████ ended 10 days ago" in detail(user)


@pytest.mark.parametrize("size", SIZES)
async def test_export_writes_the_public_part_and_asks_before_it_replaces(
    folder: Path, size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size, clock=clock) as user:
        user.wizard.plan = seen(k3s_server_1=issued("k3s-server-1", 10))
        await go(user, "certificates")
        await user.press("e")
        dialog = await user.on(ExportDialog)
        file = folder / "how-to-ca.crt"
        assert dialog.query_one(Input).value == str(file)
        await user.press("enter")
        await user.at("certificates")
        text = file.read_text()
        assert x509.load_pem_x509_certificate(text.encode()).serial_number
        assert text == AUTHORITY.certificate_pem and file.stat().st_mode & 0o777 == 0o644

        file.write_text("something else")
        await user.press("e")
        await user.on(ExportDialog)
        await user.press("enter")
        await user.on(ConfirmDialog)
        await user.press("enter")  # the safe answer has the focus
        await user.on(ExportDialog)
        assert file.read_text() == "something else"
        await user.press("enter")
        await user.on(ConfirmDialog)
        await user.press("tab", "enter")
        await user.at("certificates")
        assert file.read_text() == text


async def test_an_export_that_fails_says_why(folder: Path) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        user.wizard.plan = seen()
        await go(user, "certificates")
        await user.press("e")
        dialog = await user.on(ExportDialog)
        for typed, why in (
            ("no/such/[/folder.crt", "No such file"),
            ("", "a file needs a name"),
            ("a\x00b", "null byte"),
        ):
            dialog.query_one(Input).value = typed
            await user.press("enter")
            await user.sees(why)
        await user.press("escape")
        await user.at("certificates")
        assert list(folder.glob("*.crt")) == []


async def test_there_is_nothing_to_export_before_anybody_has_looked(folder: Path) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        await go(user, "certificates")
        for n in range(1, 4):
            await user.press("e")
            assert isinstance(user.wizard.screen, CertificatesScreen)
            said = [note.message for note in user.wizard._notifications]
            assert len(said) == n and said[-1].startswith("There is none yet")
            await user.press("down")


async def test_the_authority_of_a_store_is_exported_without_a_look_at_hosts(folder: Path) -> None:
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    async with operator(folder, how_to(folder), passphrase_file=passphrase) as user:
        assert isinstance(user.wizard.backend, Engine)
        await user.wizard.backend.prepare(user.wizard.draft)
        await go(user, "certificates")
        await user.press("e")
        await user.on(ExportDialog)
        await user.press("enter")
        await user.at("certificates")
        text = (folder / "how-to-ca.crt").read_text()
        assert inspect.view(text).common_name == "k3s-tui how-to datastore CA"
        assert "PRIVATE" not in text
        assert inspect.view(text).serial in detail(user)


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_looked_at_is_to_be_looked_at_again_when_it_changes(
    folder: Path, size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size, clock=clock) as user:
        await go(user, "certificates")
        # Tab by tab: the list, the details, the tick.
        await user.press("tab", "tab")
        assert isinstance(user.focused, Tick)
        await user.sees("[ ] I have looked at these certificates")
        await user.press("space")
        await user.sees("[x] I have looked at these certificates")
        assert all(line.startswith("✓") for line in listed(user))
        assert len(user.wizard.draft.reviewed) == 4

        await go(user, "datastore")
        assert "✓2" in user.text
        await fill(user, "kine", "datastore", "user")
        await user.press("ctrl+n")
        await user.at("servers")
        assert "!2" in user.text
        await go(user, "certificates")
        assert listed(user) == [
            "✓ certificate authority",
            "✓ postgres: PostgreSQL",
            "! k3s-server-1: client",
            "! k3s-server-2: client",
        ]
        await user.press("tab", "tab", "tab")
        screen = user.wizard.screen
        assert "k3s-server-1: client, k3s-server-2: client" in str(
            screen.query_one("#changed").render()
        )
        assert not screen.query_one(Tick).value
        await user.press("shift+tab", "space")
        assert not screen.query_one("#changed").display
        assert all(line.startswith("✓") for line in listed(user))
        await user.press("space")
        assert user.wizard.draft.reviewed == {}
        assert "✓2" in user.text or "[2" in user.text


async def test_a_new_host_and_one_that_is_gone_are_told(folder: Path) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        await go(user, "certificates")
        await user.press("tab", "tab", "space")
        draft = user.wizard.draft
        draft.put_host("k3s-server-2", "k3s-server-3", draft.hosts["k3s-server-2"])
        await go(user, "certificates")
        changed = str(user.wizard.screen.query_one("#changed").render())
        assert "k3s-server-3: client" in changed and "server-client/k3s-server-2" in changed
        assert "certificate authority" in changed  # it goes to other hosts now


async def test_other_lifetimes_change_what_is_shown_and_what_was_looked_at(folder: Path) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        await go(user, "certificates")
        await user.press("tab", "tab", "space")
        await fill(user, "365", "pki", "leaf-days")
        await fill(user, "30", "pki", "renew-days")
        screen = user.wizard.screen
        assert "postgres: PostgreSQL" in str(screen.query_one("#changed").render())
        screen.query_one(OptionList).focus()
        await user.press("down")
        assert "365 days from its issue" in detail(user)
        assert "30 days before its end" in detail(user)
        assert user.wizard.draft.get(("pki", "renew-days")) == 30
        await user.press("ctrl+n", "escape")
        await user.at("certificates")
        assert field(user, "pki", "leaf-days").typed == 365


async def test_more_names_of_the_datastore(folder: Path) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        await go(user, "certificates")
        await user.press("tab", "tab", "space")
        await fill(user, "db.example, fd00::7", "pki", "datastore-san")
        screen = user.wizard.screen
        assert "postgres: PostgreSQL" in str(screen.query_one("#changed").render())
        screen.query_one(OptionList).focus()
        await user.press("down")
        assert "db.example" in detail(user) and "fd00::7" in detail(user)
        assert user.wizard.draft.get(("pki", "datastore-san")) == ["db.example", "fd00::7"]
        await wrong(user, "certificates", ("pki", "datastore-san"), "1.2.3", "not a valid address")


async def test_each_problem_is_told_below_its_field(folder: Path) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        for place, text, message in (
            ("leaf-days", "10", "from 90 to 825"),
            ("leaf-days", "a year", "whole number"),
            ("ca-days", "100000", "from 365 to 7300"),
            ("ca-days", "500", "before its certificates"),
            ("renew-days", "800", "less than 730"),
        ):
            await wrong(user, "certificates", ("pki", place), text, message)


@pytest.mark.parametrize(("downs", "place"), [(0, "hostname"), (1, "hostname"), (2, "user")])
async def test_a_key_leads_to_where_the_name_is_set(folder: Path, downs: int, place: str) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        await go(user, "certificates")
        await user.press(*["down"] * downs, "u")
        await user.at("datastore")
        await user.until(
            lambda: user.focused is field(user, "datastore", place).query_one(Input), place
        )


def site_ca(folder: Path, days: int = 3650) -> Authority:
    """A CA of the operator's own, as a file beside the profile."""
    now = datetime.fromtimestamp(clock(), UTC)
    authority = Authority.create("the site's CA", days, now)
    (folder / "site-ca.pem").write_text(authority.certificate_pem)
    return authority


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_an_authority_of_ones_own(folder: Path, size: tuple[int, int]) -> None:
    """What is asked for, and what is shown of what was brought."""
    authority = site_ca(folder)
    async with operator(folder, how_to(folder), size, clock=clock) as user:
        await go(user, "certificates")
        await choose(user, "your own", "pki", "mode")
        await user.until(lambda: ("pki", "leaf-days") not in places(user), "asked anew")
        assert ("pki", "ca-days") not in places(user)
        assert "cannot be used: pki.ca is not given yet" in detail(user)
        await user.press("ctrl+n")
        await user.at("certificates")  # a CA there must be
        await fill(user, "site-ca.pem", "pki", "ca")
        await user.until(lambda: "brought by you" in detail(user), "the CA is read")
        for told in ("complete up to the root: ok", "CA certificates alone: ok", "site's CA"):
            assert told in detail(user)
        user.wizard.screen.query_one(OptionList).highlighted = 1
        await user.until(lambda: "has not come yet" in detail(user), "what is signed elsewhere")
        assert "k3s-tui pki import" in detail(user)
        key = folder / "site-ca.key"
        key.touch(0o600)
        key.write_text(authority.key.reveal())
        await fill(user, "site-ca.key", "pki", "ca-key")
        await user.press("tab")
        await user.until(lambda: ("pki", "leaf-days") in places(user), "it signs here")
        assert ("pki", "ca-key-passphrase") in places(user)
        await user.until(lambda: detail(user), "the list is there")
        user.wizard.screen.query_one(OptionList).highlighted = 1
        await user.until(lambda: "will be issued" in detail(user), "its leaves")
        assert "Issuer:  CN=the site's CA" in detail(user)
        assert user.wizard.draft.valid


@pytest.mark.parametrize("code", list(language.LANGUAGES))
async def test_the_key_of_an_authority_of_ones_own(folder: Path, code: str) -> None:
    """It is checked as soon as it can be read, and it is said when it cannot."""
    language.use(code)
    authority = site_ca(folder)
    path = how_to(folder)
    old = 'mode = "managed"                   # from a'
    keyed = 'mode = "bring-your-own"\nca = "site-ca.pem"\nca-key = "site-ca.key" # a'
    path.write_text(re.sub("(?m)^ca-days.*\n", "", path.read_text().replace(old, keyed)))
    key = folder / "site-ca.key"
    key.touch(0o600)
    key.write_text(Authority.create("another", 9, NOW).key.reveal())
    words = {
        "en": ("the key is the CA's: failed", "the key is the CA's: ok",
               "passphrase of the key: failed", "passphrase of the key: warning"),
        "zh_CN": ("私钥属于该 CA: 失败", "私钥属于该 CA: 正常",
                  "私钥的口令: 失败", "私钥的口令: 警告"),
    }[code]  # fmt: skip

    async def shown(told: str) -> None:
        user.wizard.go("datastore")
        await user.at("datastore")
        await go(user, "certificates")
        await user.until(lambda: told in detail(user), told)

    async with operator(folder, path, (120, 40), clock=clock) as user:
        await shown(words[0])
        assert listed(user)[0].startswith("✗")
        key.write_text(authority.key.reveal())
        await shown(words[1])
        key.write_text(encrypted(authority.key))
        await shown(words[2])
        user.wizard.draft.set(("pki", "ca-key-passphrase"), "prompt:")
        user.wizard.draft.settle()
        await shown(words[3])
        assert "once the run knows its passphrase" in detail(user)
        assert not listed(user)[0].startswith("✗")


async def test_a_certificate_is_good_for_no_longer_than_its_authority(folder: Path) -> None:
    authority = site_ca(folder, days=20)
    path = how_to(folder)
    own = 'mode = "bring-your-own"\nca = "site-ca.pem"\nca-key = "site-ca.key" # a'
    text = path.read_text().replace('mode = "managed"                   # from a', own)
    path.write_text(re.sub("(?m)^ca-days.*\n", "", text))
    key = folder / "site-ca.key"
    key.touch(0o600)
    key.write_text(authority.key.reveal())
    async with operator(folder, path, (120, 40), clock=clock) as user:
        await go(user, "certificates")
        await user.press("down")
        await user.until(lambda: "20 days from its issue" in detail(user), "its days")
        assert "no more: it ends with its authority" in detail(user)


async def test_leaves_that_were_imported_show_every_check(folder: Path) -> None:
    authority = site_ca(folder)
    path = how_to(folder)
    old = 'mode = "managed"                   # from a'
    text = path.read_text().replace(old, 'mode = "bring-your-own"\nca = "site-ca.pem" # a')
    path.write_text(re.sub("(?m)^(leaf|ca)-days.*\n", "", text))
    now = datetime.fromtimestamp(clock(), UTC)
    pki = folder / f"{path.stem}.pki"
    pki.mkdir()
    wrong = authority.issue_short_lived(datastore_client("somebody", "a"), now, minutes=60 * 24)
    (pki / "server-k3s-server-1.crt").write_text(wrong.certificate_pem)
    async with operator(folder, path, (120, 40), clock=clock) as user:
        await go(user, "certificates")
        await user.press("down", "down")
        await user.until(lambda: "names the database user: failed" in detail(user), "the check")
        assert "its CN is 'somebody', not the database user 'k3s'" in detail(user)
        assert "signed by that CA: ok" in detail(user)
        assert "valid for 30 days yet: warning" in detail(user)
        assert listed(user)[2].startswith("✗")


@pytest.mark.parametrize(("mode", "told"), [("existing", "has its own"), ("embedded", "etcd runs")])
async def test_nothing_is_issued_where_the_datastore_is_not_ours(
    folder: Path, mode: str, told: str
) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        user.wizard.draft.set(("datastore", "mode"), mode)
        user.wizard.draft.settle()
        await go(user, "certificates")
        await user.sees("No certificate is issued here")
        assert told in " ".join(user.text.split())
        assert not {"Export", "Copy", "Rename"} & set(user.text.split())
        await user.press("e", "y", "u")
        await user.press("ctrl+n")
        await user.at("datastore")


async def test_a_draft_that_has_nothing_yet(folder: Path) -> None:
    async with operator(folder) as user:
        user.wizard.new_draft(folder / "new.toml")
        user.wizard.draft.set(("datastore", "hostname"), None)
        await go(user, "certificates")
        await user.press("down")
        assert "✗ cannot be issued: datastore.hostname is not given yet" in detail(user)
        assert listed(user)[1].startswith("✗")


async def test_hostile_text_around_certificates(folder: Path) -> None:
    async with operator(folder, how_to(folder), clock=clock) as user:
        draft = user.wizard.draft
        for text in HOSTILE[:-1]:
            draft.set(("datastore", "user"), text)
            draft.set(("datastore", "hostname"), text)
            draft.set(("hosts",), {text: {"address": text, "roles": ["server", "datastore"]}})
            await go(user, "certificates")
            await user.press("down", "down")
            assert isinstance(user.wizard.screen, CertificatesScreen)
            assert "\x1b" not in user.text and "\u202e" not in user.text


async def test_bars_are_drawn_in_ascii(folder: Path) -> None:
    glyphs.use_ascii(True)
    async with operator(folder, how_to(folder), clock=clock) as user:
        user.wizard.plan = seen(k3s_server_1=issued("k3s-server-1", 73))
        await go(user, "certificates")
        await user.press("down", "down")
        assert "##.................. 657 days left" in detail(user)
