"""How a run ended, and the ways on from there."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from textual.widgets import Button

from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent, Planned, RunDone, RunStarted, StepDone
from k3s_tui.procedure.history import replay
from k3s_tui.tui.replay import DEMO, Recorded, Replay
from k3s_tui.tui.screens.finish import FinishScreen
from k3s_tui.tui.screens.run import RunScreen
from k3s_tui.tui.widgets.step_tree import StepTree
from tests.tui.bench import SECRET, Bench
from tests.tui.operator import Operator, how_to, operator
from tests.tui.test_run import SIZES, exit_of, progress, started


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "bench"
    root.mkdir()
    return Bench(root)


def whole(user: Operator) -> str:
    """All that the screen says, below its edge, too."""
    screen = user.wizard.screen
    assert isinstance(screen, FinishScreen)
    return "\n".join(text for text, _kind in screen._ending.told())


async def test_a_real_recording_ends_with_the_whole_cluster(folder: Path) -> None:
    """What a run on the lab's hosts said, at once."""
    events = list(replay(Path(str(DEMO / "how-to.jsonl"))))
    async with operator(folder, how_to(folder), backend=lambda *_: Recorded(events)) as user:
        await user.at("hosts")
        run = Replay(events)
        run.forward(len(events))
        user.wizard.run_controller = run
        user.wizard.show_finish()
        await user.on(FinishScreen)
        text = whole(user)
        for node in ("k3s-server-1  Ready", "k3s-agent     Ready"):
            assert node in text
        assert "server  10.161.129.154" in text
        assert "the datastore refuses: a wrong password  2/2" in text
        assert "every server answers through the load balancer  1/1" in text
        assert "k3s-server-1: CN=k3s" in text
        assert "how-to.kubeconfig kubectl get nodes" in text
        assert f"k3s-tui apply {folder / 'how-to.toml'}" in text
        assert "how-to.secrets  (encrypted: keep a copy)" in text
        assert "postgres runs PostgreSQL alone" in text
        assert "warning" in text
        assert user.wizard.screen.query_one("#report", Button).disabled


async def test_every_line_of_a_long_result_is_reached_by_keys(folder: Path, bench: Bench) -> None:
    for number in range(30):
        bench.check(f"postgres/preflight/check-{number}", "never", warning=True)
    bench.work("postgres/datastore/packages")
    async with started(folder, bench, (60, 15)) as user:
        await user.on(FinishScreen)
        await user.sees("The cluster is up")
        await user.press("end")
        await user.sees("load balancer")
        await user.press("home")
        await user.sees("The cluster is up")
        await user.press("pagedown")
        await user.until(lambda: "The cluster is up" not in user.text)


async def test_a_node_is_shown_with_the_version_that_it_says(folder: Path) -> None:
    step = {"step": "k3s-agent/verification/node", "host": "k3s-server-1"}
    events: list[AnyEvent] = [
        RunStarted(t=1, tool="", run="r", verb="apply", profile="", hosts=["k3s-agent"]),
        StepDone(t=2, **step, outcome="ok", summary="Ready, v1.36.3+k3s1-standin"),  # type: ignore[arg-type]
        RunDone(t=3, exit=0, ok=1),
    ]
    async with operator(folder, how_to(folder), backend=lambda *_: Recorded(events)) as user:
        await user.at("hosts")
        run = Replay(events)
        run.forward(len(events))
        user.wizard.run_controller = run
        user.wizard.show_finish()
        await user.on(FinishScreen)
        await user.sees("k3s-agent  Ready, v1.36.3+k3s1-standin  agent   10.161.129.196")


async def test_another_language_keeps_the_focus_and_the_report(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", "exit 1")
    async with started(folder, bench, (100, 40)) as user:
        await user.on(FinishScreen)
        await user.press("w")
        await user.sees("no password, token or private key")
        user.wizard.screen.query_one("#report", Button).focus()
        await user.until(lambda: user.focused is not None and user.focused.id == "report", "focus")
        await user.wizard.speak("zh_CN")
        await user.sees("没有密码、token 或私钥")
        await user.until(lambda: user.focused is not None and user.focused.id == "report", "focus")


async def test_verifying_again_proves_and_changes_nothing(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", f"echo once >>{bench.root / 'count'}")
    bench.proof("k3s-agent/verification/node", "ready")
    (bench.root / "ready").write_text("yes")
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        await user.sees("k3s-agent  Ready  agent")
        (bench.root / "ready").unlink()
        await user.press("v")
        await user.until(lambda: user.wizard.exit_code == Exit.VERIFICATION, "the verification")
        await user.on(FinishScreen)
        await user.sees("The cluster is not what it promises")
        assert "k3s-agent/verification/node" in user.text
        assert "ready is not there" in user.text
        (bench.root / "ready").write_text("yes")
        await user.press("v")
        await user.until(lambda: user.wizard.exit_code == Exit.OK)
        await user.on(FinishScreen)
        await user.sees("The cluster is what it promises.")
        assert progress(user).verb == "verify"
        assert (bench.root / "count").read_text() == "once\n"


@pytest.mark.parametrize(
    ("failing", "leads_to"),
    [
        ("postgres/datastore/settings", "datastore"),
        ("postgres/datastore/certificate", "certificates"),
        ("k3s-server-1/servers/k3s", "servers"),
        ("nginx/loadbalancer/service", "loadbalancer"),
        ("k3s-agent/agents/k3s", "agents"),
        ("k3s-agent/preflight/ports", "hosts"),
    ],
)
async def test_edit_leads_to_the_step_that_is_responsible(
    folder: Path, bench: Bench, failing: str, leads_to: str
) -> None:
    bench.work(failing, "exit 1")
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        await user.press("b")
        await user.at(leads_to)


async def test_a_saved_report_is_told_and_holds_no_secret(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", f"echo the password is {SECRET} >&2; exit 1")
    async with started(folder, bench, (100, 40)) as user:
        await user.on(FinishScreen)
        await user.press("w")
        await user.sees("no password, token or private key")
        run = user.wizard.run_controller
        assert run is not None and run.path is not None
        (archive,) = run.path.parent.parent.glob("*-report.tar.gz")
        assert archive.name in user.text
        with tarfile.open(archive) as packed:
            for member in packed.getmembers():
                file = packed.extractfile(member)
                assert file is not None
                assert SECRET.encode() not in file.read()


async def test_a_report_that_cannot_be_saved_is_told(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", "exit 1")
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        run = user.wizard.run_controller
        assert run is not None and run.path is not None
        run.path.unlink()
        await user.press("w")
        await user.sees("No such file")


async def test_commands_are_copied(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages")
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        await user.press("y")
        assert user.wizard.clipboard == f"k3s-tui apply {folder / 'how-to.toml'}"
        await user.press("k")
        assert user.wizard.clipboard.startswith("KUBECONFIG=")


async def test_steps_and_log_are_there_after_the_end(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", "echo hello >&2; exit 1")
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        await user.press("l")
        await user.on(RunScreen)
        await user.sees("hello")
        tree = user.wizard.screen.query_one(StepTree)
        await user.until(
            lambda: (
                tree.cursor_node
                and tree.cursor_node.data
                and tree.cursor_node.data.id == "postgres/datastore/packages"
            ),
            "the step that failed",
        )
        await user.pilot.pause(0.3)
        await user.on(RunScreen)
        await user.press("escape")
        await user.on(FinishScreen)


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_errors_are_shown_and_do_no_harm(folder: Path, size: tuple[int, int]) -> None:
    evil = "[/usr] [@click=app.quit]x[/] \033]52;c;x\007 abc\u202egnp " + "y" * 10_000
    step = {"step": "postgres/datastore/x", "host": "postgres"}
    events: list[AnyEvent] = [
        RunStarted(t=1, tool="", run="r", verb="apply", profile="", hosts=["postgres"]),
        Planned(t=2, **step, verdict="change", summary=evil, warning=evil),  # type: ignore[arg-type]
        StepDone(
            t=3,
            **step,  # type: ignore[arg-type]
            outcome="failed",
            error=evil,
            hint=evil,
            tail="\n".join([evil] * 30),
            warning=evil,
        ),
        RunDone(t=4, exit=1, failed=1, error=evil, hint=evil),
    ]
    async with operator(folder, how_to(folder), size, backend=lambda *_: Recorded(events)) as user:
        await user.at("hosts")
        run = Replay(events)
        run.forward(len(events))
        user.wizard.run_controller = run
        user.wizard.show_finish()
        await user.on(FinishScreen)
        await user.sees("[/usr] [@click=app.quit]x[/] \\x1b]52")
        assert "\033" not in user.text
        for key in ("l", "escape"):
            await user.press(key)
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.FAILED


async def test_a_locked_profile_is_told_without_a_report(folder: Path, bench: Bench) -> None:
    from k3s_tui.engine.lock import lock_profile
    from k3s_tui.procedure.recording import state_folder

    bench.work("postgres/datastore/packages")
    state = state_folder(folder / "how-to.toml", "how-to")
    state.mkdir(parents=True)
    with lock_profile(state / "lock"):
        async with started(folder, bench) as user:
            await user.on(FinishScreen)
            await user.sees("Another run holds this profile")
            assert user.wizard.screen.query_one("#report", Button).disabled
            assert exit_of(user) == Exit.LOCKED
