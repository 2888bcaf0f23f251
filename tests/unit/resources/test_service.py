from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.script import PRELUDE, quote
from k3s_tui.resources.file import File, FileState
from k3s_tui.resources.service import Service, ServiceState
from k3s_tui.resources.started import Started
from tests.unit.hands import ME, LocalHands
from tests.unit.resources.systemctl import Systemctl
from tests.unit.shells import SHELLS, run

UNIT = "lb.service"
RESTARTED = ["daemon-reload", f"enable {UNIT}", f"restart {UNIT}"]
BACK = [*RESTARTED, *RESTARTED]


@pytest.fixture
def systemd(hands: LocalHands, tmp_path: Path) -> Systemctl:
    return Systemctl(hands, tmp_path / "systemd")


class Site:
    """A service of two files in a folder; it runs on what it read at its last start."""

    def __init__(self, root: Path, systemd: Systemctl) -> None:
        self.root = root
        self.conf = root / "etc/lb.conf"
        self.env = root / "etc/env"
        self.live = root / "live"
        # What a program does: read its files, or refuse to start on them.
        conf, env, live = (quote(str(path)) for path in (self.conf, self.env, self.live))
        systemd.put(
            f"{UNIT}.start",
            f"! grep -q crash {conf} && cat {conf} {env} >{live}",
        )

    def service(self, conf: str = "listen 1\n", env: str = "A=1\n") -> Service:
        return Service(
            UNIT,
            (
                File(str(self.conf), conf, "0644", ME),
                File(str(self.env), Secret(env), "0600", ME),
            ),
            ready=f"! grep deaf {quote(str(self.live))}",
            ready_seconds=0,
            state_folder=str(self.root / "state"),
        )

    def names(self) -> list[str]:
        """All that lies in the folder: there must be no left-overs."""
        return sorted(path.name for path in self.conf.parent.iterdir())

    def loaded(self) -> str:
        return self.live.read_text()


def dying(service: Service, stage: str) -> Service:
    """The same, killed at one of its texts, with all that its script started."""
    texts: dict[str, Any] = {stage: "kill -9 0"}
    return replace(service, **texts)


@pytest.fixture
def site(root: Path, systemd: Systemctl) -> Site:
    return Site(root, systemd)


async def test_first(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    change = await hands.settle(site.service())
    assert change.summary == (f"{UNIT}: create {site.conf}, create {site.env}, start, enable")
    assert "+listen 1" in change.diff
    assert "A=1" not in change.diff
    assert systemd.log == RESTARTED
    assert site.loaded() == "listen 1\nA=1\n"
    assert site.names() == ["env", "lb.conf"]


async def test_what_is_loaded_is_left_alone(
    hands: LocalHands, site: Site, systemd: Systemctl
) -> None:
    await hands.settle(site.service())
    assert site.service().diff(await hands.look(site.service())) is None


async def test_a_changed_file_is_named_and_loaded(
    hands: LocalHands, site: Site, systemd: Systemctl
) -> None:
    await hands.settle(site.service())
    assert systemd.log == RESTARTED
    change = await hands.settle(site.service("listen 2\n"))
    assert change.summary == f"{UNIT}: write {site.conf}, restart"
    assert systemd.log == RESTARTED
    change = await hands.settle(site.service("listen 2\n", "A=2\n"))
    assert change.summary == f"{UNIT}: write {site.env}, restart"
    assert (change.diff, site.loaded()) == ("", "listen 2\nA=2\n")
    assert site.names() == ["env", "lb.conf"]


async def test_drift_on_the_host(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    await hands.settle(site.service())
    site.conf.write_text("listen 9\n")
    assert systemd.log
    change = await hands.settle(site.service())
    # Whether somebody restarted it on that, nobody knows.
    assert change.summary == f"{UNIT}: write {site.conf}, restart"
    assert "-listen 9\n+listen 1\n" in change.diff
    assert systemd.log == RESTARTED


async def test_an_input_is_loaded(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    await hands.settle(site.service())
    assert systemd.log
    change = await hands.settle(replace(site.service(), inputs=("new certificate",)))
    assert change.summary == f"{UNIT}: restart"
    assert systemd.log == RESTARTED


async def test_what_needs_no_restart(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    await hands.settle(site.service())
    site.conf.chmod(0o600)
    systemd.put(f"{UNIT}.enabled", "disabled")
    assert systemd.log
    change = await hands.settle(site.service())
    assert change.summary == f"{UNIT}: set mode 0600 → 0644 of {site.conf}, enable"
    assert systemd.log == [f"enable {UNIT}"]


async def test_a_stopped_service_is_started(
    hands: LocalHands, site: Site, systemd: Systemctl
) -> None:
    await hands.settle(site.service())
    systemd.put(f"{UNIT}.active", "inactive")
    change = await hands.settle(site.service())
    assert change.summary == f"{UNIT}: start"


async def test_the_own_check_refuses(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    await hands.settle(site.service())
    assert systemd.log
    # The second line fails, not the last: each line counts.
    check = 'cat >/dev/null\n[ -s "$staged_1" ]\ngrep "listen 1" "$staged_0"\ntrue'
    refused = replace(site.service("listen 2\n"), validate=check)
    with pytest.raises(StepFailed, match="its own check refuses the new files; nothing was"):
        await refused.apply(hands, Change(""))
    assert site.conf.read_text() == "listen 1\n"
    assert (systemd.log, site.names()) == ([], ["env", "lb.conf"])
    assert site.service().diff(await hands.look(site.service())) is None
    await hands.settle(replace(refused, validate=check.replace("listen 1", "listen 2")))


async def test_a_check_in_place(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    await hands.settle(site.service())
    assert systemd.log
    check = f"grep 'listen 1' {quote(str(site.conf))}\ntrue"
    refused = replace(site.service("listen 2\n"), verify_placed=check)
    with pytest.raises(StepFailed, match="placed files fails; the files of before are back"):
        await refused.apply(hands, Change(""))
    # The unit never heard of it.
    assert systemd.log == []
    assert (site.conf.read_text(), site.names()) == ("listen 1\n", ["env", "lb.conf"])
    assert site.service().diff(await hands.look(site.service())) is None


@pytest.mark.parametrize("conf", ["crash\n", "deaf\n"])
async def test_a_version_that_does_not_work(
    hands: LocalHands, site: Site, systemd: Systemctl, conf: str
) -> None:
    await hands.settle(site.service())
    assert systemd.log
    with pytest.raises(StepFailed, match="of before are back, and it runs on them") as caught:
        await site.service(conf, "A=2\n").apply(hands, Change(""))
    assert f"last words of {UNIT}" in caught.value.tail
    assert "journalctl" in caught.value.hint
    assert systemd.log == BACK
    assert (site.loaded(), site.names()) == ("listen 1\nA=1\n", ["env", "lb.conf"])
    assert site.service().diff(await hands.look(site.service())) is None


@pytest.mark.parametrize("conf", ["crash\n", "deaf\n"])
async def test_a_first_version_that_does_not_work(
    hands: LocalHands, site: Site, systemd: Systemctl, conf: str
) -> None:
    with pytest.raises(StepFailed, match="it is stopped, and its files are as they were"):
        await site.service(conf).apply(hands, Change(""))
    assert systemd.log == [*RESTARTED, f"disable {UNIT} --now", "daemon-reload"]
    assert site.names() == []
    await hands.settle(site.service())


@pytest.mark.parametrize("there", ["conf", "env"])
async def test_a_first_version_beside_a_file_of_somebody_else(
    hands: LocalHands, site: Site, systemd: Systemctl, there: str
) -> None:
    """Without all of its files it would be something else: it must not run on what is left."""
    theirs = site.conf if there == "conf" else site.env
    theirs.parent.mkdir()
    theirs.write_text("theirs\n")
    with pytest.raises(StepFailed, match="it is stopped, and its files are as they were"):
        await site.service("deaf\n").apply(hands, Change(""))
    assert systemd.log == [*RESTARTED, f"disable {UNIT} --now", "daemon-reload"]
    assert (theirs.read_text(), site.names()) == ("theirs\n", [theirs.name])
    await hands.settle(site.service())


@pytest.mark.parametrize(
    "left", [f"disable {UNIT}", f"echo active >{UNIT}.active", f"echo enabled >{UNIT}.enabled"]
)
async def test_one_that_cannot_be_stopped_keeps_its_files(
    hands: LocalHands, site: Site, systemd: Systemctl, tmp_path: Path, left: str
) -> None:
    service = replace(
        site.service("deaf\n"), deactivate=f"cd {quote(str(tmp_path / 'systemd'))}; {left}"
    )
    if left.startswith("disable"):
        service = replace(service, deactivate="false")
    with pytest.raises(StepFailed, match="cannot be stopped and disabled, so the new files stay"):
        await service.apply(hands, Change(""))
    assert (site.conf.read_text(), site.env.read_text()) == ("deaf\n", "A=1\n")
    # The next run still knows that there was nothing before.
    with pytest.raises(StepFailed, match="it is stopped"):
        await site.service("deaf 2\n").apply(hands, Change(""))
    assert site.names() == []


async def test_the_process_of_before_is_not_asked(
    hands: LocalHands, site: Site, systemd: Systemctl, tmp_path: Path
) -> None:
    await hands.settle(site.service())
    systemd.put(f"{UNIT}.slow", "")
    slow = replace(
        site.service("listen 2\n"), activate=f"systemctl restart --no-block {UNIT}", ready="true"
    )
    with pytest.raises(StepFailed, match="but it does not run on them either") as caught:
        await slow.apply(hands, Change(""))
    assert "it does not run on the new files yet" in caught.value.tail
    # What is loaded is not known: there is no stamp of either.
    assert (await hands.look(site.service())).stamp == ""
    (tmp_path / "systemd" / f"{UNIT}.slow").unlink()
    await hands.settle(slow)


async def test_one_that_is_not_active_is_not_ready(
    hands: LocalHands, site: Site, systemd: Systemctl, tmp_path: Path
) -> None:
    active = quote(str(tmp_path / "systemd" / f"{UNIT}.active"))
    service = replace(
        site.service(),
        activate=f"systemctl restart {UNIT}; echo activating >{active}",
        ready="true",
    )
    with pytest.raises(StepFailed, match="it is not ready within 0 s"):
        await service.apply(hands, Change(""))


class Reloading:
    """Of two files, `lb.conf` is loaded by a reload, too; `live` is what it runs on."""

    def __init__(self, site: Site, systemd: Systemctl) -> None:
        self.site, self.systemd = site, systemd
        systemd.put(f"{UNIT}.reload", f"cat {quote(str(site.conf))} >{quote(str(site.live))}")

    def service(self, conf: str = "listen 1\n", env: str = "A=1\n") -> Service:
        return replace(
            self.site.service(conf, env),
            reload=f"systemctl reload {UNIT}",
            reloadable=frozenset({str(self.site.conf)}),
        )


@pytest.fixture
def reloading(site: Site, systemd: Systemctl) -> Reloading:
    return Reloading(site, systemd)


async def test_a_reload_where_one_is_enough(
    hands: LocalHands, reloading: Reloading, systemd: Systemctl
) -> None:
    first = await hands.settle(reloading.service())
    assert first.summary.endswith("start, enable")
    assert systemd.log == RESTARTED
    change = await hands.settle(reloading.service("listen 2\n"))
    assert change.summary == f"{UNIT}: write {reloading.site.conf}, reload"
    assert systemd.log == [f"reload {UNIT}"]
    assert reloading.site.loaded() == "listen 2\n"
    # Also where only somebody else's hand has to be undone.
    reloading.site.conf.write_text("listen 9\n")
    await hands.settle(reloading.service("listen 2\n"))
    assert systemd.log == [f"reload {UNIT}"]


@pytest.mark.parametrize("why", ["the other file", "an input", "nobody knows", "it is stopped"])
async def test_a_restart_where_a_reload_is_not_enough(
    hands: LocalHands, reloading: Reloading, systemd: Systemctl, why: str
) -> None:
    await hands.settle(reloading.service())
    wanted = reloading.service("listen 2\n")
    if why == "the other file":
        wanted = reloading.service("listen 2\n", "A=2\n")
    elif why == "an input":
        wanted = replace(wanted, inputs=("new",))
    elif why == "nobody knows":
        with pytest.raises(StepFailed):
            await dying(wanted, "ready").apply(hands, Change(""))
    else:
        systemd.put(f"{UNIT}.active", "inactive")
    assert systemd.log
    await hands.settle(wanted)
    assert systemd.log == RESTARTED


async def test_a_reload_that_fails(
    hands: LocalHands, reloading: Reloading, systemd: Systemctl
) -> None:
    await hands.settle(reloading.service())
    assert systemd.log
    with pytest.raises(StepFailed, match="of before are back, and it runs on them"):
        await reloading.service("deaf\n").apply(hands, Change(""))
    assert systemd.log == [f"reload {UNIT}"] * 2
    assert reloading.site.loaded() == "listen 1\n"
    assert reloading.service().diff(await hands.look(reloading.service())) is None


async def test_a_reload_enables(
    hands: LocalHands, reloading: Reloading, systemd: Systemctl
) -> None:
    await hands.settle(reloading.service())
    systemd.put(f"{UNIT}.enabled", "disabled")
    assert systemd.log
    await hands.settle(reloading.service("listen 2\n"))
    assert systemd.log == [f"enable {UNIT}", f"reload {UNIT}"]


async def test_one_that_was_not_ready_before_either(
    hands: LocalHands, site: Site, systemd: Systemctl
) -> None:
    """It runs, and saying that it does not would send somebody to the wrong place."""
    await hands.settle(site.service())
    deaf = replace(site.service("listen 2\n"), ready="false")
    told = "of before are back, and it runs, but it is not ready within 0 s$"
    with pytest.raises(StepFailed, match=told):
        await deaf.apply(hands, Change(""))
    assert site.loaded() == "listen 1\nA=1\n"
    # Until one has seen it ready, it is not what was wanted.
    assert (await hands.settle(site.service())).summary == f"{UNIT}: restart"


async def test_neither_new_nor_old_works(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    await hands.settle(site.service())
    systemd.put("fails", "restart")
    with pytest.raises(StepFailed, match="but it does not run on them either"):
        await site.service("listen 2\n").apply(hands, Change(""))
    assert site.conf.read_text() == "listen 1\n"
    # Nobody knows what is loaded: the next run restarts.
    systemd.put("fails", "")
    assert (await hands.settle(site.service())).summary == f"{UNIT}: restart"


@pytest.mark.parametrize("stage", ["validate", "verify_placed", "activate", "ready"])
@pytest.mark.parametrize("first", [True, False])
async def test_a_kill_is_mended_by_the_next_run(
    hands: LocalHands, site: Site, systemd: Systemctl, stage: str, first: bool
) -> None:
    if not first:
        await hands.settle(site.service())
    wanted = site.service("listen 2\n", "A=2\n")
    with pytest.raises(StepFailed):
        await dying(wanted, stage).apply(hands, Change(""))
    await hands.settle(wanted)
    assert (site.loaded(), site.names()) == ("listen 2\nA=2\n", ["env", "lb.conf"])


@pytest.mark.parametrize("stage", ["verify_placed", "activate", "ready"])
async def test_after_a_kill_the_last_good_version_is_still_known(
    hands: LocalHands, site: Site, systemd: Systemctl, stage: str
) -> None:
    await hands.settle(site.service())
    with pytest.raises(StepFailed):
        await dying(site.service("deaf\n"), stage).apply(hands, Change(""))
    assert site.conf.read_text() == "deaf\n"
    with pytest.raises(StepFailed, match="it runs on them"):
        await site.service("deaf 2\n").apply(hands, Change(""))
    assert site.loaded() == "listen 1\nA=1\n"


@pytest.mark.parametrize("stage", ["verify_placed", "activate", "ready"])
async def test_after_a_kill_wanting_the_old_version_again_restarts(
    hands: LocalHands, site: Site, systemd: Systemctl, stage: str
) -> None:
    await hands.settle(site.service())
    with pytest.raises(StepFailed):
        await dying(site.service("listen 2\n"), stage).apply(hands, Change(""))
    # Even with the old content put back by hand: what is loaded is what is in doubt.
    site.conf.write_text("listen 1\n")
    assert (await hands.settle(site.service())).summary == f"{UNIT}: restart"
    assert site.loaded() == "listen 1\nA=1\n"


async def test_a_clock_that_is_set_ahead_is_no_deadline(
    hands: LocalHands, site: Site, systemd: Systemctl, tmp_path: Path
) -> None:
    """NTP may find that it is an hour later while a K3s comes up."""
    looks = quote(str(tmp_path / "looks"))
    hands.tool("date", f"echo x >>{looks}.date; echo $((3600 * $(wc -l <{looks}.date)))\n")
    ready = f'[ "$(cat {looks} | wc -l)" -gt 2 ] || {{ echo look >>{looks}; false; }}'
    service = replace(site.service(), ready=ready, ready_seconds=60)
    assert (await hands.settle(service)).summary.endswith("start, enable")


async def test_the_journal_is_told_while_it_comes_up(
    hands: LocalHands, site: Site, systemd: Systemctl, tmp_path: Path
) -> None:
    journal = quote(str(tmp_path / "systemd/journal"))
    looks = f'[ "$(wc -l <{journal})" -gt 3 ] || {{ echo look >>{journal}; false; }}'
    service = replace(site.service(), follow_journal=True, ready=looks, ready_seconds=60)
    await hands.settle(service)
    assert hands.said == ["look"] * 4  # each line once, and the last one, too
    hands.said.clear()
    with pytest.raises(StepFailed, match="it runs on them"):
        await replace(site.service("crash\n"), follow_journal=True).apply(hands, Change(""))
    assert hands.said[-2] == f"last words of {UNIT}"


@pytest.mark.parametrize("follow", [True, False])
async def test_one_that_nobody_listens_to_any_more_is_taken_up_once(
    hands: LocalHands, site: Site, systemd: Systemctl, follow: bool
) -> None:
    """Its connection was lost: what it says is for nobody, and no reason to go back."""
    service = replace(
        site.service("listen 2\n"),
        activate=(
            "echo starting >&2\nsystemctl daemon-reload\necho 'Created symlink'\n"
            f"systemctl enable {UNIT}\nsystemctl restart {UNIT}\necho started >&2"
        ),
        follow_journal=follow,
    )
    systemd.put("journal", "up")
    await hands.settle(service)
    script = next(said for said in hands.scripts if "take_up" in said)
    site.conf.write_text("listen 1\n")
    assert systemd.log == RESTARTED
    assert hands.unheard(script) == 0
    assert systemd.log == RESTARTED
    assert service.diff(await hands.look(service)) is None
    assert site.names() == ["env", "lb.conf"]


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_script_that_arrives_in_part_does_nothing(
    tmp_path: Path, root: Path, shell: str
) -> None:
    hands = LocalHands(shell, tmp_path / "tools")
    site = Site(root, Systemctl(hands, tmp_path / "systemd"))
    await site.service().apply(hands, Change(""))
    await site.service("listen 2\n").apply(hands, Change(""))
    lines = hands.scripts[-1].splitlines(keepends=True)
    assert lines[-1] == "outlive_listener\n"
    await hands.settle(site.service())
    before = site.conf.stat(), site.names(), site.loaded()
    for cut in range(0, len(lines), 9):
        run(shell, PRELUDE + f"PATH={quote(str(hands.tools))}:$PATH\n" + "".join(lines[:cut]))
        assert (site.conf.stat(), site.names(), site.loaded()) == before


@pytest.mark.parametrize("active", ["active", "inactive"])
async def test_a_unit_that_is_not_whole_is_activated(
    hands: LocalHands, site: Site, systemd: Systemctl, tmp_path: Path, active: str
) -> None:
    """Also where all that it has loaded is as wanted; each line of the text counts."""
    whole = tmp_path / "whole"
    asked = f"[ -e {whole} ]\ntrue"
    brings = f": >{whole}\nsystemctl restart {UNIT}"
    service = replace(site.service(), installed=asked, activate=brings)
    systemd.put(f"{UNIT}.enabled", "enabled")
    assert (await hands.settle(service)).summary.endswith(f"create {site.env}, install, start")
    whole.unlink()
    systemd.put(f"{UNIT}.active", active)
    verb = "restart" if active == "active" else "start"
    assert (await hands.settle(service)).summary == f"{UNIT}: install, {verb}"


async def test_without_files(hands: LocalHands, root: Path, systemd: Systemctl) -> None:
    systemd.unit(UNIT, active="inactive")
    service = Service(UNIT, inputs=("x",), state_folder=str(root))
    assert (await hands.settle(service)).summary == f"{UNIT}: start"
    systemd.put("fails", "restart")
    with pytest.raises(StepFailed, match=r"^lb\.service: it cannot be activated$"):
        await replace(service, inputs=("y",)).apply(hands, Change(""))


RIGHT = File("/etc/x", "x")
SERVICE = Service("x.service", (RIGHT,), reload="true", reloadable=frozenset({"/etc/x"}))
LOADED = ServiceState(SERVICE.stamp, (RIGHT.state,), "active", "enabled")


@pytest.mark.parametrize(
    ("now", "summary"),
    [
        (LOADED, None),
        (replace(LOADED, active="reloading"), None),
        (replace(LOADED, enabled="enabled-runtime"), None),
        (replace(LOADED, stamp=""), "restart"),
        (replace(LOADED, active="failed"), "start"),
        (replace(LOADED, stamp="", active="activating"), "restart"),
        (replace(LOADED, enabled="masked"), "enable"),
        (replace(LOADED, installed=False), "install, restart"),
        (replace(LOADED, files=(FileState("absent"),)), "create /etc/x, reload"),
        (replace(LOADED, files=(FileState("absent"),), stamp="1.2"), "create /etc/x, restart"),
    ],
)
def test_what_a_plan_says(now: ServiceState, summary: str | None) -> None:
    change = SERVICE.diff(now)
    if summary is None:
        assert change is None
    else:
        assert isinstance(change, Change)
        assert change.summary == f"x.service: {summary}"


def test_one_that_is_starting_is_waited_for() -> None:
    assert isinstance(SERVICE.diff(replace(LOADED, active="activating")), Problem)


def test_a_folder_in_the_way() -> None:
    assert isinstance(SERVICE.diff(replace(LOADED, files=(FileState("folder"),))), Problem)


async def test_when_it_started(hands: LocalHands, site: Site, systemd: Systemctl) -> None:
    started = Started(UNIT)
    assert await hands.look(started) == 0
    systemd.put(f"{UNIT}.pid", str(os.getpid()))
    boot = int(re.findall(r"^btime (\d+)", Path("/proc/stat").read_text(), re.M)[0])
    own = boot + int(Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19]) // 100
    assert abs(await hands.look(started) - own) <= 2
    systemd.put(f"{UNIT}.pid", "4194999")  # has just ended
    assert await hands.look(started) == 0


async def test_what_to_do_about_a_disk_is_told_with_a_refusal(
    hands: LocalHands, site: Site, systemd: Systemctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hands know of disks; that nothing was changed takes none of it away."""
    service = replace(site.service(), validate="false")
    told = hands.sh

    async def on_a_full_disk(script: str, *, stdin: bytes = b"") -> bytes:
        try:
            return await told(script, stdin=stdin)
        except StepFailed as failed:
            raise StepFailed(failed.text, status=failed.status, hint="free some") from None

    monkeypatch.setattr(hands, "sh", on_a_full_disk)
    with pytest.raises(StepFailed, match="nothing was changed") as caught:
        await hands.settle(service)
    assert caught.value.hint == "free some"
