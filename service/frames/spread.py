"""Some frames from all over a dataset, to get an idea of it."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from service.frames.filter import FrameFilter
from service.frames.lines import manifest_lines
from service.frames.page import frame_page
from service.storage import keys
from service.storage.object_store import ObjectStore


def spread_entries(store: ObjectStore, dataset_id: str, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` lines of the manifest, spread evenly over its bytes: the same ones each time, and
    at the same cost whatever the dataset's size.
    """
    first = frame_page(store, dataset_id, FrameFilter(), limit=limit)
    if first.next_byte is None:
        return first.entries
    size_bytes = store.size_bytes(keys.manifest(dataset_id))
    places = (number * size_bytes // limit for number in range(1, limit))
    found = {entry["image"]: entry for place in places for entry in _after(store, dataset_id, place)}
    return [first.entries[0], *(entry for entry in found.values() if entry != first.entries[0])]


def _after(store: ObjectStore, dataset_id: str, byte: int) -> Iterator[dict[str, Any]]:
    """The first line that starts behind a byte, if one does."""
    for line in islice(manifest_lines(store, dataset_id, byte), 1, 2):
        yield json.loads(line.text)
