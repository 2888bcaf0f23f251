"""The profile: what the operator wants, as written in `NAME.toml` (design.md §5).

Names in the file are those of the fields in kebab-case.  Shapes of single values are checked by
the types, what concerns several of them by `rules`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlsplit

from msgspec import Struct, field

from k3s_tui.core.address import canonical
from k3s_tui.profile.reference import SecretRef
from k3s_tui.profile.shapes import (
    Address,
    CaDays,
    ConnectTimeout,
    DnsName,
    Folder,
    HostName,
    Identifier,
    Identity,
    Jump,
    K3sVersion,
    LabelKey,
    LabelValue,
    LeafDays,
    MirrorUrl,
    NodeIp,
    PemFile,
    Port,
    ProfileName,
    RenewDays,
    Roles,
    ScriptUrl,
    Taint,
    UserName,
)

SCHEMA = 1
"""Raised when an older k3s-tui would misread the file."""

SCRIPT_URL = "https://get.k3s.io"
"""K3s's own install script."""

RELEASES = "https://github.com/k3s-io/k3s/releases/download"

RANCHERS_MIRRORS = frozenset({"rancher-mirror.rancher.cn", "rancher-mirror.cnrancher.com"})
"""Hosts of Rancher's mirror in China, which names releases v1.36.3-k3s1, and the script otherwise
than the releases do."""

Engine: TypeAlias = Literal["postgresql", "mysql"]
"""`mysql` is MariaDB, too."""

PORTS: dict[Engine, int] = {"postgresql": 5432, "mysql": 3306}

RoleName: TypeAlias = Literal["server", "agent", "datastore", "loadbalancer"]


class Ssh(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """How every host is reached; a host's own settings come first."""

    user: UserName
    port: Port = 22
    identity: Identity = "agent"
    become: Literal["sudo", "root"] = "sudo"
    sudo_password: SecretRef | None = None
    connect_timeout: ConnectTimeout = 10


class HostEntry(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """One machine.  `address` is where SSH goes; `node-ip` is what the other hosts use, if that
    is another address.  As for K3s it may be two, of IPv4 and IPv6, the preferred one first.
    """

    address: Address
    roles: Roles
    port: Port | None = None
    user: UserName | None = None
    jump: Jump | None = None
    node_ip: NodeIp | None = None
    labels: dict[LabelKey, LabelValue] = field(default_factory=dict)
    taints: list[Taint] = field(default_factory=list)

    @property
    def node_ips(self) -> tuple[str, ...]:
        """The addresses in `node-ip`, as written."""
        return tuple(part.strip() for part in self.node_ip.split(",")) if self.node_ip else ()

    @property
    def cluster_addresses(self) -> tuple[str, ...]:
        """Where the other hosts reach this one: an address of each family, or a name."""
        return tuple(map(canonical, self.node_ips or (self.address,)))

    @property
    def cluster_address(self) -> str:
        """The first of them."""
        return self.cluster_addresses[0]


class Datastore(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """What holds the cluster's state: PostgreSQL that is ours, a database of somebody else's, or
    etcd inside the servers.  `modes` knows which setting means something in which mode.

    The three files are paths on the laptop.  `hostname` is what certificates are compared with: a
    name, and for somebody else's an IP address, too.  `address` is for /etc/hosts, where no DNS
    knows the name.  `cluster` says what a managed one does on a host that has PostgreSQL for others
    already: join them there, or make a second cluster on `port`.
    """

    mode: Literal["managed", "existing", "embedded"] = "managed"
    cluster: Literal["adopt", "own"] = "adopt"
    engine: Engine = "postgresql"
    hostname: DnsName = ""
    address: Address | None = None
    given_port: Port | None = field(default=None, name="port")
    hosts_entry: Literal["auto", "never"] = "auto"
    database: Identifier = "k3s"
    user: Identifier = "k3s"
    password: SecretRef | None = None
    ca: PemFile | None = None
    client_certificate: PemFile | None = None
    client_key: PemFile | None = None

    @property
    def port(self) -> int:
        return self.given_port or PORTS[self.engine]


class Pki(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The certificates between the servers and the datastore.

    `bring-your-own`: `ca` is a bundle on the laptop.  With `ca-key` leaves are signed here, under
    it; without, elsewhere (`k3s-tui pki csr`, `k3s-tui pki import`).
    """

    mode: Literal["managed", "bring-your-own"] = "managed"
    ca: PemFile | None = None
    ca_key: PemFile | None = None
    ca_key_passphrase: SecretRef | None = None
    leaf_days: LeafDays = 730
    ca_days: CaDays = 3650
    renew_days: RenewDays | None = None
    datastore_san: list[Address] = field(default_factory=list)
    """More names and addresses of PostgreSQL, for its certificate."""

    @property
    def renewal_window(self) -> int:
        """Days before its end from which on a leaf is renewed; a third of its life by default."""
        return self.leaf_days // 3 if self.renew_days is None else self.renew_days


class LoadBalancer(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """`address` and `port` are the fixed registration address of the cluster.

    `external`: somebody else's leads there already; `method` is only for one that is ours.
    """

    mode: Literal["managed", "external"] = "managed"
    address: Address
    port: Port = 6443
    method: Literal["least_conn", "round_robin"] | None = None


class K3s(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The two tables go into K3s's config.yaml as they are."""

    version: K3sVersion
    token: SecretRef
    agent_token: SecretRef
    tls_san: list[Address] = field(default_factory=list)
    server_config: dict[str, Any] = field(default_factory=dict)
    agent_config: dict[str, Any] = field(default_factory=dict)


class Install(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """Where K3s comes from: its releases, a `mirror` of them, or a `bundle` on the laptop."""

    source: Literal["online", "mirror", "airgap"] = "online"
    script_url: ScriptUrl = SCRIPT_URL
    mirror: MirrorUrl | None = None
    bundle: Folder | None = None

    @property
    def script(self) -> str:
        """Where the install script comes from, by which its sum is recorded: a URL or "bundle"."""
        if self.source == "airgap":
            return "bundle"
        if self.source == "mirror" and self.script_url == SCRIPT_URL:
            name = "k3s-install.sh" if self._is_ranchers else "install.sh"
            return f"{(self.mirror or '').rstrip('/')}/{name}"
        return self.script_url

    def releases(self, version: str) -> str:
        """The URL under which the files of that release lie."""
        base = self.mirror if self.source == "mirror" and self.mirror else RELEASES
        named = version.replace("+", "-") if self._is_ranchers else quote(version, safe="")
        return f"{base.rstrip('/')}/{named}"

    @property
    def _is_ranchers(self) -> bool:
        return self.source == "mirror" and urlsplit(self.mirror or "").hostname in RANCHERS_MIRRORS


class Profile(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A cluster as the operator wants it.  It holds references to secrets and no secret."""

    schema: Literal[1]
    name: ProfileName
    note: str = ""
    ssh: Ssh
    hosts: dict[HostName, HostEntry]
    datastore: Datastore
    pki: Pki = field(default_factory=Pki)
    loadbalancer: LoadBalancer
    k3s: K3s
    install: Install = field(default_factory=Install)

    def with_role(self, role: RoleName) -> dict[str, HostEntry]:
        """The hosts that have a role, by name, in the order of the file."""
        return {name: host for name, host in self.hosts.items() if role in host.roles}

    @property
    def servers(self) -> dict[str, HostEntry]:
        return self.with_role("server")

    @property
    def agents(self) -> dict[str, HostEntry]:
        return self.with_role("agent")

    @property
    def k3s_nodes(self) -> dict[str, HostEntry]:
        """Servers and agents, in the order of the file."""
        return {n: h for n, h in self.hosts.items() if {"server", "agent"} & set(h.roles)}

    @property
    def has_certificates(self) -> bool:
        """Whether the datastore is ours, and so its and its clients' certificates."""
        return self.datastore.mode == "managed"

    @property
    def has_authority(self) -> bool:
        """Whether a CA of this cluster's own, in its store, signs for the datastore."""
        return self.has_certificates and self.pki.mode == "managed"

    @property
    def signs(self) -> bool:
        """Whether leaves are signed by k3s-tui, be it under somebody else's CA."""
        return self.has_authority or (self.has_certificates and self.pki.ca_key is not None)

    @property
    def datastore_host(self) -> str:
        """The name of the managed datastore's host; the rules see to it that there is one."""
        return next(iter(self.with_role("datastore")))

    @property
    def loadbalancer_host(self) -> str:
        """The name of the managed load balancer; the rules see to it that there is one."""
        return next(iter(self.with_role("loadbalancer")))

    @property
    def api_port(self) -> int:
        """The port that every server's API listens on."""
        port = self.k3s.server_config.get("https-listen-port", 6443)
        return port if isinstance(port, int) else 6443

    def ssh_user(self, host: str) -> str:
        return self.hosts[host].user or self.ssh.user

    def ssh_port(self, host: str) -> int:
        return self.hosts[host].port or self.ssh.port

    @property
    def secret_refs(self) -> dict[str, SecretRef]:
        """Every reference of the profile, by its place: `k3s.token` → `store:k3s.token`."""
        refs = {"k3s.token": self.k3s.token, "k3s.agent-token": self.k3s.agent_token}
        if self.datastore.password is not None:
            refs = {"datastore.password": self.datastore.password, **refs}
        if self.ssh.sudo_password is not None:
            refs["ssh.sudo-password"] = self.ssh.sudo_password
        if self.pki.ca_key_passphrase is not None:
            refs["pki.ca-key-passphrase"] = self.pki.ca_key_passphrase
        return refs
