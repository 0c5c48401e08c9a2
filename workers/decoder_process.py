"""The handle on confined decoders: what an image does to one is told as a refusal of the image.

A decoder works on one image at a time, so its death is evidence against that image alone. That gets a second
trial in a fresh process, and is then named. What the worker itself holds (models, credentials) is elsewhere.

Only ingest works this way. What it has passed was decoded whole, and is decoded again by translation in the
worker's child: should that die of an image all the same, its parent sees it and isolates the image.
"""

import atexit
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from service.confined.confinement import CPU_SECONDS
from service.confined.pool import TRIALS, Pool
from service.confined.process import ChildDied, ConfinedProcess
from workers.images import MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE_PX, ImageRejected, PlainImage

_MAX_SMALL_SIDE_PX = 2_000
_MOST_BYTES = (2 * MAX_FILE_BYTES, 3 * _MAX_SMALL_SIDE_PX**2)


class DecoderProcess(ConfinedProcess):
    """One decoder."""

    def __init__(self, command: Sequence[str] = ("-m", "workers.decoder")) -> None:
        super().__init__(command, _MOST_BYTES)

    def check(self, data: bytes) -> PlainImage:
        """Raises:
        ImageRejected: by the decoder's word.
        ChildDied: then this one is of no use any more.
        """

        def read(facts: Any, stored: bytes, small: bytes) -> PlainImage | ImageRejected:
            return _refusal(facts) or _plain(facts, stored or data, small)

        said = self.ask(data, read)
        if isinstance(said, ImageRejected):
            raise said
        return said


class Decoders:
    """As many decoders as threads ask at once."""

    def __init__(self, start: Callable[[], DecoderProcess] = DecoderProcess) -> None:
        self._pool = Pool(start)

    def make_plain(self, data: bytes) -> PlainImage:
        """As `workers.images.make_plain`, elsewhere.

        Raises:
            ImageRejected: also `decode-timeout`, or `decoder-crash` when it has ended two processes.
        """
        try:
            return self._pool.ask(lambda decoder: decoder.check(data))
        except ChildDied as death:
            raise (_too_slow() if death.is_late else _crashed()) from None

    def warm_up(self) -> None:
        """Start one now, so that the first image does not wait for it."""
        self._pool.warm_up()

    def close(self) -> None:
        self._pool.close()


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
