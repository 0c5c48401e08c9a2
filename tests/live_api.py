"""The API behind real sockets, for what no client library would send."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from service.api.edge.connections import MOST_HEAD_BYTES, Connection

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def live(app: FastAPI, head_seconds: float = 30.0) -> Iterator[tuple[str, int]]:
    """Where it listens, as long as the block lasts."""
    impatient = type("Impatient", (Connection,), {"head_seconds": head_seconds})
    config = uvicorn.Config(
        app, http=impatient, h11_max_incomplete_event_size=MOST_HEAD_BYTES, log_level="critical",
        server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who comes before the server is up waits
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def send(address: tuple[str, int], *pieces: bytes) -> RawAnswer:
    """What comes back until the server closes the connection, or has sent a whole answer."""
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered before it had everything
        return read_answer(connection)


def read_answer(connection: socket.socket) -> RawAnswer:
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    headers: dict[str, str] = {}
    while (line := file.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    # An answer to HEAD announces a body that does not come; the server closes the connection behind it.
    return RawAnswer(status, headers, file.read(int(headers.get("content-length", "0"))))
