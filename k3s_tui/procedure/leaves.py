"""The certificates of hosts: signed here, or somewhere else and given."""

from __future__ import annotations

from k3s_tui.core.contract import Host, Step
from k3s_tui.core.errors import Refused
from k3s_tui.engine.graph import Steps
from k3s_tui.pki.profiles import LeafProfile, datastore_client
from k3s_tui.procedure import own_pki
from k3s_tui.procedure.site import Site
from k3s_tui.resources import given_certificate
from k3s_tui.resources.certificate import HostCertificate
from k3s_tui.resources.given_certificate import CertificateCame, GivenCertificate
from k3s_tui.resources.k3s.config import DatastoreFiles
from k3s_tui.resources.postgres.settings_script import Tls

DATASTORE_FOLDER = "/etc/k3s-tui/postgresql"
"""PostgreSQL's CA, certificate and key."""

TLS = Tls(
    certificate=f"{DATASTORE_FOLDER}/current/tls.crt",
    key=f"{DATASTORE_FOLDER}/current/tls.key",
    ca=f"{DATASTORE_FOLDER}/ca.crt",
)

CLIENT_FOLDER = "/etc/k3s-tui/datastore"
"""A server's CA, certificate and key for PostgreSQL.  Not below /etc/rancher, which K3s's own
uninstall script removes."""

FILES = DatastoreFiles(
    ca=f"{CLIENT_FOLDER}/ca.crt",
    certificate=f"{CLIENT_FOLDER}/current/tls.crt",
    key=f"{CLIENT_FOLDER}/current/tls.key",
)


def of_datastore(site: Site, owner: str) -> HostCertificate:
    name = site.profile.datastore_host
    wanted = own_pki.of_datastore(site.profile, site.addresses(name))
    return _leaf(site, own_pki.DATASTORE, DATASTORE_FOLDER, wanted, owner)


def of_server(site: Site, name: str) -> HostCertificate:
    wanted = datastore_client(site.profile.datastore.user, name)
    return _leaf(site, own_pki.client_name(name), CLIENT_FOLDER, wanted, "root:root")


def preflight(name: str, certificate: HostCertificate) -> Steps:
    """What must have come from elsewhere before the host `name` is touched."""
    if not isinstance(certificate, GivenCertificate):
        return ()
    what = f"{certificate.profile.usage}-certificate"
    return (Step(f"{name}/preflight/{what}", Host(name), CertificateCame(certificate)),)


def request(site: Site, name: str) -> str:
    """sh that prints the signing request of one of `own_pki.expected`."""
    if name == own_pki.DATASTORE:
        certificate = of_datastore(site, "root:root")
    else:
        certificate = of_server(site, own_pki.host_of(site.profile, name))
    wanted = certificate.profile
    unit = f"OU={wanted.unit}\n" if wanted.unit else ""
    names = [f"DNS:{name}" for name in wanted.dns] + [f"IP:{at}" for at in wanted.addresses]
    return given_certificate.request(
        certificate.folder, f"{unit}CN={wanted.common_name}\n", tuple(names)
    )


def by_hand(site: Site, host: str) -> str:
    """What to try where `request` found no openssl: a run installs it, but wants the certificates
    first.
    """
    try:
        family = site.family(host)
        command = f"{family.by_hand} {' '.join(family.packages_for('openssl'))}"
    except Refused:
        return "install openssl there, then run this again"
    return f"install it there, as root: {command}; then run this again"


def _leaf(site: Site, name: str, folder: str, wanted: LeafProfile, owner: str) -> HostCertificate:
    pki = site.profile.pki
    life = (pki.leaf_days, pki.renewal_window)
    if site.authority.signs:
        return HostCertificate(folder, wanted, site.authority, *life, owner=owner)
    return GivenCertificate(
        folder, wanted, site.authority, *life, owner=owner, leaf=site.leaves.get(name)
    )
