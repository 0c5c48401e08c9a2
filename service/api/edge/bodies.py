"""Bodies of requests: their kind, length and pace. JSON and forms are read whole, uploads stream."""

import asyncio
import re
from collections.abc import Sequence
from enum import Enum

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.edge.strict_json import fault_in
from service.api.errors import invalid_request, problem_of
from service.api.refusals import BodyTooLarge, RequestTooSlow, UnsupportedMediaType
from service.errors import NightshiftError

MOST_WHOLE_BYTES = 1 << 20
LEAST_BYTES = (
    16 << 10
)  # in the time that a client is given; whoever sends less holds a connection for nothing
JSON_TYPE = re.compile(r"^application/json\s*(;\s*charset=\"?utf-8\"?\s*)?$", re.IGNORECASE)
FORM_TYPE = re.compile(r"^application/x-www-form-urlencoded\s*(;\s*charset=\"?utf-8\"?\s*)?$", re.IGNORECASE)
BODILESS = {"GET", "HEAD", "DELETE"}  # a body that comes along means nothing and is not read
DISCONNECT: Message = {"type": "http.disconnect"}


class Kind(Enum):
    UPLOAD = "upload"
    JSON = "JSON"
    FORM = "form"


class Bodies:
    """`uploads`: below these paths a body is an upload; `forms`: below these it is a page's form; anywhere
    else it is JSON."""

    def __init__(self, app: ASGIApp, seconds: float, uploads: Sequence[str], forms: Sequence[str]) -> None:
        self._app = app
        self._seconds = seconds
        self._places = {Kind.UPLOAD: tuple(uploads), Kind.FORM: tuple(forms)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind = self._kind(scope["path"])
        headers = Headers(scope=scope)
        exchange = _Exchange(receive, send, self._seconds, kind, is_whole=not _has_body(headers))
        try:
            if scope["method"] not in BODILESS:
                _check_kind(headers, kind)
        except NightshiftError as error:
            exchange.refuse(problem_of(error))
        else:
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except Exception:
                # A route that loses its client in mid-body stops with an error; the client is told why.
                if exchange.refusal is None or exchange.has_started:
                    raise
        if exchange.refusal is not None and not exchange.has_started:
            await exchange.refusal(scope, receive, send)

    def _kind(self, path: str) -> Kind:
        for kind, places in self._places.items():
            if any(path == place or path.startswith(f"{place}/") for place in places):
                return kind
        return Kind.JSON


class _Exchange:
    """One request and its answer. A body that is refused looks to the route like a client that went away,
    and whatever the route says to that gives way to the refusal."""

    def __init__(self, receive: Receive, send: Send, seconds: float, kind: Kind, *, is_whole: bool) -> None:
        self._receive = receive
        self._send = send
        self._pace = _Pace(seconds)
        self._kind = kind
        self._is_whole = is_whole
        self.refusal: Response | None = None
        self.has_started = False

    async def receive(self) -> Message:
        if self.refusal is not None:
            return DISCONNECT
        if self._is_whole:
            return await self._receive()
        try:
            return await (self._next() if self._kind is Kind.UPLOAD else self._whole())
        except NightshiftError as error:
            self.refuse(problem_of(error))
            return DISCONNECT

    async def send(self, message: Message) -> None:
        if self.refusal is not None and not self.has_started:
            return
        if message["type"] == "http.response.start" and not self._is_whole:
            MutableHeaders(scope=message)["Connection"] = "close"  # an early answer; the rest is not read
        self.has_started = True
        await self._send(message)

    def refuse(self, response: Response) -> None:
        # The rest of the body is not waited for.
        response.headers["Connection"] = "close"
        self.refusal = response

    async def _next(self) -> Message:
        message = await self._pace.of(self._receive)
        self._is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def _whole(self) -> Message:
        body = bytearray()
        while not self._is_whole:
            message = await self._next()
            if message["type"] != "http.request":
                return message
            body += message.get("body", b"")
            if len(body) > MOST_WHOLE_BYTES:
                raise BodyTooLarge(MOST_WHOLE_BYTES)
        fault = fault_in(bytes(body)) if body and self._kind is Kind.JSON else None
        if fault is not None:
            self.refusal = invalid_request([(fault.pointer, fault.message)], code=fault.code)
            return DISCONNECT
        return {"type": "http.request", "body": bytes(body), "more_body": False}


class _Pace:
    """Counts only the time that the client is waited for, not what the route does in between."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = seconds
        self._bytes = 0

    async def of(self, receive: Receive) -> Message:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._left):
                message = await receive()
        except TimeoutError:
            raise RequestTooSlow(LEAST_BYTES, self._seconds) from None
        self._left -= loop.time() - started
        self._bytes += len(message.get("body", b""))
        if self._bytes >= LEAST_BYTES:
            self._left, self._bytes = self._seconds, 0
        return message


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or int(headers.get("content-length", "0")) > 0


def _check_kind(headers: Headers, kind: Kind) -> None:
    if not _has_body(headers):
        return
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("A body is taken as it is, not compressed.", "Send no Content-Encoding.")
    if kind is Kind.UPLOAD:
        return
    given = headers.get("content-type", "")
    if kind is Kind.FORM and not FORM_TYPE.match(given):
        raise UnsupportedMediaType("The body must be a form.", "Send it from the page.")
    if kind is Kind.JSON and not JSON_TYPE.match(given):
        raise UnsupportedMediaType("The body must be JSON.", "Say so: Content-Type: application/json.")
    if int(headers.get("content-length", "0")) > MOST_WHOLE_BYTES:
        raise BodyTooLarge(MOST_WHOLE_BYTES)
