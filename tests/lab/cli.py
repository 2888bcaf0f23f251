"""``python -m tests.lab``: the lab by hand."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import demo, network, record, releases
from .command import LabError
from .lab import Lab, in_use


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status."""
    arguments = _parser().parse_args(argv)
    lab = Lab(say=lambda line: print(line, flush=True))
    if missing := _missing():
        print(missing, file=sys.stderr)
        return demo.replay(_way(arguments)) if arguments.verb == "demo" else 2
    try:
        if arguments.verb == "up":
            return _up(lab, arguments)
        if arguments.verb == "down":
            with in_use(within=1.0):
                lab.down()
            print("the lab is down")
            return 0
        if arguments.verb == "demo":
            return demo.run(lab, _way(arguments))
        if arguments.verb == "record":
            return record.run(lab)
        if arguments.verb == "shell":
            return lab.host(arguments.host).shell()
        if arguments.verb == "status":
            return _status(lab)
        return _run(arguments.command)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has seen enough; keep the interpreter from trying once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _missing() -> str:
    """Why there can be no lab on this machine; '' when there can."""
    if not sys.platform.startswith("linux"):
        return "the lab needs Linux: its hosts are containers"
    if os.geteuid() != 0:
        return "the lab needs root: it makes namespaces, mounts and containers"
    if shutil.which("apt-get") is None:
        return "the lab needs Debian: its hosts are made of its packages"
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="bring the lab up; bare hosts in a few seconds")
    up.add_argument("--fresh", action="store_true", help="if it is up, make the hosts bare again")
    up.add_argument("--k3s", type=Path, metavar="PATH", help="serve this real K3s executable")
    up.add_argument("--install-script", type=Path, metavar="PATH", help="and this install script")
    up.add_argument("--k3s-version", metavar="V", help="and call it this, such as v1.34.1+k3s1")
    verbs.add_parser("down", help="end and delete everything but the caches")
    shell = verbs.add_parser("shell", help="a root shell in a host")
    shell.add_argument("host")
    show = verbs.add_parser(
        "demo", help="bring it up, run the main job on it, show it, take it down"
    )
    for flag in ("--ascii", "--no-mouse"):
        show.add_argument(flag, dest="look", action="append_const", const=flag, help="the wizard's")
    show.add_argument(
        "--lang", dest="look", action="append", type="--lang={}".format, help="the wizard's"
    )
    show.add_argument("--autoplay", action="store_true", help="the wizard presses its keys itself")
    verbs.add_parser("record", help="make the run that k3s-tui demo replays anew")
    verbs.add_parser("status", help="hosts, addresses, pids, whether SSH answers")
    run = verbs.add_parser("run", help="run a command in the lab's network: run -- CMD ARG…")
    run.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _way(arguments: argparse.Namespace) -> demo.Way:
    return demo.Way(tuple(arguments.look or ()), arguments.autoplay)


def _up(lab: Lab, arguments: argparse.Namespace) -> int:
    given = (arguments.k3s, arguments.install_script, arguments.k3s_version)
    if any(given) and not all(given):
        raise LabError("--k3s, --install-script and --k3s-version go together")
    source = releases.real(*given) if all(given) else None
    began = time.monotonic()
    if source is None and not arguments.fresh:
        fresh_start = lab.up()
    else:
        # Changes what is there: not under the hands of a test session.
        with in_use(within=1.0):
            fresh_start = lab.up(source)
            if not fresh_start and arguments.fresh:
                lab.fresh()
    took = f"({time.monotonic() - began:.1f} s)"
    if fresh_start:
        print(f"the lab is up {took}")
    elif arguments.fresh:
        print(f"the hosts are bare again {took}")
    else:
        print("the lab is up already; --fresh makes its hosts bare again")
    return 0


def _status(lab: Lab) -> int:
    print("up" if lab.is_up() else "down")
    for host, pid, reachable in lab.status():
        state = f"pid {pid}" if pid else "off"
        ssh = "ssh ok" if reachable else "no ssh"
        print(f"{host.name:14} {host.address:16} {host.role:13} {state:12} {ssh}")
    return 0 if lab.is_up() else 1


def _run(words: Sequence[str]) -> int:
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise LabError("run what? python -m tests.lab run -- CMD ARG…")
    if not network.exists():
        raise LabError("the lab is not up")
    inside = network.inside(words)
    # Replaces this process: signals, terminal and exit status are the command's own.
    os.execvp(inside[0], inside)
