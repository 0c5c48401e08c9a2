"""Where the API listens, and what must stand before an address that others can reach."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from service.errors import InvalidRequest

LOOPBACK = "127.0.0.1"
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised here, not listened on  # nosec B104


@dataclass(frozen=True, slots=True)
class Listening:
    """Keys travel with every request: beyond this machine only through TLS, here or at a proxy.

    `behind_proxy`: addresses or networks of the proxy, with commas; its forwarded headers are believed, those
    of anybody else are not.
    """

    host: str = LOOPBACK
    port: int = 8000
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: str = ""
    workers: int = 1

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InvalidRequest("TLS needs a certificate and a key.", "Give both --tls-cert and --tls-key.")
        for file in (self.tls_cert, self.tls_key):
            if file is not None and not file.is_file():
                raise InvalidRequest(f"There is no file {file}.", "Give the certificate and its key in PEM.")
        for address in self.proxies:
            _check_network(address)
        if not (_is_loopback(self.host) or self.tls_cert or self.proxies):
            raise InvalidRequest(
                f"Others can reach {self.host}, and API keys would travel there unencrypted.",
                "Give --tls-cert and --tls-key, or --behind-proxy with the address of a proxy that does TLS.",
            )

    @property
    def proxies(self) -> list[str]:
        return [word.strip() for word in self.behind_proxy.split(",") if word.strip()]

    @property
    def url(self) -> str:
        """As this machine reaches it."""
        host = LOOPBACK if self.host in ANYWHERE else self.host
        return f"{'https' if self.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def arguments(self) -> list[str]:
        """Of `python -m service.server`."""
        named = {
            "--host": self.host,
            "--port": self.port,
            "--tls-cert": self.tls_cert,
            "--tls-key": self.tls_key,
            "--behind-proxy": self.behind_proxy,
            "--workers": self.workers,
        }
        return [word for name, value in named.items() if value for word in (name, str(value))]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_network(address: str) -> None:
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        cure = "Write its address or network: --behind-proxy 10.0.0.5"
        raise InvalidRequest(f"{address[:80]!r} is no address of a proxy.", cure) from None
    if network.prefixlen == 0:
        raise InvalidRequest("Not everybody can be the proxy.", "Write its address or network.")
