"""A load balancer's host whose nginx serves a site already."""

from __future__ import annotations

import pytest

from .lab import Lab
from .observe import Poll
from .operators import changes, refused, snapshot
from .product import Product

SITE = "http://127.0.0.1:8080/"
OURS = {
    "nginx:/etc/nginx/k3s-tui-lb.conf",
    "nginx:/etc/nginx/modules-enabled/50-mod-stream.conf",
}
"""Of which the second is of the package with nginx's stream module.  Theirs loads it, too, at its
next reload."""

_SITE = r"""
set -e; umask 022; export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends nginx >/dev/null 2>&1
rm /etc/nginx/sites-enabled/default
cat > /etc/nginx/conf.d/site.conf <<'EOF'
server {
    listen 8080;
    listen 6443;
    return 200 "the old site\n";
}
EOF
systemctl restart nginx
"""


def service(lab: Lab) -> str:
    """What systemd says of their nginx: its process, since when, and whether a boot starts it."""
    properties = "--property=MainPID,ActiveEnterTimestamp,UnitFileState,LoadState"
    return lab.host("nginx").sh(f"systemctl show nginx.service {properties}")


def answer(lab: Lab) -> str:
    return lab.host("nginx").sh(f"curl -sS --max-time 20 {SITE} 2>&1 || :")


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    bare_hosts.host("nginx").sh(_SITE, within=180)
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    assert product.init().status == 0
    return product


def test_a_site_on_the_registration_port(product: Product) -> None:
    assert answer(product.lab) == "the old site\n"
    before = service(product.lab)
    refused(product, 5, "port 6443 is taken by nginx", "not the load balancer", "[loadbalancer]")
    assert service(product.lab) == before


def test_ours_runs_beside_it(product: Product) -> None:
    lab = product.lab
    lab.host("nginx").sh("sed -i /6443/d /etc/nginx/conf.d/site.conf; systemctl reload nginx")
    before, known = snapshot(lab), service(lab)
    with Poll(lambda: answer(lab) == "the old site\n", per_second=10).going() as poll:
        done = product.apply()
    assert done.status == 0, done
    assert (poll.failures, service(lab)) == (0, known), done
    written = {path for path in changes(before, snapshot(lab)) if ":/etc/nginx/" in path}
    assert written == OURS, done
    again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again
