"""The server's side of a connection, where no application has a say yet: uvicorn's, with two things added.

It waits for ever for the rest of a head, and what is no HTTP it answers in plain text.
"""

import asyncio
import sys
from typing import Any

import h11
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.api.edge.headers import SAFE
from service.api.edge.targets import MOST_HEADER_BYTES
from service.api.errors import problem, problem_of
from service.api.refusals import HeadersTooLarge, RequestTooSlow
from service.errors import NightshiftError

# Up to here a head is read, so that one which is somewhat too large is refused like any other request.
MOST_HEAD_BYTES = 2 * MOST_HEADER_BYTES


class Connection(H11Protocol):
    """`head_seconds`: so long may the head of a request take."""

    head_seconds = 30.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._unwatch_head()
        elif self._deadline is None:  # a further request on the same connection has begun
            self._watch_head()

    def send_400_response(self, msg: str) -> None:
        """Called where h11 has found that what came is no HTTP."""
        hint = getattr(sys.exception(), "error_status_hint", 400)
        if hint == 431:
            self._refuse(problem_of(HeadersTooLarge(MOST_HEADER_BYTES)))
        else:
            self._refuse(problem(400, "bad-request", msg))

    def _watch_head(self) -> None:
        self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _unwatch_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing() and self.conn.states == {
            h11.CLIENT: h11.IDLE,
            h11.SERVER: h11.IDLE,
        }:
            error: NightshiftError = RequestTooSlow(MOST_HEADER_BYTES, self.head_seconds)
            self._refuse(problem_of(error))

    def _refuse(self, answer: Response) -> None:
        close = (b"connection", b"close")
        safe = [(name.encode(), value.encode()) for name, value in SAFE.items()]
        head = h11.Response(status_code=answer.status_code, headers=[*answer.raw_headers, *safe, close])
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
