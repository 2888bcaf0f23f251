"""How PostgreSQL, nginx, systemd and the resolver read the files that are written for them.

Each function takes a file's text and gives its words as that program has them; it raises ValueError
for what the program would not take, and for what k3s-tui never means to write.
"""

from __future__ import annotations

import ipaddress
import re

Words = tuple[str, ...]


def pg_hba(text: str) -> list[Words]:
    """Lines by their fields.  A field in double quotes is a name, whatever it holds."""
    found = []
    for line in text.split("\n"):
        if "\r" in line or "\\" in line[-1:]:
            raise ValueError(f"PostgreSQL would read on: {line!r}")
        rest, words = line, []
        while rest := rest.lstrip(" \t\f\v"):
            if rest.startswith("#"):
                break
            match = re.match(r'(?:"(?:[^"]|"")*"|[^\s,"#])+', rest)
            if match is None:
                raise ValueError(f"not a field: {rest!r}")
            words.append(match[0])
            rest = rest[match.end() :]
            if rest.startswith(","):
                raise ValueError(f"a list: {line!r}")
        if words:
            found.append(_rule(tuple(words)))
    return found


def _rule(words: Words) -> Words:
    kind, _database, _role, source, *method = words
    if source != "all":
        ipaddress.ip_network(source)
    if (kind, method) not in (
        ("hostssl", ["scram-sha-256", "clientcert=verify-full"]),
        ("host", ["reject"]),
    ):
        raise ValueError(f"a way in that is not meant: {words}")
    return words


def hosts(text: str) -> list[Words]:
    """Lines of /etc/hosts: an address and its names."""
    found = []
    for line in text.splitlines():
        words = tuple(line.partition("#")[0].split())
        if words:
            ipaddress.ip_address(words[0])
            if len(words) < 2 or not all(re.fullmatch(r"[A-Za-z0-9.-]+", w) for w in words[1:]):
                raise ValueError(f"not a name: {line!r}")
            found.append(words)
    return found


_NGINX = re.compile(
    r"""\s+|\#[^\n]*|(?P<word>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s;{}"'#][^\s;{}]*)
    |(?P<mark>[;{}])""",
    re.VERBOSE,
)
_MODULES = "/etc/nginx/modules-enabled/*-mod-stream.conf"
_DIRECTIVES = {
    "": {
        "include",
        "load_module",
        "user",
        "worker_processes",
        "worker_rlimit_nofile",
        "pid",
        "error_log",
    }
    | {"worker_shutdown_timeout", "events", "stream"},
    "events": {"worker_connections"},
    "stream": {"log_format", "access_log", "upstream", "server"},
    "upstream": {"zone", "least_conn", "server"},
    "server": {"listen"}
    | {f"proxy_{what}" for what in ("pass", "connect_timeout", "timeout", "socket_keepalive")}
    | {"proxy_next_upstream", "proxy_next_upstream_timeout"},
}


def nginx(text: str) -> list[Words]:
    """Directives by their words, the names of the blocks around them first."""
    found: list[Words] = []
    inside: list[str] = []
    words: list[str] = []
    at = 0
    while at < len(text):
        match = _NGINX.match(text, at)
        if match is None:
            raise ValueError(f"nginx reads no word at {text[at : at + 40]!r}")
        at = match.end()
        if match["word"]:
            words.append(match["word"])
        elif match["mark"] == "}":
            if words or not inside:
                raise ValueError(f"a block ends at {text[:at][-40:]!r}")
            inside.pop()
        elif match["mark"]:
            if not words or words[0] not in _DIRECTIVES[inside[-1] if inside else ""]:
                raise ValueError(f"a directive that is not meant: {words}")
            if words[0] == "include" and words[1:] != [_MODULES]:
                raise ValueError(f"a file that is not meant: {words}")
            found.append((*inside, *words))
            if match["mark"] == "{":
                inside.append(words[0])
            elif words[0] == "server":
                _server(words)
            words = []
    if words or inside:
        raise ValueError("the last block does not end")
    return found


def _server(words: list[str]) -> None:
    _, where, *options = words
    address, _, port = where.rpartition(":")
    ipaddress.ip_address(address.strip("[]"))
    if not port.isdigit() or options != ["max_fails=2", "fail_timeout=5s"]:
        raise ValueError(f"an upstream that is not meant: {words}")


_SETTINGS = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {"Type", "PIDFile", "LogsDirectory", "ExecStartPre", "ExecStart", "ExecReload"}
    | {"KillSignal", "TimeoutStopSec", "Restart", "RestartSec", "LimitNOFILE", "PrivateTmp"},
    "Install": {"WantedBy"},
}


def unit(text: str) -> list[Words]:
    """Settings: section, name, value."""
    found: list[Words] = []
    section = ""
    for line in text.split("\n"):
        if not line or line[0] in "#;":
            continue
        if head := re.fullmatch(r"\[(\w+)\]", line):
            section = head[1]
            continue
        name, equals, value = line.partition("=")
        if not equals or name not in _SETTINGS.get(section, ()) or line.endswith("\\"):
            raise ValueError(f"a setting that is not meant: {line!r}")
        if "%" in value:
            raise ValueError(f"systemd would put something in: {line!r}")
        found.append((section, name, value))
    return found


READERS = {"pg_hba": pg_hba, "hosts": hosts, "nginx": nginx, "unit": unit}
