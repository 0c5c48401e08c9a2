"""The lines of a manifest from any byte on, in large blocks, and which frame each is about.

A manifest is written by `ManifestEntry.to_line`: canonical JSON, in which the image's key stands near the end
with nothing that users wrote behind it. So a line tells its frame without being parsed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from service.storage import keys
from service.storage.object_store import ObjectStore

# The first block holds an ordinary page; whoever reads on wants much.
FIRST_BLOCK_BYTES = 256 << 10
MAX_BLOCK_BYTES = 8 << 20
_IMAGE = b'"image":"images/'


@dataclass(frozen=True, slots=True)
class Line:
    """`text` has no line end; the next line starts at `stop_byte`."""

    text: bytes
    start_byte: int

    @property
    def stop_byte(self) -> int:
        return self.start_byte + len(self.text) + 1


def manifest_lines(store: ObjectStore, dataset_id: str, start_byte: int = 0) -> Iterator[Line]:
    """From a line's start on; nothing if it is the manifest's end."""
    rest = b""
    for block in _blocks(store, keys.manifest(dataset_id), start_byte):
        *whole, rest = (rest + block).split(b"\n")
        for text in whole:
            yield Line(text, start_byte)
            start_byte += len(text) + 1
    if rest:
        yield Line(rest, start_byte)


def _blocks(store: ObjectStore, key: str, start_byte: int) -> Iterator[bytes]:
    """By ranges of our own size: a stream from S3 reads ahead far more than a page needs."""
    size_bytes, block_bytes = store.size_bytes(key), FIRST_BLOCK_BYTES
    while start_byte < size_bytes:
        stop_byte = min(size_bytes, start_byte + block_bytes)
        yield store.read_range(key, start_byte, stop_byte)
        start_byte, block_bytes = stop_byte, min(MAX_BLOCK_BYTES, 2 * block_bytes)


def frame_of(line: bytes) -> bytes:
    """`train/a`: split and id of the frame that a line is about."""
    start = line.rfind(_IMAGE) + len(_IMAGE)
    return line[start : line.index(b'"', start)].rpartition(b".")[0]
