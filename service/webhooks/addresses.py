"""What a webhook may call: a public host by https, never an address inside the operator's network.

A URL is taken apart once, by one strict pattern, and the request is built from those parts: two parsers that
read the same text differently are how such checks are evaded. A host's addresses are looked up once for each
call, and exactly those are connected to.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from service.errors import WebhookRefused
from service.settings import Settings

MAX_URL_CHARACTERS = 2000
Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:[/?][a-z0-9._~!$&'()*+,;=:@%/?-]*)?)",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_PORTS = {"https": 443, "http": 80}

_INSIDE = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
)
# Nobody's servers, or those of the cloud itself: a host's metadata, a network's own tables.
_SPECIAL = (
    "0.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fd00:ec2::254/128",
)  # fmt: skip
# Outside of it lie those that hold an IPv4 address (mapped, NAT64), link-local ones, multicast and the rest.
_GLOBAL_IPV6 = IPv6Network("2000::/3")


def _networks(names: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(name) for name in names)


INSIDE, SPECIAL = _networks(_INSIDE), _networks(_SPECIAL)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the operator allows. `hosts` empty: every public host by https. Otherwise those alone, which may
    also be private; and those of `plain` by http too.
    """

    hosts: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> "Allowance":
        plain = frozenset(
            host.removeprefix("http://") for host in settings.webhook_hosts if host.startswith("http://")
        )
        return cls(plain | {host for host in settings.webhook_hosts if "://" not in host}, plain)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its parts; `host` without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    is_listed: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_target(url: str, allowance: Allowance) -> Target:
    """Raises:
    WebhookRefused: this is no URL that may be called, wherever it leads.
    """
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARACTERS else None
    if found is None:
        raise WebhookRefused("The URL is not one of the form https://host/path.")
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = int(found["port"] or _PORTS[scheme])
    is_listed = host in allowance.hosts
    if allowance.hosts and not is_listed:
        raise WebhookRefused("The operator has not listed this host.")
    if scheme == "http" and host not in allowance.plain:
        raise WebhookRefused("Only https is called.")
    if port > 65535:
        raise WebhookRefused("There is no such port.")
    path = found["path"] if found["path"].startswith("/") else f"/{found['path']}"
    return Target(scheme, _host(host, is_listed), port, path, is_listed)


def look_up(host: str, port: int) -> list[str]:
    """All addresses of a host, as the system resolves it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def allowed_addresses(target: Target, resolve: Resolve = look_up) -> list[str]:
    """Where a target is to be connected to: now, for one call.

    Raises:
        WebhookRefused: it has no address, or one that may not be called. Which of both is not said: it would
            tell what names there are inside.
    """
    found = resolve(target.host, target.port)
    if not found or not all(is_allowed(ip_address(each), target.is_listed) for each in found):
        raise WebhookRefused("The host has no public address.")
    return list(found)


def is_allowed(address: Address, is_listed: bool = False) -> bool:
    """`is_listed`: the operator named the host, so that it may lie inside."""
    if any(address in network for network in SPECIAL):
        return False
    if any(address in network for network in INSIDE):
        return is_listed
    return isinstance(address, IPv4Address) or address in _GLOBAL_IPV6


def _host(host: str, is_listed: bool) -> str:
    """A name as DNS has them, or an address as it is usually written: 127.1 and 2130706433 are neither."""
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except ValueError:
            raise WebhookRefused("The URL's host is no address.") from None
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise WebhookRefused("The URL's host is no name.")
    if labels[-1][0].isdigit():
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise WebhookRefused("The URL's host is no address.") from None
    if len(labels) == 1 and not is_listed:
        raise WebhookRefused("The URL's host has no domain.")
    return host
