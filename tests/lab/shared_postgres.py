"""A PostgreSQL that serves others before anybody thinks of K3s, and its clients."""

from __future__ import annotations

from .lab import Lab

CONF = "/etc/postgresql/15/main"

_CERTIFICATES = r"""
set -e; umask 077; mkdir -p /root/theirs; cd /root/theirs
new() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
ca() { new "$1"; openssl req -x509 -new -key "$1.key" -days 30 -subj "/CN=$1" -out "$1.crt"; }
sign() { # name, CA, common name, extensions
    new "$1"
    openssl req -new -key "$1.key" -subj "/CN=$3" -out "$1.csr"
    printf '%s\n' "$4" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 \
        -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}
ca site-ca; ca clients-ca; ca partners-ca
sign server site-ca db 'subjectAltName=DNS:postgres.rancher.rke2,DNS:db.example.org'
sign other site-ca db 'subjectAltName=DNS:db.example.org'
sign client clients-ca wiki extendedKeyUsage=clientAuth
sign partner partners-ca partner extendedKeyUsage=clientAuth
{
    echo '# Who may ask: the wiki,'; cat clients-ca.crt
    echo '# and partners, as clients alone.'
    openssl x509 -in partners-ca.crt -trustout -addtrust clientAuth
} > asking.pem
"""

_POSTGRES = r"""
set -e; umask 022; export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends postgresql >/dev/null 2>&1
cd /etc/postgresql/15/main
for name in server other; do
    install -o postgres -g postgres -m 0600 /root/theirs/$name.key $name.key
    install -m 0644 /root/theirs/$name.crt $name.crt
done
install -m 0644 /root/theirs/asking.pem asking.pem
cat > conf.d/site.conf <<'EOF'
ssl = on
ssl_cert_file = '/etc/postgresql/15/main/server.crt'
ssl_key_file = '/etc/postgresql/15/main/server.key'
ssl_ca_file = '/etc/postgresql/15/main/asking.pem'
ssl_min_protocol_version = 'TLSv1.2'
password_encryption = 'md5'
EOF
cat > rules <<'EOF'
# The wiki's own rules.
host wiki shop 127.0.0.1/32 md5
hostssl wiki wiki,partner 127.0.0.1/32 cert
EOF
cat rules pg_hba.conf > new && cat new > pg_hba.conf && rm new rules
cd /
systemctl restart postgresql
runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 <<'EOF'
create role wiki login;
create role partner login;
create role shop login password 'shop-password';
create database wiki owner wiki;
\c wiki
create table page (title text);
insert into page values ('kept');
grant select on page to shop, wiki, partner;
EOF
"""

_SSL = "sslmode=verify-full sslrootcert=/root/theirs/site-ca.crt host=postgres.rancher.rke2"
PASSWORD_CLIENT = "hostaddr=127.0.0.1 user=shop dbname=wiki password=shop-password"
TLS_CLIENT = (
    f"hostaddr=127.0.0.1 user=wiki dbname=wiki {_SSL}"
    " sslcert=/root/theirs/client.crt sslkey=/root/theirs/client.key"
)
TRUSTED_CLIENT = (
    f"hostaddr=127.0.0.1 user=partner dbname=wiki {_SSL}"
    " sslcert=/root/theirs/partner.crt sslkey=/root/theirs/partner.key"
)
"""Its CA stands in ssl_ca_file as a TRUSTED CERTIFICATE, OpenSSL's own kind of block."""


def make(lab: Lab) -> None:
    lab.host("postgres").sh(f"{_CERTIFICATES}\n{_POSTGRES}", within=180)


def sql(lab: Lab, text: str) -> str:
    """As the superuser."""
    return (
        lab.host("postgres").sh(f"runuser -u postgres -- psql -XAtq <<'EOF'\n{text}\nEOF").strip()
    )


def clients_say(lab: Lab) -> list[str]:
    """What each of the wiki's clients reads, in a session of its own."""
    ask = "select title from page"
    host = lab.host("postgres")
    return [
        host.sh(f"psql -XAtq {who!r} -c {ask!r} 2>&1 || :").strip()
        for who in (PASSWORD_CLIENT, TLS_CLIENT, TRUSTED_CLIENT)
    ]


def configured(lab: Lab, *lines: str) -> None:
    """Put settings of theirs after what they have, and reload."""
    text = "\n".join(lines)
    lab.host("postgres").sh(
        f"cat > /etc/postgresql/15/main/conf.d/site2.conf <<'EOF'\n{text}\nEOF\n"
        "systemctl reload postgresql"
    )


def revoke_nobody(lab: Lab) -> None:
    """An empty revocation list of their clients' CA, in force."""
    lab.host("postgres").sh(
        f"""
        set -e; cd /root/theirs; : >index; echo 01 >crlnumber
        printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=crlnumber\n' >crl.cnf
        openssl ca -config crl.cnf -gencrl -keyfile clients-ca.key -cert clients-ca.crt \\
            -md sha256 -crldays 30 -out list.crl
        install -m 0644 list.crl {CONF}/list.crl
        """
    )
    configured(lab, f"ssl_crl_file = '{CONF}/list.crl'")
