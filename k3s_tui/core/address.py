"""IP addresses and `host:port` in text: parsed, spelled and joined in this one place."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def ip(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a text is; None for a name."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def canonical(text: str) -> str:
    """The one spelling of an IP address (RFC 5952), as programs print it; a name as it is."""
    parsed = ip(text)
    return text if parsed is None else str(parsed)


def endpoint(host: str, port: int | str) -> str:
    """`name:22`, `10.0.0.1:22` or `[fd00::1]:22`: what URLs, nginx, ss and openssl take."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(scheme: str, host: str, port: int) -> str:
    """`https://[fd00::1]:6443`, without a path."""
    return f"{scheme}://{endpoint(host, port)}"


def parted(place: str) -> tuple[str, str]:
    """Host without brackets, and port, of what `endpoint` wrote; '' where there is no port."""
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        return host, rest.removeprefix(":")
    if place.count(":") == 1:
        host, _, port = place.partition(":")
        return host, port
    return place, ""
