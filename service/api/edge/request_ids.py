"""A name for each request. It is always ours: a client's own could put its words into our log."""

import secrets

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import answer_to_failure

HEADER = "X-Request-ID"
log = structlog.get_logger(__name__)


class RequestIds:
    """Outside of all that may fail, so that it has the last word on errors nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req-{secrets.token_hex(8)}"
        has_started = False

        async def send_named(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_named)
            except ClientDisconnect:
                log.info("client went away", path=scope["path"])
            except Exception as error:
                answer = answer_to_failure(error, scope["path"])
                if has_started:
                    raise  # the answer breaks off, and the client sees that it is not whole
                await answer(scope, receive, send_named)
