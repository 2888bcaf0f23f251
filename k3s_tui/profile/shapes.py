"""The shapes of single values: one regular expression each, for validation and JSON schema alike.

`extra` holds the words for the operator: `code` and `what` of the problem, what was `expected`,
and `help`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta


def _text(
    pattern: str, what: str, expected: str, *, code: str, help: str = "", most: int | None = None
) -> Meta:
    extra: dict[str, Any] = {"what": what, "expected": expected, "code": code, "help": help}
    return Meta(pattern=pattern, max_length=most, description=expected, extra=extra)


_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_URL_HOST = r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"
_QUALIFIED = r"(([a-z0-9][a-z0-9.-]{0,251}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)"

ProfileName = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        "profile name",
        "1 to 63 letters, digits, '.', '_' or '-'",
        code="bad-name",
    ),
]
HostName = Annotated[
    str,
    _text(
        rf"^{_LABEL}(\.{_LABEL})*$",
        "host name",
        "lower-case letters, digits, '-' and '.', at most 63 (RFC 1123)",
        code="bad-host-name",
        help="it becomes the Kubernetes node name, which is always in lower case",
        most=63,
    ),
]
Address = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9:])?$",
        "address",
        "an IP address or a host name",
        code="bad-address",
        most=253,
    ),
]
NodeIp = Annotated[
    str,
    _text(
        r"^[0-9A-Fa-f.:]+(, ?[0-9A-Fa-f.:]+)?$",
        "node-ip",
        "an IP address, or one of IPv4 and one of IPv6 with a comma between",
        code="bad-address",
        most=128,
    ),
]
DnsName = Annotated[
    str,
    _text(
        # What looks like an IP address is for the rules: some modes take one.
        rf"^(({_LABEL}\.)*[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?"
        r"|[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-f]*:[0-9a-f:.]*)$",
        "DNS name",
        "a DNS name in lower case, such as postgres.example.internal",
        code="bad-dns-name",
        help="it is verified against the certificate's DNS name; an IP address does not do",
        most=253,
    ),
]
Identifier = Annotated[
    str,
    _text(
        r"^[a-z_][a-z0-9_]{0,62}$",
        "PostgreSQL name",
        "lower-case letters, digits and '_', not starting with a digit, at most 63",
        code="bad-database-name",
        help="PostgreSQL folds unquoted names to lower case, and the user is also the common name "
        "(CN) of the client certificates, which must equal the role letter by letter",
    ),
]
UserName = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9_][A-Za-z0-9._@\\-]*\$?$",
        "user name",
        "the name of an account on the host",
        code="bad-user",
    ),
]
Jump = Annotated[
    str,
    _text(
        r"^([A-Za-z0-9_][A-Za-z0-9._\\-]*@)?"
        r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
        r"(:[0-9]{1,5})?$",
        "jump host",
        "a host of this profile, or [user@]host[:port]",
        code="bad-jump",
    ),
]
K3sVersion = Annotated[
    str,
    _text(
        r"^v[0-9]+\.[0-9]+\.[0-9]+(-rc[0-9]+)?\+k3s[0-9]+$",
        "K3s version",
        "an exact release, such as v1.36.3+k3s1",
        code="bad-version",
        help="the releases are listed at https://github.com/k3s-io/k3s/releases",
    ),
]
ScriptUrl = Annotated[
    str,
    _text(
        rf"^https://{_URL_HOST}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~%/+-]*)?$",
        "script URL",
        "an https URL without user, password and query",
        code="bad-url",
    ),
]
MirrorUrl = Annotated[
    str,
    _text(
        rf"^https://{_URL_HOST}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~%/+-]*)?$",
        "mirror URL",
        "the https URL under which the folders of the releases lie",
        code="bad-url",
    ),
]
Folder = Annotated[
    str,
    _text(
        r"^[^\x00-\x1f\x7f]+$",
        "folder",
        "the path of a folder on this machine, from the profile's own folder on",
        code="bad-value",
    ),
]
PemFile = Annotated[
    str,
    _text(
        r"^[^\x00-\x1f\x7f]+$",
        "file",
        "the path of a PEM file on this machine, from the profile's own folder on",
        code="bad-value",
    ),
]
Identity = Annotated[
    str,
    _text(
        r"^[^\x00-\x1f\x7f]+$",
        "SSH identity",
        '"agent", or the path of a private key file',
        code="bad-identity",
    ),
]
LabelKey = Annotated[
    str,
    _text(
        rf"^{_QUALIFIED}$",
        "label key",
        "[prefix/]name, as Kubernetes defines it",
        code="bad-label",
    ),
]
LabelValue = Annotated[
    str,
    _text(
        r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$",
        "label value",
        "at most 63 letters, digits, '-', '_' or '.'",
        code="bad-label",
    ),
]
Taint = Annotated[
    str,
    _text(
        rf"^{_QUALIFIED}(=([A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?)?)?"
        r":(NoSchedule|PreferNoSchedule|NoExecute)$",
        "taint",
        "key[=value]:Effect, with the effect NoSchedule, PreferNoSchedule or NoExecute",
        code="bad-taint",
    ),
]


def _number(least: int, most: int, what: str, unit: str = "") -> Meta:
    expected = f"a whole number from {least} to {most}{unit and ' ' + unit}"
    extra = {"what": what, "expected": expected, "code": "out-of-range"}
    return Meta(ge=least, le=most, description=expected, extra=extra)


Port = Annotated[int, _number(1, 65535, "port")]
ConnectTimeout = Annotated[int, _number(1, 600, "timeout", "(seconds)")]
LeafDays = Annotated[int, _number(90, 825, "leaf-days", "(days)")]
CaDays = Annotated[int, _number(365, 7300, "ca-days", "(days)")]
RenewDays = Annotated[int, _number(1, 824, "renew-days", "(days)")]

Role = Annotated[
    Literal["server", "agent", "datastore", "loadbalancer"],
    Meta(extra={"what": "role", "code": "unknown-role"}),
]
Roles = Annotated[
    list[Role],
    Meta(
        min_length=1,
        extra={"what": "list of roles", "expected": "at least one role", "code": "no-role"},
    ),
]
