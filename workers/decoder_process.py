"""The handle on confined decoders: started when needed, believed in nothing, replaced when they die.

A decoder works on one image at a time, so its death is evidence against that image alone. That gets a second
trial in a fresh process, and is then named. What the worker itself holds (models, credentials) is elsewhere.

Only ingest works this way. What it has passed was decoded whole, and is decoded again by translation in the
worker's child: should that die of an image all the same, its parent sees it and isolates the image.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

import numpy as np
import structlog

from workers.confinement import CPU_SECONDS
from workers.decoder import ANSWER, REQUEST
from workers.images import MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE_PX, ImageRejected, PlainImage

log = structlog.get_logger(__name__)

START_SECONDS = 120.0
WALL_SECONDS = 6.0 * CPU_SECONDS  # a machine may be busy; a decoder that sleeps is ended all the same
MAX_IMAGES = 2_000
TRIALS = 2
_MAX_TEXT_BYTES = 64_000
_MAX_SMALL_SIDE_PX = 2_000
_MAX_DATA_BYTES = 2 * MAX_FILE_BYTES


class DecoderDied(Exception):
    """It ended, or talked nonsense, over an image. We waited for it, so this is evidence and no guess."""

    def __init__(self, status: int | None, is_late: bool = False) -> None:
        super().__init__("it took too long" if is_late else f"status {status}")
        self.is_late = is_late or status == -signal.SIGXCPU


class DecoderProcess:
    """One decoder. Its environment is empty but for where Python finds its modules."""

    def __init__(self, command: Sequence[str] = ("-m", "workers.decoder")) -> None:
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
        self._images = 0
        self._is_answering = False
        try:
            self._answer(START_SECONDS)
        except DecoderDied as death:
            self.close()
            # No image was shown yet: the installation is to blame, and the shard is to be tried elsewhere.
            raise RuntimeError(f"the image decoder does not start: {death}") from None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_fit(self) -> bool:
        """Whether another image may be shown to it: it lives, owes no answer, and is not too old."""
        return self._process.returncode is None and not self._is_answering and self._images < MAX_IMAGES

    def check(self, data: bytes) -> PlainImage:
        """Raises:
        ImageRejected: by the decoder's word.
        DecoderDied: then this one is of no use any more.
        """
        self._images += 1
        self._is_answering = True
        deadline = time.monotonic() + WALL_SECONDS
        try:
            self._socket.settimeout(WALL_SECONDS)
            self._socket.sendall(REQUEST.pack(len(data)))
            self._socket.sendall(data)
        except (TimeoutError, ConnectionError) as error:
            raise self._death(isinstance(error, TimeoutError)) from None
        text, stored, small = self._answer(deadline - time.monotonic())
        self._is_answering = False
        try:
            facts = json.loads(text)
            refusal = _refusal(facts)
            plain = None if refusal else _plain(facts, stored or data, small)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("a decoder talks nonsense", error=type(error).__name__)
            raise self._death(is_late=False) from None
        if refusal is not None:
            raise refusal
        assert plain is not None  # noqa: S101 - one of the two it is
        return plain

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _answer(self, seconds: float) -> tuple[bytes, bytes, bytes]:
        deadline = time.monotonic() + seconds
        text, data, small = ANSWER.unpack(self._receive(ANSWER.size, deadline))
        if text > _MAX_TEXT_BYTES or data > _MAX_DATA_BYTES or small > 3 * _MAX_SMALL_SIDE_PX**2:
            raise self._death(is_late=False)
        return (
            self._receive(text, deadline),
            self._receive(data, deadline),
            self._receive(small, deadline),
        )

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

    def _death(self, is_late: bool) -> DecoderDied:
        """End what is left of it, and say how it ended."""
        self._socket.close()
        try:
            status: int | None = self._process.wait(0 if is_late else 1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            status = None
        return DecoderDied(status, is_late)


class Decoders:
    """As many decoders as threads ask at once."""

    def __init__(self, start: Callable[[], DecoderProcess] = DecoderProcess) -> None:
        self._start = start
        self._idle: LifoQueue[DecoderProcess] = LifoQueue()

    def make_plain(self, data: bytes) -> PlainImage:
        """As `workers.images.make_plain`, elsewhere.

        Raises:
            ImageRejected: also `decode-timeout`, or `decoder-crash` when it has ended two processes.
        """
        for trial in range(1, TRIALS + 1):
            decoder = self._take()
            try:
                return decoder.check(data)
            except DecoderDied as death:
                log.warning("decoder died", reason=str(death), trial=trial)
                if death.is_late:  # its processor time is counted by the kernel: there is nothing to repeat
                    raise _too_slow() from None
            finally:
                self._give_back(decoder)
        raise _crashed()

    def warm_up(self) -> None:
        """Start one now, so that the first image does not wait for it."""
        self._give_back(self._take())

    def close(self) -> None:
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _take(self) -> DecoderProcess:
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._start()

    def _give_back(self, decoder: DecoderProcess) -> None:
        if decoder.is_fit:
            self._idle.put(decoder)
        else:
            decoder.close()


_resident: tuple[str, Decoders] | None = None


def decoders_of(job_id: str) -> Decoders:
    """Those that stay from one shard of a job to the next.

    Another job gets others: a decoder that one user's image has taken over never sees another user's.
    """
    global _resident  # noqa: PLW0603 - the point of it: one process, one set of decoders
    if _resident is None or _resident[0] != job_id:
        close_decoders()
        _resident = (job_id, Decoders())
    return _resident[1]


@atexit.register
def close_decoders() -> None:
    """If this process is killed instead, they see the end of their pipe and end as well."""
    global _resident  # noqa: PLW0603
    if _resident is not None:
        _resident[1].close()
    _resident = None


def _environment() -> dict[str, str]:
    places = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    return {"PYTHONPATH": places, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _refusal(facts: Any) -> ImageRejected | None:
    if "refused" not in facts:
        return None
    code, message, cure = (str(part)[:600] for part in facts["refused"])
    return ImageRejected(code[:40], message, cure)


def _plain(facts: Any, stored: bytes, small: bytes) -> PlainImage:
    """Raises ValueError, KeyError or TypeError for anything that an honest decoder does not say."""
    width_px, height_px = int(facts["width_px"]), int(facts["height_px"])
    rows, columns = map(int, facts["small"])
    is_sound = (
        facts["suffix"] in (".jpg", ".png")
        and 0 < width_px <= MAX_SIDE_PX
        and 0 < height_px <= MAX_SIDE_PX
        and width_px * height_px <= MAX_PIXELS
        and 0 < rows <= height_px
        and 0 < columns <= width_px
    )
    if not is_sound:
        raise ValueError(facts)
    pixels = np.frombuffer(small, np.uint8).reshape(rows, columns, 3)
    notes = tuple((str(code)[:40], str(message)[:600]) for code, message in facts["notes"])
    return PlainImage(stored, facts["suffix"], width_px, height_px, pixels, notes)


def _too_slow() -> ImageRejected:
    return ImageRejected(
        "decode-timeout",
        f"Decoding the image took more than {CPU_SECONDS} s.",
        "Save it as a baseline JPEG (not progressive), or leave it out.",
    )


def _crashed() -> ImageRejected:
    return ImageRejected(
        "decoder-crash",
        f"The image ended the process that decoded it, {TRIALS} times out of {TRIALS}.",
        "Look at the image; convert it to a plain JPEG, or leave it out.",
    )
