"""What is in a bucket is written down once, and read from there."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from service.datasets.formats import Options
from service.jobs.job import JobKind
from service.storage import keys
from service.storage.buckets import Pinned
from service.storage.import_uris import BucketFolder
from tests.workers.conftest import Workshop
from workers import sources
from workers.context import ShardTask
from workers.sources import list_source, open_source, planned_names

OBJECTS = 5_000


class FullBucket:
    """Stands for one of so many objects; counts how often it is listed."""

    listed = 0

    def __init__(self, _settings: Any, folder: BucketFolder) -> None:
        self.folder = folder

    def objects(self) -> Iterator[Pinned]:
        type(self).listed += 1
        for number in range(OBJECTS):
            yield Pinned(f"images/100k/train/{number:08x}-{number:08x}.jpg", 50_000, f'"{number:032x}"')
        yield Pinned("images/../up.jpg", 1, '"0"')


@pytest.fixture
def task(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> ShardTask:
    monkeypatch.setattr(sources, "Bucket", FullBucket)
    monkeypatch.setattr(FullBucket, "listed", 0)
    uri = "s3://camera-fleet/may/"
    spec = {"upload_id": None, "options": Options().to_json(), "source": {"uri": uri, "filename": uri}}
    return workshop.first_task(JobKind.INGEST, spec)


def test_a_bucket_is_listed_once_however_often_its_import_is_planned(
    workshop: Workshop, task: ShardTask
) -> None:
    for _ in range(2):
        [finding] = list_source(task, workshop.bench)
        assert (finding.code, finding.path) == ("illegal-name", "images/../up.jpg")
    assert FullBucket.listed == 1
    assert workshop.store.read(keys.listing(task.plan_key)).count(b"\n") == OBJECTS + 1


def test_an_object_takes_a_few_hundred_bytes_of_memory(workshop: Workshop, task: ShardTask) -> None:
    tracemalloc.start()
    try:
        list_source(task, workshop.bench)
        listing_bytes = tracemalloc.get_traced_memory()[1]
        with open_source(task, workshop.bench) as source:
            held_bytes = tracemalloc.get_traced_memory()[0]
            assert source.size_bytes("images/100k/train/00000001-00000001.jpg") == 50_000
    finally:
        tracemalloc.stop()
    assert listing_bytes < 3_000_000  # of buffers, whatever the bucket's size
    assert held_bytes / OBJECTS < 500


def test_a_shard_holds_only_what_it_reads(workshop: Workshop, task: ShardTask) -> None:
    list_source(task, workshop.bench)
    lines = [b'{"image": "images/100k/train/00000007-00000007.jpg", "label": null}']
    with open_source(task, workshop.bench, planned_names(lines)) as source:
        assert source.names == ["images/100k/train/00000007-00000007.jpg"]


def test_an_upload_needs_no_listing(workshop: Workshop) -> None:
    task = workshop.first_task(JobKind.INGEST, {"upload_id": "up-1"})
    assert list_source(task, workshop.bench) == []
    assert not workshop.store.exists(keys.listing(task.plan_key))
