"""Pieces as the parts of an object in S3, so that any server can go on where another one stopped.

A part must have 8 MiB at least: what is left over at the end of a request lies in an object of its own, the
tail, and goes into the next part. The row lists the parts that count, with S3's own name for their content: a
part that somebody else has overwritten fails the upload rather than spoils it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from service.errors import ObjectNotFound
from service.storage import keys
from service.storage.multipart import LEAST_PART_BYTES, Multipart, Part
from service.storage.object_store import ObjectStore
from service.uploads.incoming import Incoming
from service.uploads.staging import Mark, StagedBytesLost

# Two numbers for each part, for one request and the next: a request that was given up for dead and still
# stores its last part does not meet the one that took over.
NUMBERS_PER_PART = 2
# The row lists every part, and is written with each of them.
MOST_PARTS = 4000


@dataclass(frozen=True, slots=True)
class Pieces:
    """What the row's `staging` says."""

    fence: int = 0
    name: str | None = None
    parts: list[Part] = field(default_factory=list)
    tail: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Pieces":
        parts = [Part(number, etag) for number, etag in data.get("parts", [])]
        return cls(data.get("fence", 0), data.get("name"), parts, data.get("tail"))

    def to_json(self) -> dict[str, Any]:
        parts = [[part.number, part.etag] for part in self.parts]
        return {"fence": self.fence, "name": self.name, "parts": parts, "tail": self.tail}


class S3Staging:
    knows_the_dead = False

    def __init__(self, store: ObjectStore, multipart: Multipart) -> None:
        self._store = store
        self._multipart = multipart

    @contextmanager
    def open(self, upload_id: str) -> Iterator["StagedParts"]:
        yield StagedParts(self._store, self._multipart, upload_id)

    def finish(self, held: Incoming) -> None:
        pieces, key = Pieces.from_json(held.staging), keys.upload(held.id)
        if pieces.name is None:
            self._store.write(key, b"")
            return
        # Without such parts it was done before, by a server that died afterwards.
        with suppress(FileNotFoundError):
            self._multipart.complete(key, pieces.name, pieces.parts)
        if not self._store.exists(key) or self._store.size_bytes(key) != held.size_bytes:
            raise _lost()
        self._store.delete(keys.incoming(held.id))

    def discard(self, upload: Incoming) -> None:
        pieces = Pieces.from_json(upload.staging)
        if pieces.name is not None:
            self._multipart.abort(keys.upload(upload.id), pieces.name)
        self._store.delete(keys.incoming(upload.id))

    def free_bytes(self) -> int | None:
        return None


class StagedParts:
    def __init__(self, store: ObjectStore, multipart: Multipart, upload_id: str) -> None:
        self._store = store
        self._multipart = multipart
        self._id = upload_id
        self._pieces = Pieces()
        self._buffer = bytearray()
        self._part_bytes = LEAST_PART_BYTES
        self._size_bytes = 0
        self._claimed_bytes = 0

    def resume(self, held: Incoming) -> None:
        self._pieces = Pieces.from_json(held.staging)
        self._part_bytes = part_bytes(held.size_bytes)
        self._size_bytes, self._claimed_bytes = held.size_bytes, held.offset_bytes
        if self._pieces.tail is not None:
            try:
                self._buffer += self._store.read(self._pieces.tail)
            except ObjectNotFound:
                raise _lost() from None
        if self._stored_bytes + len(self._buffer) != held.offset_bytes:
            raise _lost()

    def write(self, block: bytes) -> None:
        self._buffer += block
        while len(self._buffer) >= self._part_bytes:
            self._put(self._taken(self._part_bytes))

    def sync(self, *, is_last: bool) -> Mark:
        if is_last and self._buffer:
            if self._stored_bytes + len(self._buffer) == self._size_bytes:
                self._put(self._taken(len(self._buffer)))
            else:
                self._put_tail()
                return self._mark(self._stored_bytes + len(self._buffer))
        # Until the next part is stored, what was claimed before still lies in its tail.
        return self._mark(max(self._claimed_bytes, min(self._stored_bytes, self._size_bytes)))

    @property
    def _stored_bytes(self) -> int:
        return len(self._pieces.parts) * self._part_bytes

    def _taken(self, count: int) -> bytes:
        """Off the beginning of the buffer, with no more copies than have to be."""
        with memoryview(self._buffer) as view:
            taken = bytes(view[:count])
        self._buffer = self._buffer[count:]
        return taken

    def _put(self, data: bytes) -> None:
        key, pieces = keys.upload(self._id), self._pieces
        number = 1 + len(pieces.parts) * NUMBERS_PER_PART + pieces.fence % NUMBERS_PER_PART
        try:
            name = pieces.name or self._multipart.begin(key)
            part = self._multipart.put(key, name, number, data)
        except FileNotFoundError:  # its parts were removed under our hands
            raise _lost() from None
        self._pieces = replace(pieces, name=name, parts=[*pieces.parts, part], tail=None)

    def _put_tail(self) -> None:
        end = self._stored_bytes + len(self._buffer)
        tail = keys.incoming(self._id, f"tail-{self._pieces.fence}-{end}")
        self._store.write(tail, bytes(self._buffer))
        self._pieces = replace(self._pieces, tail=tail)

    def _mark(self, offset_bytes: int) -> Mark:
        return Mark(offset_bytes, self._pieces.to_json())


def part_bytes(size_bytes: int) -> int:
    """The same for all parts of an upload, in whole MiB."""
    return max(LEAST_PART_BYTES, -(-size_bytes // (MOST_PARTS << 20)) << 20)


def _lost() -> StagedBytesLost:
    return StagedBytesLost("What had come of the upload is no longer there.", "Begin a new one.")
