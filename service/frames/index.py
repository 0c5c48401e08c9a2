"""Where each frame of a dataset stands in its manifest, to find one by its name and those beside it.

Made in one pass at the first need and kept in this process: a dataset never changes. An object beside the
manifest would have to be kept in step with it, and saves a tenth of a second.
"""

import json
from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from service.datasets.dataset import Split
from service.errors import NotFound
from service.frames.filter import FrameFilter
from service.frames.lines import frame_of, manifest_lines
from service.frames.page import MOST_SCANNED_BYTES, frame_page
from service.storage import keys
from service.storage.object_store import ObjectStore

KEPT_INDEXES = 4  # of 36,728 frames one takes 7 MB
_BACK_FRAMES = 256  # so many are read at once on the way back


@dataclass(frozen=True, slots=True)
class Neighbour:
    split: Split
    id: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The frames before and after one; None at the ends, or where none is near that is wanted."""

    previous: Neighbour | None
    following: Neighbour | None


@dataclass(frozen=True, slots=True)
class _Index:
    """`starts` has one more than there are frames: where the manifest ends."""

    numbers: dict[bytes, int] = field(default_factory=dict)
    starts: "array[int]" = field(default_factory=lambda: array("Q", [0]))

    def number(self, split: Split, frame_id: str) -> int:
        try:
            return self.numbers[f"{split}/{frame_id}".encode()]
        except KeyError:
            raise NotFound("frame", frame_id) from None


def frame_entry(store: ObjectStore, dataset_id: str, split: Split, frame_id: str) -> dict[str, Any]:
    """One line of the manifest.

    Raises:
        NotFound: the dataset has no such frame.
    """
    index = _index(store, dataset_id)
    number = index.number(split, frame_id)
    entry: dict[str, Any] = json.loads(_lines(store, dataset_id, index, number, number + 1)[0])
    return entry


def has_frame(store: ObjectStore, dataset_id: str, split: Split, frame_id: str) -> bool:
    return f"{split}/{frame_id}".encode() in _index(store, dataset_id).numbers


def neighbours(
    store: ObjectStore,
    dataset_id: str,
    split: Split,
    frame_id: str,
    wanted: FrameFilter = FrameFilter(),  # noqa: B008 - it never changes
    most_bytes: int = MOST_SCANNED_BYTES,
) -> Neighbours:
    """The nearest frames before and after one that are wanted, looked for among `most_bytes` each way.

    Raises:
        NotFound: the dataset has no such frame.
    """
    index = _index(store, dataset_id)
    number = index.number(split, frame_id)
    after = frame_page(store, dataset_id, wanted, index.starts[number + 1], 1, most_bytes).entries
    before = _before(store, dataset_id, index, number, wanted, most_bytes)
    return Neighbours(before, _neighbour(after[0]) if after else None)


def _before(
    store: ObjectStore, dataset_id: str, index: _Index, number: int, wanted: FrameFilter, most_bytes: int
) -> Neighbour | None:
    stop = number
    while stop > 0 and index.starts[number] - index.starts[stop] < most_bytes:
        start = max(0, stop - (1 if wanted.takes_all else _BACK_FRAMES))
        for line in reversed(_lines(store, dataset_id, index, start, stop)):
            if (entry := wanted.accepts(line)) is not None:
                return _neighbour(entry)
        stop = start
    return None


def _neighbour(entry: dict[str, Any]) -> Neighbour:
    return Neighbour(Split(entry["frame"]["split"]), entry["frame"]["id"])


def _lines(store: ObjectStore, dataset_id: str, index: _Index, start: int, stop: int) -> list[bytes]:
    data = store.read_range(keys.manifest(dataset_id), index.starts[start], index.starts[stop])
    return data.removesuffix(b"\n").split(b"\n")


@lru_cache(KEPT_INDEXES)
def _index(store: ObjectStore, dataset_id: str) -> _Index:
    index = _Index()
    for number, line in enumerate(manifest_lines(store, dataset_id)):
        index.numbers[frame_of(line.text)] = number
        index.starts.append(line.stop_byte)
    return index
