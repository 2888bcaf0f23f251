"""A load balancer that was there before: it is used, proved, and never touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit

from . import handmade
from .lab import Lab
from .operators import changes, snapshot
from .product import Done, Product

SERVERS = ("k3s-server-1", "k3s-server-2")
REACHED = "verification/reached-through-load-balancer"
ANSWERS = "verification/registration-answers"


def external(product: Product) -> None:
    """Take the load balancer's host out of the profile."""
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"]["nginx"]
    balancer = document["loadbalancer"]
    balancer["mode"] = "external"
    balancer.pop("method", None)
    product.profile.write_text(tomlkit.dumps(document))


def failure(done: Done, step: str) -> str:
    (event,) = done.of("step-done", step=step)
    return f"{event['error']}\n{event['hint']}"


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    handmade.make_loadbalancer(bare_hosts)
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    external(product)
    assert product.init().status == 0
    return product


def test_a_cluster_behind_it(product: Product) -> None:
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 0, done
    assert {f"{name}/{what}" for name in SERVERS for what in (REACHED, ANSWERS)} <= done.steps("ok")
    assert not [change for change in changes(before, snapshot(product.lab)) if "nginx:" in change]
    again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again


def test_a_certificate_without_its_address_is_told_from_another_ca(product: Product) -> None:
    """It passes TLS on as it should, to servers of this cluster: they lack its name."""
    address = product.lab.addresses["nginx"]
    for name in SERVERS:
        product.lab.host(name).sh(f"""
        grep -qF {address} /etc/rancher/k3s/config.yaml
        sed -i 's/{address}/10.161.129.119/' /etc/rancher/k3s/config.yaml
        systemctl restart k3s
        """)
    done = product.run("verify", product.profile, "--json")
    assert done.status == 6, done
    assert {f"{name}/{ANSWERS}" for name in SERVERS} == done.steps("failed"), done
    for name in SERVERS:
        told = failure(done, f"{name}/{ANSWERS}")
        assert f"{address}:6443 answers with this cluster's certificate, which does not" in told
        assert "k3s-tui apply puts it into tls-san" in told, told
    # What it says to try does help.
    done = product.apply()
    assert done.status == 0, done
    assert {f"{name}/servers/k3s" for name in SERVERS} <= done.steps("changed")
    assert {f"{name}/{ANSWERS}" for name in SERVERS} <= done.steps("ok")


def test_a_server_that_it_does_not_know_is_named(product: Product) -> None:
    nginx = product.lab.host("nginx")
    nginx.sh("sed -i '/10.161.129.154:6443/d' /etc/nginx/nginx.conf; nginx -s reload")
    done = product.run("verify", product.profile, "--json")
    assert done.status == 6, done
    assert done.steps("failed") == {f"k3s-server-2/{REACHED}"}, done
    assert "none of 12 connections to the load balancer came to this server" in failure(
        done, f"k3s-server-2/{REACHED}"
    )


def test_one_that_ends_tls_itself_is_refused(product: Product) -> None:
    product.lab.host("nginx").sh("""
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj /CN=its-own -keyout /etc/nginx/own.key -out /etc/nginx/own.crt 2>/dev/null
    sed -i 's|listen 6443;|listen 6443 ssl; ssl_certificate /etc/nginx/own.crt;\
        ssl_certificate_key /etc/nginx/own.key; proxy_ssl on;|' /etc/nginx/nginx.conf
    nginx -t 2>/dev/null && nginx -s reload
    """)
    done = product.run("verify", product.profile, "--json")
    assert done.status == 6, done
    assert f"k3s-server-1/{ANSWERS}" in done.steps("failed"), done
    told = failure(done, f"k3s-server-1/{ANSWERS}")
    assert "answers with a certificate that is not this cluster's" in told
    assert "must pass TLS on as it is" in told


def test_the_plan_has_nothing_for_it(product: Product, tmp_path: Path) -> None:
    plan = product.plan()
    assert not [event for event in plan.of("planned") if event["host"] == "nginx"]
    assert plan.of("planned", step="k3s-server-1/loadbalancer/answers")
