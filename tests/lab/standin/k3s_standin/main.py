"""The command line: subcommands, and the names that the executable is linked under."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import signal
import string
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from . import journal, options
from .errors import Fatal, UsageError

MARKER = "/etc/k3s-tui-lab"
"""Without this file, which only lab hosts have, nothing runs."""


def main(argv: Sequence[str], version: str) -> int:
    """Run the stand-in under the name and arguments of ``argv``; returns the exit status."""
    if not Path(MARKER).exists():
        print(
            "this is the k3s STAND-IN of k3s-tui's tests; it runs in the lab only", file=sys.stderr
        )
        return 1
    called = Path(argv[0]).name
    words = list(argv[1:])
    if called in ("kubectl", "crictl", "ctr"):
        words.insert(0, called)
    try:
        return _run(words, version)
    except UsageError as error:
        print(error, file=sys.stderr)
    except Fatal as error:
        journal.fatal(str(error))
    except BrokenPipeError:
        # Whoever read the output has seen enough; keep the interpreter from trying once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _run(words: list[str], version: str) -> int:
    command = words[0] if words else "help"
    if command in ("--version", "-v", "version"):
        print(f"k3s version {version} (standin)\nstandin: the test lab's, not Kubernetes")
        return 0
    if command == "server" or command == "agent":
        return _serve(command, words[1:], version)
    # Imported where they are used: a command line must not wait for what it does not need.
    if command == "kubectl":
        from . import kubectl

        return kubectl.run(words[1:])
    if command == "token" and words[1:] == ["generate"]:
        alphabet = string.ascii_lowercase + string.digits
        parts = ("".join(secrets.choice(alphabet) for _ in range(size)) for size in (6, 16))
        print(".".join(parts))
        return 0
    if command == "certificate" and words[1:2] == ["check"]:
        return _check_certificates()
    if command in ("help", "--help", "-h"):
        print("k3s (standin): server, agent, kubectl, token generate, certificate check")
        return 0
    raise UsageError(f"standin: {' '.join(words)}: not part of the stand-in")


def _serve(command: str, words: list[str], version: str) -> int:
    if "--help" in words or "-h" in words:
        print(f"k3s {command} (standin)")
        return 0
    given = options.load(command, words, os.environ)

    def stop(_signum: int, _frame: FrameType | None) -> None:
        # Threads may be in the middle of anything, as at a power cut: the datastore copes.
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # Imported here, as the drivers behind them take longer than all of kubectl.
    if command == "server":
        from . import server

        server.run(given, version)
    else:
        from . import agent

        agent.run(given, version)
    return 0


def _check_certificates() -> int:
    from . import certificates

    folders = [Path("/var/lib/rancher/k3s/server/tls"), Path("/var/lib/rancher/k3s/agent")]
    found = sorted(path for folder in folders for path in folder.glob("*.crt"))
    print("FILENAME   SUBJECT   EXPIRES   STATUS   (standin)")
    for path in found:
        subject, end = certificates.expiry(path.read_bytes())
        status = "OK" if end > dt.datetime.now(dt.UTC) else "EXPIRED"
        print(f"{path.name}   {subject}   {end:%b %d, %Y %H:%M UTC}   {status}")
    return 0
