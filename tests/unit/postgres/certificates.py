"""Certificates for a test server, made by the tool's own authority or wrong on purpose."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from k3s_tui.pki.authority import Authority, KeyPair
from k3s_tui.pki.profiles import LeafProfile, datastore_client, datastore_server
from k3s_tui.resources.postgres.settings_script import Tls

HOSTNAME = "postgres.test"


def now() -> datetime:
    return datetime.now(UTC)


def authority(name: str = "test CA") -> Authority:
    return Authority.create(name, 30, now())


def server_pair(ca: Authority, *names: str, at: datetime | None = None) -> KeyPair:
    profile = datastore_server(names[0] if names else HOSTNAME)
    return ca.issue_short_lived(profile, at or now())


def client_pair(ca: Authority, user: str = "k3s", at: datetime | None = None) -> KeyPair:
    return ca.issue_short_lived(datastore_client(user, "k3s-server-1"), at or now())


def wrong_usage(ca: Authority) -> KeyPair:
    return ca.issue_short_lived(LeafProfile("server", "k3s", dns=("k3s",)), now())


LONG_AGO = timedelta(days=2)


def install(folder: Path, ca: Authority, pair: KeyPair) -> Tls:
    """Put them below `folder`, the key for the user postgres alone."""
    home = folder / "tls"
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    tls = Tls(f"{home}/server.crt", f"{home}/server.key", f"{home}/ca.crt")
    for path, text in (
        (tls.certificate, pair.certificate_pem),
        (tls.key, pair.key.reveal()),
        (tls.ca, ca.certificate_pem),
    ):
        Path(path).write_text(text)
        Path(path).chmod(0o644)
    shutil.chown(tls.key, "postgres", "postgres")
    Path(tls.key).chmod(0o600)
    return tls
