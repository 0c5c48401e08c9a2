"""What stages write to the object store, and read back from it."""

import json
from collections.abc import Iterator
from typing import Any

from service.datasets.dataset import Frame
from service.datasets.manifest import ManifestEntry
from service.datasets.yolo import write_label
from service.errors import ObjectNotFound
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.context import ShardTask


def write_json(store: ObjectStore, key: str, data: dict[str, Any]) -> None:
    store.write(key, (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def source_image(store: ObjectStore, dataset_id: str, frame: Frame) -> bytes:
    """The image that a translated frame was made from: same split, same id, whatever its suffix."""
    for suffix in (".jpg", ".png"):
        key = keys.dataset(dataset_id, keys.image(frame.split, frame.id, suffix))
        if store.exists(key):
            return store.read(key)
    raise ObjectNotFound(keys.dataset(dataset_id, keys.image(frame.split, frame.id, ".jpg")))


def read_manifest(store: ObjectStore, dataset_id: str) -> Iterator[ManifestEntry]:
    for line in store.lines(keys.manifest(dataset_id)):
        yield ManifestEntry.from_line(line.decode())


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
