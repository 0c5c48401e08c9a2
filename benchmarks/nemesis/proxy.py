"""A store behind a bad line: a TCP proxy that fails now and then, by a seed, in the ways that real stores do.

    python -m benchmarks.nemesis.proxy PORT TARGET_PORT SEED STALL_SECONDS

toxiproxy does such things to a connection; half of these need to know where a request ends, so here it is.
Every connection carries one request.
"""

import asyncio
import random
import re
import sys
from dataclasses import dataclass
from enum import StrEnum

ANSWER_500 = (
    b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>An internal error.</Message></Error>"
)


class Toxic(StrEnum):
    NONE = "none"
    REFUSED = "500"
    RESET = "reset in the middle of the answer"
    LOST_ANSWER = "done, but the answer is lost"
    STALL = "stall"


SHARES = {Toxic.REFUSED: 0.05, Toxic.RESET: 0.02, Toxic.LOST_ANSWER: 0.01, Toxic.STALL: 0.01}


@dataclass(slots=True)
class Proxy:
    target_port: int
    chance: random.Random
    stall_seconds: float

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._request(reader, writer)
            await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone: killed, as like as not
        finally:
            writer.transport.abort() if writer.is_closing() else writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        toxic = self._drawn()
        if toxic is Toxic.REFUSED:
            head = f"HTTP/1.1 500 Internal Server Error\r\nContent-Length: {len(ANSWER_500)}\r\n"
            writer.write(f"{head}Content-Type: application/xml\r\nConnection: close\r\n\r\n".encode())
            writer.write(b"" if request.startswith(b"HEAD") else ANSWER_500)
            await writer.drain()
            return
        if toxic is Toxic.STALL:
            await asyncio.sleep(self.stall_seconds)
        answer = await self._forwarded(request)
        if toxic is Toxic.LOST_ANSWER:
            writer.transport.abort()
            return
        writer.write(answer[: len(answer) // 2] if toxic is Toxic.RESET else answer)
        await writer.drain()
        if toxic is Toxic.RESET:
            writer.transport.abort()

    def _drawn(self) -> Toxic:
        return self.chance.choices([*SHARES, Toxic.NONE], [*SHARES.values(), 1 - sum(SHARES.values())])[0]

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        if re.search(rb"\r\nexpect:", head, re.IGNORECASE):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"\r\nexpect:[^\r]*", b"", head, flags=re.IGNORECASE)
        head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
            body = await reader.readuntil(b"0\r\n\r\n")
        else:
            body = await reader.readexactly(int(length[1])) if length else b""
        return head[:-2] + b"Connection: close\r\n\r\n" + body

    async def _forwarded(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def serve(port: int, target_port: int, seed: int, stall_seconds: int) -> None:
    proxy = Proxy(target_port, random.Random(seed), stall_seconds)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", port, limit=1 << 26)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:5])))
