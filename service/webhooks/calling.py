"""One request to one address: no redirects, no proxies, no second look-up; the answer's body is not read."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence

import httpcore

from service.webhooks.addresses import Target

CALL_SECONDS = 10.0


class CallFailed(Exception):
    """No answer came; the text is ours, and says nothing of what lies behind the address."""


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked up and allowed before, whatever the name would lead to by now.

    TLS still asks for the name, so the certificate must be that of the host.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - on purpose: see above
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                self._stream = await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return self._stream
        raise failure

    async def close(self) -> None:
        """httpcore leaves a connection open that is cut off in its TLS handshake."""
        if self._stream is not None:
            await self._stream.aclose()


async def post(
    target: Target,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    trust: ssl.SSLContext | None = None,
) -> int:
    """The status that was answered.

    Raises:
        CallFailed: none was, within the time there is.
    """
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    ours = {"Host": target.authority, "Content-Type": "application/json", "User-Agent": "nightshift"}
    sent: list[tuple[bytes | str, bytes | str]] = [*ours.items(), *headers.items()]
    pinned = _Pinned(addresses)
    pool = httpcore.AsyncConnectionPool(ssl_context=trust, network_backend=pinned, max_connections=1)
    try:
        # The whole call has one deadline: a receiver that drips bytes gains nothing.
        async with (
            asyncio.timeout(CALL_SECONDS),
            pool,
            pool.stream("POST", url, headers=sent, content=body) as answer,
        ):
            return int(answer.status)
    except (TimeoutError, httpcore.TimeoutException):
        raise CallFailed(f"no answer within {CALL_SECONDS:.0f} s") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        is_tls = any(isinstance(each, ssl.SSLError) for each in (error, error.__cause__, error.__context__))
        raise CallFailed("the certificate or TLS failed" if is_tls else "the connection failed") from None
    finally:
        await pinned.close()
