"""The command line.  It parses; everything else is imported only by the command that needs it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from k3s_tui import __version__

if TYPE_CHECKING:
    from k3s_tui.core.errors import OperatorError
    from k3s_tui.headless.session import Options


class _ProfilePath(click.Path):
    """Every message names the profile, so its name must be one that a terminal can show."""

    def convert(self, value: Any, param: Any, ctx: click.Context | None) -> Any:
        from k3s_tui.core.errors import UsageError

        name = str(value)
        if not name.isprintable():
            raise UsageError("the profile's path has characters that cannot be shown: rename it")
        if not Path(name).name:
            raise UsageError("the profile's path has no file name")
        return super().convert(value, param, ctx)


PROFILE_PATH = _ProfilePath(path_type=Path, dir_okay=False)
PROFILE = click.argument("profile", type=PROFILE_PATH)
PASSPHRASE = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File whose first line is the secret store's passphrase.",
)


RESTART = click.option(
    "--allow-restart", is_flag=True, help="PostgreSQL may end sessions of others, to restart."
)


def hosts_options(command: Any) -> Any:
    """The flags of every command that connects."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON event per line."),
        click.option("-v", "--verbose", is_flag=True, help="Also what is as wanted, and logs."),
        click.option("--only", multiple=True, help="Host, step id, or glob; with what it needs."),
        click.option("--accept-host-key", is_flag=True, help="Pin host keys not known yet."),
        PASSPHRASE,
    ):
        command = option(command)
    return command


class _Group(click.Group):
    """`k3s-tui PROFILE` is the wizard on that profile: what is no command is a path."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands and Path(args[0]).suffix == ".toml":
            return "wizard", _wizard, args
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, invoke_without_command=True)
@click.version_option(__version__, prog_name="k3s-tui")
@click.option("--lang", type=click.Choice(["en", "zh_CN"]), help="The wizard's language.")
@click.option("--ascii", is_flag=True, help="Draw the wizard with ASCII characters alone.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.pass_context
def cli(context: click.Context, /, **looks: Any) -> None:
    """From bare Linux hosts to a highly available K3s cluster on external PostgreSQL.

    Without a command, or with a profile alone, it opens the wizard.
    """
    context.obj = looks
    if context.invoked_subcommand is None:
        context.invoke(_wizard)


@click.command(hidden=True)
@click.argument("profile", required=False, type=PROFILE_PATH)
@PASSPHRASE
@click.pass_obj
def _wizard(
    looks: dict[str, Any], profile: Path | None = None, passphrase_file: Path | None = None
) -> int:
    import shlex

    name = shlex.quote(str(profile)) if profile else "PROFILE"
    _insist_on_terminal(f"k3s-tui check {name}, k3s-tui plan {name}, k3s-tui apply {name} --yes")
    from k3s_tui.tui.launch import Looks, start

    return start(profile, passphrase_file=passphrase_file, looks=Looks(**looks))


def _insist_on_terminal(instead: str) -> None:
    """Textual would start without one, and hang."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        from k3s_tui.core.errors import UsageError

        raise UsageError("the wizard needs a terminal", hint=f"without one: {instead}")


@cli.command()
@click.option("--autoplay", is_flag=True, help="It presses its keys itself.")
@click.option("--lab", is_flag=True, help="On the lab's real hosts: root, Linux, a checkout.")
@click.pass_obj
def demo(looks: dict[str, Any], autoplay: bool, lab: bool) -> int:
    """The wizard over a recording of a real run: no hosts, nothing is changed."""
    _insist_on_terminal("k3s-tui apply --help")
    if lab:
        return _lab_demo(looks, autoplay)
    from k3s_tui.tui.launch import Looks
    from k3s_tui.tui.launch import demo as play

    return play(autoplay=autoplay, looks=Looks(**looks))


def _lab_demo(looks: dict[str, Any], autoplay: bool) -> int:
    """The lab is a part of the tests, and so of a checkout."""
    import subprocess

    from k3s_tui.core.errors import UsageError

    checkout = Path(__file__).parents[1]
    if not (checkout / "tests" / "lab").is_dir():
        raise UsageError(
            "the lab is part of the source, and this is not a checkout of it",
            hint="k3s-tui demo shows a recording of it",
        )
    flags = {"ascii": looks["ascii"], "no-mouse": looks["no_mouse"], "autoplay": autoplay}
    lab = [sys.executable, "-m", "tests.lab", "demo"]
    lab += [f"--{name}" for name, given in flags.items() if given]
    lab += [f"--lang={looks['lang']}"] if looks["lang"] else []
    # What it makes are hosts: their files are not secrets of ours.
    return subprocess.run(lab, cwd=checkout, check=False, umask=0o022).returncode


@cli.command()
@PROFILE
def check(profile: Path) -> int:
    """Check a profile, offline."""
    from k3s_tui.headless.check import check

    return check(profile)


@cli.command()
@PROFILE
@hosts_options
@RESTART
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 when something would change.")
def plan(profile: Path, detailed_exitcode: bool, **flags: Any) -> int:
    """Look at every host and say what apply would change."""
    from k3s_tui.headless import commands

    return commands.plan(_options(profile, flags), detailed=detailed_exitcode)


@cli.command()
@PROFILE
@hosts_options
@RESTART
@click.option("--yes", is_flag=True, help="Do not ask before changing hosts.")
def apply(profile: Path, yes: bool, **flags: Any) -> int:
    """Make the hosts what the profile wants, and verify it.  Run again to resume."""
    from k3s_tui.headless import commands

    return commands.apply(_options(profile, flags), yes=yes)


@cli.command()
@PROFILE
@hosts_options
def verify(profile: Path, **flags: Any) -> int:
    """Prove what the cluster promises, refusals included.  Changes nothing."""
    from k3s_tui.headless import commands

    return commands.verify(_options(profile, flags))


@cli.command()
@click.option("--events", is_flag=True, help="The schema of --json's lines instead.")
def schema(events: bool) -> int:
    """Print the JSON schema of a profile."""
    if events:
        from k3s_tui.headless.jsonl import events_schema

        document = events_schema()
    else:
        from k3s_tui.profile.schema import schema

        document = schema()
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


@cli.group()
def secret() -> None:
    """The encrypted store beside a profile.  Values are never arguments."""


@secret.command()
@PROFILE
@PASSPHRASE
def init(profile: Path, passphrase_file: Path | None) -> int:
    """Make what is missing of a profile's secrets."""
    from k3s_tui.headless import secrets

    return secrets.init(profile, passphrase_file)


@secret.command("set")
@PROFILE
@click.argument("key")
@PASSPHRASE
def set_(profile: Path, key: str, passphrase_file: Path | None) -> int:
    """Put a value into the store: asked for, or from standard input."""
    from k3s_tui.headless import secrets

    return secrets.set_value(profile, key, passphrase_file)


@secret.command()
@PROFILE
@click.argument("key")
@PASSPHRASE
def get(profile: Path, key: str, passphrase_file: Path | None) -> int:
    """Print one value of the store."""
    from k3s_tui.headless import secrets

    return secrets.get(profile, key, passphrase_file)


@secret.command("list")
@PROFILE
@PASSPHRASE
def list_(profile: Path, passphrase_file: Path | None) -> int:
    """Print the names of what the store holds."""
    from k3s_tui.headless import secrets

    return secrets.list_keys(profile, passphrase_file)


@secret.command()
@PROFILE
@PASSPHRASE
@click.option(
    "--new-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File whose first line is the passphrase from now on.",
)
def rekey(profile: Path, passphrase_file: Path | None, new_passphrase_file: Path | None) -> int:
    """Encrypt the store with another passphrase."""
    from k3s_tui.headless import secrets

    return secrets.change_passphrase(profile, passphrase_file, new_passphrase_file)


@cli.group()
def pki() -> None:
    """Certificates that a CA of your own signs elsewhere."""


@pki.command()
@PROFILE
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--accept-host-key", is_flag=True, help="Pin host keys not known yet.")
@PASSPHRASE
def csr(profile: Path, folder: Path, accept_host_key: bool, passphrase_file: Path | None) -> int:
    """Make a key on each host, and collect the signing requests in FOLDER."""
    from k3s_tui.headless import pki
    from k3s_tui.headless.session import Options

    options = Options(profile, accept_host_keys=accept_host_key, passphrase_file=passphrase_file)
    return pki.csr(options, folder)


@pki.command("import")
@PROFILE
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--key-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File whose first line opens the encrypted keys in FOLDER.",
)
def import_(profile: Path, folder: Path, key_passphrase_file: Path | None) -> int:
    """Check the signed certificates in FOLDER, and keep them beside the profile."""
    from k3s_tui.headless import pki

    return pki.take(profile, folder, key_passphrase_file)


def _options(profile: Path, flags: dict[str, Any]) -> Options:
    from k3s_tui.headless.session import Options

    return Options(
        profile=profile,
        json=flags["as_json"],
        verbose=flags["verbose"],
        accept_host_keys=flags["accept_host_key"],
        passphrase_file=flags["passphrase_file"],
        only=tuple(flags["only"]),
        allow_restart=flags.get("allow_restart", False),
    )


def main() -> None:
    """The entry point: every expected failure is a message and its exit code, never a traceback."""
    from k3s_tui.core.errors import Exit, OperatorError
    from k3s_tui.core.system import keep_to_ourselves

    keep_to_ourselves()
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is spelled out; it is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _said(cli.main(prog_name="k3s-tui", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except click.Abort:
        code = Exit.INTERRUPTED
    except OperatorError as error:
        code = _tell(error)
    except BrokenPipeError:
        # `k3s-tui schema | head`: nobody reads on, and that is all right.
        _give_up_output()
        code = Exit.FAILED
    except Exception as error:
        code = _unexpected(error)
    sys.exit(int(code))


def _tell(error: OperatorError) -> int:
    render = getattr(error, "render", None)
    print(render() if render else f"error: {error}", file=sys.stderr)
    if error.hint and not render:
        print(f"try: {error.hint}", file=sys.stderr)
    return int(error.exit)


def _said(code: Any) -> int:
    """The command's exit code, once what it printed has left the buffer."""
    from k3s_tui.core.errors import OperatorError

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up_output()
    except OSError as error:
        _give_up_output()
        raise OperatorError(f"cannot write standard output: {error.strerror}") from None
    return int(code or 0)


def _give_up_output() -> None:
    """What is still buffered must not fail again at exit."""
    from k3s_tui.headless.output import silence

    silence(sys.stdout)


def _unexpected(error: Exception) -> int:
    from k3s_tui.core.system import explained

    told = explained(error)
    return _bug(error) if told is None else _tell(told)


def _bug(error: Exception) -> int:
    """A traceback is ours to read, not the operator's.

    It goes without values of variables, and without what the errors say: either may be a secret.
    """
    import tempfile

    from k3s_tui.core.errors import Exit
    from k3s_tui.core.system import trace

    report = f"k3s-tui {__version__}\n{trace(error)}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="k3s-tui-bug-", suffix=".txt", delete=False
        ) as file:
            file.write(report)
        where = f"the report to send us is {file.name}"
    except OSError:
        where = f"the report to send us is this:\n{report}"
    print(f"error: this is a bug in k3s-tui ({type(error).__name__}); {where}", file=sys.stderr)
    return Exit.BUG
