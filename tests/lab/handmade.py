"""The how-to done by hand, corrected: a cluster made with nothing of the product.

It proves the lab and the stand-in by themselves, and is what the product is compared with.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from .containers import Container
from .lab import Lab
from .releases import offered_version

TOKEN = "handmade-token-0123456789abcdef"
AGENT_TOKEN = "handmade-agent-token-0123456789"
PASSWORD = "p@ss/word%1"
"""With characters that a URL must encode."""

DSN = "postgres://k3s:p%40ss%2Fword%251@postgres.rancher.rke2:5432/K3S?sslmode=verify-full"
"""The database's name in capitals: kine lower-cases it."""

_TLS = PurePosixPath("/etc/rancher/k3s/datastore")

_MAKE_CERTIFICATES = """
set -e; umask 077; mkdir -p /root/pki; cd /root/pki
new() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
new ca
openssl req -x509 -new -key ca.key -days 30 -subj /CN=handmade-ca -out ca.crt
sign() {
    new "$1"
    openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    printf '%s\n' "$3" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
        -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}
sign server postgres 'subjectAltName=DNS:postgres.rancher.rke2,IP:10.161.129.212'
sign client k3s extendedKeyUsage=clientAuth
sign stranger somebody-else extendedKeyUsage=clientAuth
"""

_MAKE_DATABASE = """
set -e; export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends postgresql >/dev/null 2>&1
cd /etc/postgresql/15/main
install -o postgres -g postgres -m 0600 /root/pki/server.key server.key
install -m 0644 /root/pki/server.crt server.crt
install -m 0644 /root/pki/ca.crt ca.crt
cat > conf.d/handmade.conf <<'EOF'
listen_addresses = '*'
ssl = on
ssl_cert_file = '/etc/postgresql/15/main/server.crt'
ssl_key_file = '/etc/postgresql/15/main/server.key'
ssl_ca_file = '/etc/postgresql/15/main/ca.crt'
EOF
cat > rules <<'EOF'
hostssl k3s k3s 10.161.129.54/32 scram-sha-256 clientcert=verify-full
hostssl k3s k3s 10.161.129.154/32 scram-sha-256 clientcert=verify-full
host all k3s all reject
host k3s all all reject
EOF
cat rules pg_hba.conf > new && cat new > pg_hba.conf && rm new rules
cd /
systemctl restart postgresql
runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 -v password="$PASSWORD" <<'EOF'
create role k3s login password :'password';
create database k3s owner k3s;
EOF
"""

_MAKE_LOADBALANCER = """
set -e; export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends nginx libnginx-mod-stream >/dev/null 2>&1
cat >> /etc/nginx/nginx.conf <<'EOF'
stream {
    log_format to '$upstream_addr';
    access_log /var/log/nginx/k3s.log to;
    upstream k3s {
        zone k3s 64k;
        least_conn;
        server 10.161.129.54:6443 max_fails=3 fail_timeout=5s;
        server 10.161.129.154:6443 max_fails=3 fail_timeout=5s;
    }
    server {
        listen 6443;
        proxy_connect_timeout 2s;
        proxy_timeout 24h;
        proxy_pass k3s;
    }
}
EOF
nginx -t 2>/dev/null
systemctl restart nginx
"""


def make_certificates(lab: Lab) -> None:
    """A CA, and pairs of a server, a client and a stranger, in /root/pki of the database's host."""
    lab.host("postgres").sh(_MAKE_CERTIFICATES)


def make_datastore(lab: Lab) -> None:
    """PostgreSQL with mutual TLS."""
    make_certificates(lab)
    postgres = lab.host("postgres")
    postgres.sh(f"PASSWORD={shlex.quote(PASSWORD)}\n{_MAKE_DATABASE}", within=180)


def make_loadbalancer(lab: Lab) -> None:
    """nginx in front of the servers, which may be made later."""
    lab.host("nginx").sh(_MAKE_LOADBALANCER, within=180)


def give_client_files(lab: Lab, server: Container, which: str = "client") -> None:
    """Put the CA and a client's pair where the server's configuration names them."""
    postgres = lab.host("postgres")
    server.sh(f"umask 077; mkdir -p {_TLS}")
    for source, target in (
        ("ca.crt", "ca.crt"),
        (f"{which}.crt", "client.crt"),
        (f"{which}.key", "client.key"),
    ):
        content = postgres.sh(f"cat /root/pki/{source}")
        server.sh(f"umask 077; cat > {_TLS}/{target} <<'EOF'\n{content}EOF\n")


def configure_server(lab: Lab, server: Container, *, token: str = TOKEN) -> None:
    """Hosts entry, configuration and secrets, before the installation."""
    give_client_files(lab, server)
    server.sh(
        f"""
        set -e; umask 077
        grep -q rke2 /etc/hosts || echo '10.161.129.212 postgres.rancher.rke2' >> /etc/hosts
        mkdir -p /etc/rancher/k3s/config.yaml.d
        cat > /etc/rancher/k3s/config.yaml <<'EOF'
datastore-cafile: {_TLS}/ca.crt
datastore-certfile: {_TLS}/client.crt
datastore-keyfile: {_TLS}/client.key
tls-san:
  - 10.161.129.118
node-ip: {server.host.address}
EOF
        cat > /etc/rancher/k3s/config.yaml.d/50-secrets.yaml <<'EOF'
token: {token}
agent-token: {AGENT_TOKEN}
datastore-endpoint: "{DSN}"
EOF
        """
    )


def install(host: Container, arguments: str, *, start: bool = True) -> str:
    """Run the install script as the how-to does; returns what it said."""
    skip = "" if start else "INSTALL_K3S_SKIP_START=true "
    return host.sh(
        f"curl -sfL https://get.k3s.io | {skip}INSTALL_K3S_VERSION={offered_version()} "
        f"sh -s - {arguments} 2>&1",
        within=60,
    )


def join_agent(lab: Lab, *, token: str | None = None) -> None:
    """Install the agent with the secure form of the agent token; it joins in the background."""
    agent, server = lab.host("k3s-agent"), lab.host("k3s-server-1")
    if token is None:
        token = server.sh("cat /var/lib/rancher/k3s/server/agent-token").strip()
    agent.sh(
        f"""
        umask 077; mkdir -p /etc/rancher/k3s
        cat > /etc/rancher/k3s/config.yaml <<'EOF'
server: https://10.161.129.118:6443
token: {token}
node-label: [pool=general]
EOF
        """
    )
    install(agent, "agent", start=False)
    agent.sh("systemctl start --no-block k3s-agent")


def make_cluster(lab: Lab) -> None:
    """Everything: datastore, load balancer, two servers, one agent."""
    make_datastore(lab)
    make_loadbalancer(lab)
    for server in lab.of_role("server"):
        configure_server(lab, server)
        install(server, "server")
    join_agent(lab)
