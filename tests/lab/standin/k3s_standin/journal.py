"""Log lines in the shape of K3s's (logrus text format), on standard error."""

from __future__ import annotations

import json
import sys
import time


def _line(level: str, message: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    quoted = json.dumps(message, ensure_ascii=False)
    sys.stderr.write(f'time="{now}" level={level} msg={quoted}\n')
    sys.stderr.flush()


def info(message: str) -> None:
    """Log what happens."""
    _line("info", message)


def warning(message: str) -> None:
    """Log what went wrong and does not matter."""
    _line("warning", message)


def error(message: str) -> None:
    """Log what went wrong and will be tried again."""
    _line("error", message)


def fatal(message: str) -> None:
    """Log what ends the process."""
    _line("fatal", message)
