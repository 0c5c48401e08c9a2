"""What stages write to the object store, and read back from it."""

import json
from collections.abc import Iterator
from typing import Any

from service.datasets.dataset import Finding, Frame, Severity
from service.datasets.manifest import ManifestEntry
from service.datasets.selection import Selection
from service.datasets.yolo import write_label
from service.errors import ObjectNotFound
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.context import ShardTask
from workers.images import Pixels, decode


class StoredImageUnreadable(Exception):
    """An image of a stored dataset is gone, or no longer what it was."""

    def finding(self, name: str) -> Finding:
        return Finding(
            code="unreadable-image",
            severity=Severity.ERROR,
            path=name,
            message=f"The stored image cannot be read: {self}.",
            cure="Ingest the dataset again.",
        )


def stored_pixels(store: ObjectStore, key: str) -> Pixels:
    """Raises:
    StoredImageUnreadable: the image is to blame, not the disk or the network.
    """
    try:
        return decode(store.read(key))
    except (ObjectNotFound, ValueError, SyntaxError, OSError) as error:  # Pillow's word for broken PNGs
        # its errors about an image are plain OSErrors; those of a disk or network carry an errno
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise StoredImageUnreadable(str(error)) from error


def write_json(store: ObjectStore, key: str, data: dict[str, Any]) -> None:
    store.write(key, (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def source_image(store: ObjectStore, dataset_id: str, frame: Frame) -> bytes:
    return store.read(source_key(store, dataset_id, frame))


def source_key(store: ObjectStore, dataset_id: str, frame: Frame) -> str:
    """Of the image that a translated frame was made from: same split, same id, whatever its suffix."""
    names = [keys.image(frame.split, frame.id, suffix) for suffix in (".jpg", ".png")]
    found = [keys.dataset(dataset_id, name) for name in names]
    return next((key for key in found if store.exists(key)), found[0])


def read_manifest(store: ObjectStore, dataset_id: str) -> Iterator[ManifestEntry]:
    for line in store.lines(keys.manifest(dataset_id)):
        yield ManifestEntry.from_line(line.decode())


def chosen_entries(store: ObjectStore, dataset_id: str, selection: Selection) -> Iterator[ManifestEntry]:
    """The frames of a dataset that fit a selection."""
    for entry in read_manifest(store, dataset_id):
        categories = {box.category for box in entry.frame.boxes if not box.is_ignored}
        if selection.accepts(entry.frame.split, entry.frame.attributes, categories):
            yield entry


def result_prefix(task: ShardTask) -> str:
    """Where a job's images go: into its dataset, or beside the job when it is only a preview."""
    if task.result_id is None:
        return f"jobs/{task.job_id}/preview"
    return keys.dataset(task.result_id)


def write_frame(
    store: ObjectStore, prefix: str, frame: Frame, suffix: str, data: bytes, categories: list[str]
) -> str:
    """Store one image and its YOLO label file. Returns the image's key relative to the dataset."""
    image = keys.image(frame.split, frame.id, suffix)
    store.write(f"{prefix}/{image}", data)
    label = write_label(frame, categories)
    store.write(f"{prefix}/{keys.label(frame.split, frame.id)}", label.encode())
    return image
