"""Some frames of a dataset, and where the next ones start."""

from dataclasses import dataclass
from typing import Any

from service.frames.filter import FrameFilter
from service.frames.lines import manifest_lines
from service.storage.object_store import ObjectStore

# About 16,000 frames of a street: a tenth of a second on a disk, a second or less in S3.
MOST_SCANNED_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class FramePage:
    """`entries` as the manifest has them; `next_byte` is None where no line is left to look at."""

    entries: list[dict[str, Any]]
    next_byte: int | None


def frame_page(
    store: ObjectStore,
    dataset_id: str,
    wanted: FrameFilter,
    start_byte: int = 0,
    limit: int = 50,
    most_bytes: int = MOST_SCANNED_BYTES,
) -> FramePage:
    """The next frames that are wanted, from a byte on that a page before gave.

    A page costs the same anywhere in the manifest. Where few frames are wanted it may hold less than `limit`,
    or none, and go on nevertheless: no more than `most_bytes` are looked through for one page.
    """
    entries: list[dict[str, Any]] = []
    for line in manifest_lines(store, dataset_id, start_byte):
        if len(entries) == limit or line.start_byte - start_byte >= most_bytes:
            return FramePage(entries, line.start_byte)
        if (entry := wanted.accepts(line.text)) is not None:
            entries.append(entry)
    return FramePage(entries, None)
