"""Why K3s does not come up, from the last lines of its journal.

For showing only: whether K3s is up is decided by its answers, since log lines change with versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """A known cause and what to do about it."""

    text: str
    hint: str = ""


_KNOWN: tuple[tuple[str, Cause], ...] = (
    (
        r"bootstrap data already found and encrypted with different token",
        Cause(
            "the datastore holds a cluster with another token",
            "give the token of that cluster, or an empty database",
        ),
    ),
    (
        r"newer than datastore and could cause a cluster outage",
        Cause(
            "files of an earlier cluster are left under /var/lib/rancher/k3s/server",
            "run /usr/local/bin/k3s-uninstall.sh on this host if that cluster is gone",
        ),
    ),
    (
        r"no such host|Temporary failure in name resolution|server misbehaving",
        Cause(
            "the datastore's name does not resolve on this host",
            "look at /etc/hosts and at [datastore] hostname in the profile",
        ),
    ),
    (
        r"x509: certificate signed by unknown authority",
        Cause(
            "a certificate is not signed by the CA that K3s was given",
            "run `k3s-tui plan`: it compares the certificates on both sides",
        ),
    ),
    (
        r"x509: certificate has expired or is not yet valid",
        Cause("a certificate is not valid now", "compare the clocks of the hosts"),
    ),
    (
        r"x509: certificate is valid for",
        Cause("the datastore's certificate does not name the host that the DSN names"),
    ),
    (
        r"SQLSTATE 28P01",
        Cause(
            "PostgreSQL refused the password, or the certificate's CN is not the role",
            "the PostgreSQL log on the datastore host says which of the two it is",
        ),
    ),
    (
        r"SQLSTATE 28000",
        Cause(
            "PostgreSQL has no pg_hba line for this server, or wants a client certificate",
            "compare this server's source address with pg_hba.conf on the datastore host",
        ),
    ),
    (
        r"SQLSTATE 42501|permission denied for schema",
        Cause("the role may not create tables", "the database has to be owned by the role"),
    ),
    (
        r"SQLSTATE 53300|too many clients",
        Cause("PostgreSQL has no free connection", "raise max_connections"),
    ),
    (
        r"failed to find memory cgroup|cgroup v1 support is unsupported|failCgroupV1",
        Cause("the kernel's cgroups are not as the kubelet needs them"),
    ),
    (
        r"CA cert validation failed|token CA hash does not match",
        Cause(
            "this agent's token was made for a cluster with another CA",
            "run again: the token is made anew from the servers' CA",
        ),
    ),
    (
        r"Node password rejected",
        Cause(
            "another node of this name is registered with another password",
            "kubectl delete node NAME, and its secret NAME.node-password.k3s in kube-system",
        ),
    ),
    (
        r"address already in use",
        Cause("a port that K3s needs is taken", "`ss -lntp` on the host names the process"),
    ),
    (
        r"Failed to ping database connection",
        Cause("K3s cannot reach PostgreSQL", "the lines of the journal above say why"),
    ),
    (
        r"connection refused|i/o timeout|no route to host",
        Cause("a connection is refused or not answered", "look for a firewall between the hosts"),
    ),
)


def diagnose(journal: Iterable[str]) -> Cause | None:
    """The first known cause, looking from the newest line backwards; the specific before the vague.

    A cause that is said once at the start (a wrong token) and followed by noise still wins over
    the noise: causes are tried in order, each against all lines.
    """
    lines = list(journal)
    for pattern, cause in _KNOWN:
        if any(re.search(pattern, line) for line in lines):
            return cause
    return None
