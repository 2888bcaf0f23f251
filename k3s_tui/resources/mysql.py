"""As much of MySQL and MariaDB as can be proved with what every server has: openssl."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.address import endpoint
from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote


@dataclass(frozen=True)
class MysqlState:
    resolved: bool = False
    served: bool = False
    said: str = ""


@dataclass(frozen=True)
class MysqlTls:
    """From this host: the name resolves, the port answers, and the database shows a certificate of
    that CA and name.  The user, the password and the privileges are K3s's to find out.
    """

    ca: str
    hostname: str
    port: int

    def probe(self) -> Probe[MysqlState]:
        where = quote(endpoint(self.hostname, self.port))
        return Probe(
            f"""
getent hosts {quote(self.hostname)} >/dev/null && echo resolved
said=$(timeout 10 openssl s_client -starttls mysql -connect {where} -CAfile {quote(self.ca)} \\
    -verify_hostname {quote(self.hostname)} -verify_return_error -brief </dev/null 2>&1) &&
    echo served
printf 'said %s\\n' "$(printf '%s' "$said" | grep -i error | tail -n 1)"
""",
            _parse,
        )

    def diff(self, now: MysqlState) -> Problem | None:
        if not now.resolved:
            return Problem(
                f"the name {self.hostname} does not resolve on this host",
                "is datastore.hostname right? Where no DNS knows it, give datastore.address",
            )
        if not now.served:
            where = endpoint(self.hostname, self.port)
            return Problem(
                f"no TLS session with {where}: {now.said or 'no answer'}",
                "usual causes: a firewall or security group; TLS is off there; datastore.ca is"
                " another CA, or datastore.hostname is not a name in its certificate",
            )
        return Problem(
            "the datastore's name, port and certificate are right; its user, password and"
            " privileges were not tried: for MySQL and MariaDB K3s's own start shows them",
            "try them by hand: mysql --ssl-mode=VERIFY_IDENTITY, or mariadb"
            " --ssl-verify-server-cert",
            warning=True,
        )


def _parse(out: bytes) -> MysqlState:
    lines = out.decode(errors="replace").splitlines()
    said = next((line[5:] for line in lines if line.startswith("said ")), "")
    return MysqlState("resolved" in lines, "served" in lines, sanitize(said))
