"""age, by a process of its own.

Deriving the key takes a second or two, and the library holds Python's lock meanwhile: in a thread
it would stop the event loop, every SSH connection and the screen.  Passphrase and content go
through pipes, never through arguments, the environment or a file.

Run as a script it is that process; it imports nothing of ours, so that it starts at once.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

WRONG_PASSPHRASE, DAMAGED = 3, 4

Verb = Literal["encrypt", "decrypt"]


class WrongPassphrase(Exception):
    """The passphrase does not open it."""


class Damaged(Exception):
    """It is not an age file, or not a whole one."""


async def encrypt(content: bytes, passphrase: str) -> bytes:
    return await _run("encrypt", content, passphrase)


async def decrypt(sealed: bytes, passphrase: str) -> bytes:
    """Raises WrongPassphrase or Damaged."""
    return await _run("decrypt", sealed, passphrase)


async def _run(verb: Verb, content: bytes, passphrase: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        # Isolated: neither the environment nor the folder that we are in says what it imports.
        *(sys.executable, "-I", str(Path(__file__)), verb),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C on the terminal is for us to answer.
        start_new_session=True,
    )
    secret = passphrase.encode()
    try:
        out, _ = await process.communicate(b"%d\n%b%b" % (len(secret), secret, content))
    except BaseException:
        # It may have ended by itself, and nobody have taken its answer yet.
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode == WRONG_PASSPHRASE:
        raise WrongPassphrase
    if process.returncode:
        raise Damaged
    return out


def main(verb: str) -> int:
    """Reads the passphrase's length, the passphrase and the content; writes the result."""
    import pyrage

    length = int(sys.stdin.buffer.readline())
    passphrase = sys.stdin.buffer.read(length).decode()
    content = sys.stdin.buffer.read()
    work = pyrage.passphrase.encrypt if verb == "encrypt" else pyrage.passphrase.decrypt
    try:
        result = work(content, passphrase)
    except pyrage.DecryptError as error:
        return WRONG_PASSPHRASE if str(error) == "Decryption failed" else DAMAGED
    sys.stdout.buffer.write(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
