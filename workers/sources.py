"""Where an ingest reads from: an uploaded zip, or a folder of a bucket. Either is files by name."""

import json
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Protocol

from service.datasets.dataset import Finding, Severity
from service.errors import DatasetRejected
from service.settings import Settings
from service.storage import keys
from service.storage.archives import open_archive
from service.storage.buckets import Bucket, Pinned
from service.storage.import_uris import BucketFolder, key_fault
from service.storage.object_store import ObjectStore
from workers.context import Bench, ShardTask

MAX_LISTED = 100


class Source(Protocol):
    @property
    def names(self) -> list[str]: ...

    @property
    def guessed_names(self) -> list[str]:
        """Those of which nothing says how they are encoded."""

    def size_bytes(self, name: str) -> int: ...

    def open(self, name: str) -> BinaryIO:
        """Raises:
        DatasetRejected: the file cannot be read, or is no longer what it was.
        """

    def read(self, name: str) -> bytes:
        """Raises:
        DatasetRejected: as `open` does.
        """


class BucketSource:
    """The objects of a folder as they were when it was listed. S3 says how their names are encoded."""

    def __init__(self, bucket: Bucket, objects: dict[str, Pinned]) -> None:
        self._bucket = bucket
        self._objects = objects

    @property
    def names(self) -> list[str]:
        return list(self._objects)

    @property
    def guessed_names(self) -> list[str]:
        return []

    def size_bytes(self, name: str) -> int:
        return self._objects[name].size_bytes

    def open(self, name: str) -> BinaryIO:
        return self._bucket.open(self._objects[name])

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()


def open_source(
    task: ShardTask, bench: Bench, only: Collection[str] | None = None
) -> AbstractContextManager[Source]:
    """`only`: the names that will be read, where they are known; a bucket of millions is then not held.

    Raises:
        DatasetRejected: it cannot be opened.
    """
    if task.spec["upload_id"] is None:
        return _open_bucket(task, bench, only)
    return open_archive(bench.store, keys.upload(task.spec["upload_id"]), bench.settings.max_upload_bytes)


def list_source(task: ShardTask, bench: Bench) -> list[Finding]:
    """Before anything is read of a bucket it is written down what is in it, so that all read the same. What
    was written down stays, also for a second planning and for a retry. Returns what is wrong with names.
    """
    if task.spec["upload_id"] is not None:
        return []
    listing, findings = keys.listing(task.plan_key), _Illegal()
    if not bench.store.exists(listing):
        _write_listing(_bucket(task, bench.settings), bench, listing)
    for pinned in _listed(bench.store, listing):
        if fault := key_fault(pinned.name):
            findings.add(pinned.name, fault)
    return findings.all()


def planned_names(lines: Collection[bytes]) -> frozenset[str]:
    """The files that a shard will read."""
    planned = [json.loads(line) for line in lines]
    return frozenset(name for each in planned for name in (each["image"], each["label"]) if name is not None)


@contextmanager
def _open_bucket(task: ShardTask, bench: Bench, only: Collection[str] | None) -> Iterator[BucketSource]:
    listed = _listed(bench.store, keys.listing(task.plan_key))
    is_read = only.__contains__ if only is not None else (lambda name: key_fault(name) is None)
    objects = {each.name: each for each in listed if is_read(each.name)}
    yield BucketSource(_bucket(task, bench.settings), objects)


def _bucket(task: ShardTask, settings: Settings) -> Bucket:
    return Bucket(settings, BucketFolder.parse(task.spec["source"]["uri"]))


def _write_listing(bucket: Bucket, bench: Bench, key: str) -> None:
    total_bytes = 0
    with bench.store.writing(key) as file:
        for each in bucket.objects():
            total_bytes += each.size_bytes
            if total_bytes > bench.settings.max_upload_bytes:
                raise DatasetRejected(
                    "source-too-large",
                    f"The folder holds more than {bench.settings.max_upload_bytes:,} bytes.",
                    "Import a part of it, or raise the server's limit.",
                )
            line = json.dumps([each.name, each.size_bytes, each.etag], separators=(",", ":"))
            file.write(line.encode() + b"\n")


def _listed(store: ObjectStore, key: str) -> Iterator[Pinned]:
    for line in store.lines(key):
        yield Pinned(*json.loads(line))


class _Illegal:
    """Objects that are not even asked for."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._more = 0

    def add(self, name: str, fault: str) -> None:
        if len(self._findings) == MAX_LISTED:
            self._more += 1
            return
        message = f"The object's name {fault}; it is left out."
        self._findings.append(_illegal(name, message))

    def all(self) -> list[Finding]:
        more = [_illegal("", f"{self._more} more objects have such names.")] if self._more else []
        return [*self._findings, *more]


def _illegal(path: str, message: str) -> Finding:
    return Finding("illegal-name", Severity.ERROR, path, message, "Rename it in the bucket, and its label.")
