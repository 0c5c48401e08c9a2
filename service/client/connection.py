"""One server, and how it is spoken to: with a key, patiently, and with errors in words."""

import time
from collections.abc import Iterator
from typing import Any, Self

import httpx

from service.client.credentials import NoKey, find_key
from service.client.errors import ApiError, KeyRefused, ServerUnreachable, api_error
from service.errors import NightshiftError

# How often a request is sent that the server asks to send later.
PATIENCE = 10


class Connection:
    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        transport: httpx.BaseTransport | None = None,
        key: str | None = None,
    ) -> None:
        """`key`: without one, that of NIGHTSHIFT_KEY or the one that `nightshift up` left for this server."""
        self.url = url.rstrip("/")
        self.key = key or find_key(self.url)
        # An upload or a zip of a large dataset may pause longer than any fixed limit; connecting may not.
        timeout = httpx.Timeout(60.0, connect=5.0, read=300.0)
        self._http = httpx.Client(base_url=self.url, timeout=timeout, transport=transport)
        if self.key is not None:
            self._http.headers["Authorization"] = f"Bearer {self.key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def is_ready(self) -> bool:
        try:
            return self._http.get("/readyz", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    def _pages(self, path: str) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = self._call("GET", path, params={"cursor": cursor} if cursor else {})
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _call(self, method: str, path: str, **options: Any) -> Any:
        return self._send(method, path, **options).json()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        for _ in range(PATIENCE):
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                raise self._unreachable(error) from error
            if not _is_asked_to_wait(response) or "content" in options:  # what has been sent is gone
                break
            time.sleep(float(response.headers["Retry-After"]))
        if response.is_error:
            raise self._error(response)
        return response

    def _stream(self, path: str, **params: str) -> Iterator[bytes]:
        try:
            with self._http.stream("GET", path, params=params) as response:
                if response.is_error:
                    response.read()
                    raise self._error(response)
                yield from response.iter_bytes(1 << 20)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _error(self, response: httpx.Response) -> NightshiftError:
        if response.status_code == 401:
            return KeyRefused(self.url) if self.key else NoKey(self.url)
        return api_error(response)

    def _unreachable(self, error: httpx.TransportError) -> NightshiftError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ServerUnreachable(self.url)
        return ApiError(0, "connection-lost", f"The connection to {self.url} broke off ({error}). Try again.")


def _is_asked_to_wait(response: httpx.Response) -> bool:
    """Too many requests in too short a time; other reasons for a 429 do not pass so quickly."""
    if response.status_code != 429 or "Retry-After" not in response.headers:
        return False
    return api_error(response).code == "too-many-requests"
