"""The handle on one confined child: what it says is believed in nothing, and its death is evidence.

A child works on one request at a time, so its death is evidence against that request alone.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog

from service.confined.child import ANSWER, REQUEST
from service.confined.confinement import CPU_SECONDS

log = structlog.get_logger(__name__)

START_SECONDS = 120.0
WALL_SECONDS = 6.0 * CPU_SECONDS  # a machine may be busy; a child that sleeps is ended all the same
MAX_REQUESTS = 2_000
_MAX_TEXT_BYTES = 64_000

Value = TypeVar("Value")
# What an answer comes to: facts and both blocks in; ValueError, KeyError or TypeError for anything that an
# honest child does not say.
Reader = Callable[[Any, bytes, bytes], Value]


class ChildDied(Exception):
    """It ended, or talked nonsense, over a request. We waited for it, so this is evidence and no guess."""

    def __init__(self, status: int | None, is_late: bool = False) -> None:
        super().__init__("it took too long" if is_late else f"status {status}")
        self.is_late = is_late or status == -signal.SIGXCPU


class ConfinedProcess:
    """One child. Its environment is empty but for where Python finds its modules.

    `command` is what follows `python`; `most_bytes` are those of the two blocks of an answer.
    """

    def __init__(self, command: Sequence[str], most_bytes: tuple[int, int]) -> None:
        self._most_bytes = most_bytes
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-B", *command],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
            )
        self._requests = 0
        self._is_answering = False
        try:
            self._answer(START_SECONDS)
        except ChildDied as death:
            self.close()
            # It was shown nothing yet: the installation is to blame, and whoever asked may try elsewhere.
            raise RuntimeError(f"{' '.join(command)} does not start: {death}") from None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_fit(self) -> bool:
        """Whether it may be asked again: it lives, owes no answer, and is not too old."""
        is_young = self._requests < MAX_REQUESTS
        return self._process.returncode is None and not self._is_answering and is_young

    def ask(self, data: bytes, read: Reader[Value]) -> Value:
        """Raises:
        ChildDied: then this one is of no use any more.
        """
        self._requests += 1
        self._is_answering = True
        deadline = time.monotonic() + WALL_SECONDS
        try:
            self._socket.settimeout(WALL_SECONDS)
            self._socket.sendall(REQUEST.pack(len(data)))
            self._socket.sendall(data)
        except (TimeoutError, ConnectionError) as error:
            raise self._death(isinstance(error, TimeoutError)) from None
        text, first, second = self._answer(deadline - time.monotonic())
        self._is_answering = False
        try:
            return read(json.loads(text), first, second)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("a confined child talks nonsense", error=type(error).__name__)
            raise self._death(is_late=False) from None

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _answer(self, seconds: float) -> tuple[bytes, bytes, bytes]:
        deadline = time.monotonic() + seconds
        sizes = ANSWER.unpack(self._receive(ANSWER.size, deadline))
        if any(size > most for size, most in zip(sizes, (_MAX_TEXT_BYTES, *self._most_bytes), strict=True)):
            raise self._death(is_late=False)
        text, first, second = (self._receive(size, deadline) for size in sizes)
        return text, first, second

    def _receive(self, size: int, deadline: float) -> bytes:
        data = bytearray(size)
        left = memoryview(data)
        while left:
            try:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                count = self._socket.recv_into(left)
            except (TimeoutError, ConnectionError) as error:
                raise self._death(isinstance(error, TimeoutError)) from None
            if not count:
                raise self._death(is_late=False)
            left = left[count:]
        return bytes(data)

    def _death(self, is_late: bool) -> ChildDied:
        """End what is left of it, and say how it ended."""
        self._socket.close()
        try:
            status: int | None = self._process.wait(0 if is_late else 1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            status = None
        return ChildDied(status, is_late)


def _environment() -> dict[str, str]:
    places = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    return {"PYTHONPATH": places, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
