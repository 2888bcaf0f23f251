"""``python -m tests.faults.hostile_sshd FOLDER``: SSH servers that answer as the worst would.

FOLDER has `host_key`, `authorized` and `moods.json`: a mood for each server, and the length of a
line.  When all listen, `ports.json` is there.  Of the scripts that arrive, only the one that asks
for facts is run, which reads and nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import asyncssh

HOSTILE = (
    "\x1b[2J\x1b[31mred",  # screen and colour
    "\x1b]52;c;cm0gLXJmIC8=\x07",  # the clipboard
    "\x1b]0;another title\x1b\\",
    "\x1b]8;;http://192.0.2.1/\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP+q544e\x1b\\\x1b[c\x1b[6n",  # what makes a terminal answer
    "\x9b31m\x85\x90",  # C1
    "[/] [@click=app.quit]quit[/] [bold red]markup[/bold red] [link=x]",
    "\u202egnp.exe\u2066\u200f",  # bidi
    "nul\x00bell\x07back\x08\x08\x08tab\rcarriage",
    "\ufeff\u200b\u00ad\u2028\u2029",
    "k3s-tui-0123456789abcdef 0",
    "changed  nginx/loadbalancer/service",
)
_NODE = {"metadata": {"name": "k3s-server-1", "labels": {}}, "status": []}
_BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
ANSWERS = (
    json.dumps({"items": [_NODE]}).encode(),
    b"[" * 100_000,
    b"config %s\nendpoint x\n" % base64.b64encode(f"{_BOMB}cluster-cidr: *a9\n".encode()),
    json.dumps([{"address": [], "verifier": "SCRAM-SHA-256$2147483647:c2E=$a:b"}]).encode(),
    json.dumps({"exists": 1, "login": True, "verifier": "SCRAM-SHA-256$99:c$a:b"}).encode(),
    b"\n" + b"# BEGIN k3s-tui\n77\n" * 40_000,
    b"[%s]" % b",".join([b"{}"] * 2_000_000),
    b"file 0755 root root\n" + b"9" * 5_000,
    b"running " + b"1" * 30_000 + b"\n-1\n99999999999999999999\n",
)
"""What looks like an answer; a host gives them in turn, each its own way."""

HARMLESS = ("an ordinary line",) * len(HOSTILE)
INVALID = b"\xff\xfe\xc3\x28\xf0\x90\x80 "
FRAME = re.compile(rb"k3s-tui-[0-9a-f]{16}")
PROBE = re.compile(rb"printf '\\n([0-9a-f]{16}) %s\\n'")
CHUNK = 1 << 16
GROUP = 1 << 23
"""The process group that a script says it has: no process of any Linux has such a number."""

Process: TypeAlias = "asyncssh.SSHServerProcess[bytes]"


class Host:
    """`mood` is `STAGE BEHAVIOUR [harmless]`; up to that stage it is a host like any other.

    Stages: `login` (who it is), `facts`, `probes`.  Behaviour `answersN`: ANSWERS from N on.
    """

    def __init__(self, mood: str, line: int) -> None:
        self.stage, self.behaviour, *harmless = mood.split()
        self.texts = HARMLESS if harmless else HOSTILE
        self.invalid = b"" if harmless else INVALID
        self.line = line

    async def serve(self, process: Process) -> None:
        with suppress(ConnectionError, asyncssh.Error):  # who asked has left
            await self._answer(process, await _script(process))

    async def _answer(self, process: Process, script: bytes) -> None:
        found = FRAME.search(script)
        if not found:
            process.exit(1)
            return
        stage = _stage(script)
        frame = found[0]
        if stage == self.stage and not self.behaviour.startswith(("words", "answers")):
            await self._misbehave(process, frame)
            return
        words = stage == self.stage
        process.stderr.write(b"\n%s\n" % frame + (self._words() if words else b""))
        process.stdout.write(b"\n%s %d\n" % (frame, GROUP))
        if stage == "login":
            process.stdout.write(b"uid 0\n")
        elif stage == "facts":
            process.stdout.write(await self._facts(script, words))
        elif stage == "probes":
            for number, probe in enumerate(PROBE.findall(script)):
                body = self._words()[: CHUNK * (number % 2)] if words else b""
                if words and self.behaviour.startswith("answers"):
                    at = int(self.behaviour.removeprefix("answers")) + number
                    body = ANSWERS[at % len(ANSWERS)]
                process.stdout.write(body + b"\n%s 0\n" % probe)
                await process.stdout.drain()
        process.exit(0)

    async def _misbehave(self, process: Process, frame: bytes) -> None:
        if self.behaviour == "noise":  # a shell that is none
            process.stdout.write(self._words())
            process.stderr.write(self._words())
            process.exit(1)
            return
        if self.behaviour == "silence":
            await asyncio.Event().wait()
        if self.behaviour != "early":
            process.stdout.write(b"\n%s %d\n" % (frame, GROUP))
            process.stderr.write(b"\n%s\n" % frame)
        if self.behaviour == "success":  # all is well, says everything but the status
            process.stdout.write(b"uid 0\nok\nchanged\n\n%s 0\n" % frame)
            process.exit(0)
        stream = process.stderr if self.behaviour in ("err", "line") else process.stdout
        for data in self._flood():
            stream.write(data)
            await stream.drain()
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    def _flood(self) -> Iterator[bytes]:
        """One endless line (as long as was asked for), or lines without an end."""
        if self.behaviour == "line":
            for _ in range(self.line // CHUNK):
                yield b"x" * CHUNK
            return
        lines = self._words() * (1 + CHUNK // len(self._words()))
        while True:
            yield lines

    def _words(self) -> bytes:
        lines = (*self.texts, " ".join(reversed(self.texts)))
        return b"".join(self.invalid + text.encode() + b"\n" for text in lines)

    async def _facts(self, script: bytes, words: bool) -> bytes:
        shell = await asyncio.create_subprocess_exec(
            "/bin/sh", "-s", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await shell.communicate(script)
        said = out[out.index(b"\n", out.index(b"k3s-tui-")) + 1 :]
        if words:
            told = " ".join(reversed(self.texts)).encode()
            names = b"os PRETTY_NAME=%s\nos ID=%s\narch %s\n" % (told, told, told)
            said = names + self._words() + re.sub(rb"(?m)^(os|arch) .*\n", b"", said)
        return said


def _stage(script: bytes) -> str:
    """What is asked for; `other` is anything else, such as to kill the group of a script."""
    if b"'uid %s" in script:
        return "login"
    if PROBE.search(script):
        return "probes"
    return "facts" if b"/etc/os-release" in script else "other"


async def _script(process: Process) -> bytes:
    """All that arrives until the script's end, or until nothing more does."""
    script = b""
    while not script.endswith(b"exit\n") and (data := await process.stdin.read(CHUNK)):
        script += data
    return script


class _Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True


async def main(folder: Path) -> None:
    moods, line = json.loads((folder / "moods.json").read_text())
    serving: list[asyncssh.SSHAcceptor] = []
    for number, mood in enumerate(moods, start=1):
        serve: Callable[[Process], object] = Host(mood, line).serve
        serving.append(
            await asyncssh.listen(
                f"127.0.0.{number}",
                0,
                server_factory=_Server,
                server_host_keys=[str(folder / "host_key")],
                authorized_client_keys=str(folder / "authorized"),
                process_factory=serve,
                encoding=None,
            )
        )
    ports = folder / "ports.json.new"
    ports.write_text(json.dumps([server.get_port() for server in serving]))
    ports.rename(folder / "ports.json")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
