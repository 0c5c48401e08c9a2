"""A stored dataset as others read it: a stream of zip members in YOLO, COCO or BDD100K form."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum

from service.datasets import bdd100k, coco
from service.datasets.dataset import Frame
from service.datasets.manifest import ManifestEntry
from service.jobs.records import Dataset
from service.storage import keys
from service.storage.archives import stream_zip
from service.storage.object_store import ObjectStore


class ExportFormat(StrEnum):
    YOLO = "yolo"
    COCO = "coco"
    BDD100K = "bdd100k"


CHUNK_BYTES = 1 << 20

Members = Iterator[tuple[str, Iterable[bytes]]]


def export_zip(store: ObjectStore, dataset: Dataset, form: ExportFormat) -> Iterator[bytes]:
    """The whole dataset as one zip, made while it is sent; nothing is held but one image."""
    members: dict[ExportFormat, Callable[[ObjectStore, Dataset], Members]] = {
        ExportFormat.YOLO: _yolo,
        ExportFormat.COCO: _coco,
        ExportFormat.BDD100K: _bdd100k,
    }
    return stream_zip(members[form](store, dataset))


def manifest_entries(store: ObjectStore, dataset_id: str) -> Iterator[ManifestEntry]:
    for line in store.lines(keys.manifest(dataset_id)):
        yield ManifestEntry.from_line(line.decode())


def _yolo(store: ObjectStore, dataset: Dataset) -> Members:
    """The store's prefix as it lies there: it is a YOLO dataset already."""
    for name in ("data.yaml", "card.json", "manifest.jsonl"):
        yield name, _content(store, keys.dataset(dataset.id, name))
    for entry in manifest_entries(store, dataset.id):
        yield entry.image, _content(store, keys.dataset(dataset.id, entry.image))
        label = keys.label(entry.frame.split, entry.frame.id)
        yield label, _content(store, keys.dataset(dataset.id, label))


def _coco(store: ObjectStore, dataset: Dataset) -> Members:
    yield "card.json", _content(store, keys.card(dataset.id))
    for split in sorted(dataset.counts["splits"]):
        yield f"annotations/instances_{split}.json", _coco_labels(store, dataset, split)
    yield from _images(store, dataset, lambda entry: entry.image)


def _coco_labels(store: ObjectStore, dataset: Dataset, split: str) -> Iterator[bytes]:
    def frames() -> Iterator[tuple[Frame, str]]:
        for entry in _of_split(store, dataset, split):
            yield entry.frame, entry.image.rpartition("/")[2]

    return (chunk.encode() for chunk in coco.write(frames, dataset.categories))


def _bdd100k(store: ObjectStore, dataset: Dataset) -> Members:
    yield "card.json", _content(store, keys.card(dataset.id))
    for split in sorted(dataset.counts["splits"]):
        frames = (_named_by_file(entry) for entry in _of_split(store, dataset, split))
        yield f"labels/det_20/det_{split}.json", (chunk.encode() for chunk in bdd100k.write_det20(frames))
    yield from _images(store, dataset, lambda entry: f"images/100k/{entry.image.removeprefix('images/')}")


def _named_by_file(entry: ManifestEntry) -> Frame:
    """BDD100K finds an image by the frame's name: it must be the name the image has in the archive."""
    return replace(entry.frame, name=entry.image.rpartition("/")[2])


def _images(store: ObjectStore, dataset: Dataset, name_of: Callable[[ManifestEntry], str]) -> Members:
    for entry in manifest_entries(store, dataset.id):
        yield name_of(entry), _content(store, keys.dataset(dataset.id, entry.image))


def _of_split(store: ObjectStore, dataset: Dataset, split: str) -> Iterator[ManifestEntry]:
    return (entry for entry in manifest_entries(store, dataset.id) if entry.frame.split == split)


def _content(store: ObjectStore, key: str) -> Iterator[bytes]:
    """Read when its turn comes, not when it is listed, and in pieces: a manifest may be large."""
    with store.open(key) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
