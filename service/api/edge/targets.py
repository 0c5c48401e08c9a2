"""What a request asks for, and of whom: lengths, spellings of paths, names of hosts, one framing of the body.

Paths are looked at as they came, before anything was decoded. What has a second meaning to some other server
(dots, slashes and percent signs in disguise) is refused, not cleaned.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.errors import problem_of
from service.api.refusals import HeadersTooLarge, MalformedRequest, MisdirectedRequest, TargetTooLong
from service.errors import NightshiftError

MOST_HEADER_BYTES = 16 << 10
MOST_PATH_BYTES = 2 << 10
MOST_QUERY_ITEMS = 1000
# A dot, a slash or a backslash in disguise, a percent sign that would be decoded twice.
DISGUISED = re.compile(rb"%(?:2[eEfF]|5[cC]|25[0-9a-fA-F]{2})|\\")
UNREADABLE = re.compile(rb"[\x00-\x1f\x7f]")
HOST = re.compile(r"^(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?$")
ADDRESS = re.compile(r"^(?:\[.*\]|[0-9]{1,3}(?:\.[0-9]{1,3}){3})$")


class Targets:
    """`hosts`: the names this server goes by; `*.example.org` stands for all below, `*` for any.

    An address is taken as it is: only a name can be made to point at a server that is not its own, so that a
    page under it reads what was meant for others (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = ("localhost", *(host.lower() for host in hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_path(scope.get("raw_path") or scope["path"].encode())
            _check_query(scope["query_string"])
            _check_headers(scope)
            self._check_host(Headers(scope=scope).getlist("host"))
        except NightshiftError as error:
            refusal = problem_of(error)
            # Where this request ends and the next begins is in doubt.
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_host(self, given: list[str]) -> None:
        found = HOST.match(given[0]) if len(given) == 1 else None
        if found is None:
            raise MalformedRequest("The Host header names no host, or more than one.")
        name = found["name"].lower()
        if not ADDRESS.match(name) and not any(_is_named(name, host) for host in self._hosts):
            raise MisdirectedRequest


def _is_named(name: str, host: str) -> bool:
    return host in ("*", name) or (host.startswith("*.") and name.endswith(host[1:]))


def _check_path(raw: bytes) -> None:
    if len(raw) > MOST_PATH_BYTES:
        raise TargetTooLong(MOST_PATH_BYTES)
    if not raw.startswith(b"/"):
        raise MalformedRequest("The request's target is no path.")
    decoded = unquote_to_bytes(raw)
    if DISGUISED.search(raw) or UNREADABLE.search(decoded) or not _is_utf8(decoded):
        raise MalformedRequest("The path holds a character that no path here has.")
    if any(segment.partition(b";")[0] in (b".", b"..") for segment in raw.split(b"/")):
        raise MalformedRequest("The path has a segment of dots.")


def _check_query(query: bytes) -> None:
    if query.count(b"&") >= MOST_QUERY_ITEMS:
        raise MalformedRequest(f"The query has more than {MOST_QUERY_ITEMS:,} items.")
    decoded = unquote_to_bytes(query)
    if b"\x00" in decoded or not _is_utf8(decoded):
        raise MalformedRequest("The query holds bytes that are no text.")


def _check_headers(scope: Scope) -> None:
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
        raise HeadersTooLarge(MOST_HEADER_BYTES)
    headers = Headers(scope=scope)
    lengths = headers.getlist("content-length")
    is_chunked = "transfer-encoding" in headers
    if len(lengths) > 1 or (lengths and is_chunked):
        raise MalformedRequest("The body's length is given in two ways.")
    if lengths and not (lengths[0].isascii() and lengths[0].isdigit()):
        raise MalformedRequest("The Content-Length is no number.")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
