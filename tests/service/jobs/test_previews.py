"""Previews: nothing is tried twice, and what is translated can be seen at once."""

from dataclasses import replace

import pytest

from service.datasets.manifest import canonical_json
from service.jobs.job import Job, Shard, ShardPlan
from service.jobs.previews import preview_frames, submit_previews
from service.jobs.submit import Desk, TranslationWish, retry
from service.storage import keys
from service.storage.object_store import ObjectStore
from tests.service.conftest import AddDataset

WISH = TranslationWish("ds-day", "camera-night", preview=4)


@pytest.fixture(autouse=True)
def day(add_dataset: AddDataset) -> str:
    return add_dataset("ds-day")


def claim(desk: Desk, job: Job, index: int) -> Shard:
    shard = desk.leases.claim(job.id, index, "worker")
    assert shard is not None
    return shard


def plan(desk: Desk, store: ObjectStore, job: Job) -> None:
    """Four frames in two shards, the second split named with letters that JSON leaves as they are."""
    lines = []
    for number, split in enumerate(("train", "train", "val", "val")):
        frame = {
            "name": f"f{number}\u2028.jpg", "id": f"f{number}", "split": split,
            "width_px": 8, "height_px": 8, "boxes": [],
        }  # fmt: skip
        entry = {"frame": frame, "image": keys.image(split, f"f{number}", ".png"), "sha256": "0" * 64}
        lines.append(canonical_json(entry).encode() + b"\n")
    store.write(keys.plan(job.id), b"".join(lines))
    parts = [ShardPlan(0, 1, 0, 2), ShardPlan(1, 2, 2, 2)]
    desk.leases.finish_plan(claim(desk, job, 0), parts, {})


def translate(store: ObjectStore, shard: Shard, split: str, frame_id: str) -> None:
    store.write(keys.preview_image(shard.result_key, keys.image(split, frame_id, ".jpg")), b"jpeg")


def seen(desk: Desk, store: ObjectStore, job: Job) -> list[bool]:
    return [each.image_key is not None for each in preview_frames(desk, store, job)]


def test_the_same_wish_again_is_the_same_job(desk: Desk) -> None:
    other = replace(WISH, generator="identity")
    first = submit_previews(desk, [WISH, other])
    assert [job.id for job in submit_previews(desk, [other, WISH])] == [first[1].id, first[0].id]
    assert len(desk.jobs.jobs(10, None)) == 2


@pytest.mark.parametrize("change", [{"seed": 1}, {"strength": 0.5}, {"preview": 5}, {"jpeg_quality": 90}])
def test_another_wish_is_another_job(desk: Desk, change: dict[str, float]) -> None:
    (first,) = submit_previews(desk, [WISH])
    (second,) = submit_previews(desk, [replace(WISH, **change)])  # type: ignore[arg-type]
    assert first.id != second.id


def test_what_was_given_up_is_tried_again(desk: Desk) -> None:
    (first,) = submit_previews(desk, [WISH])
    desk.jobs.cancel(first.id)
    (second,) = submit_previews(desk, [WISH])
    assert first.id != second.id


def test_frames_are_seen_as_soon_as_they_are_translated(desk: Desk, store: ObjectStore) -> None:
    (job,) = submit_previews(desk, [WISH])
    assert preview_frames(desk, store, job) == []
    plan(desk, store, job)
    assert [each.frame.id for each in preview_frames(desk, store, job)] == ["f0", "f1", "f2", "f3"]
    first, second = claim(desk, job, 1), claim(desk, job, 2)
    assert seen(desk, store, job) == [False] * 4
    translate(store, second, "val", "f2")
    assert seen(desk, store, job) == [False, False, True, False]
    translate(store, first, "train", "f1")
    desk.leases.finish_work(first, 1, 1, [])
    assert seen(desk, store, job) == [False, True, True, False]


def test_a_retry_shows_what_it_took_over(desk: Desk, store: ObjectStore) -> None:
    (job,) = submit_previews(desk, [WISH])
    plan(desk, store, job)
    first = claim(desk, job, 1)
    for frame_id in ("f0", "f1"):
        translate(store, first, "train", frame_id)
    desk.leases.finish_work(first, 2, 0, [])
    desk.jobs.cancel(job.id)
    again = retry(desk, job.id)
    assert seen(desk, store, again) == [True, True, False, False]
    translate(store, claim(desk, again, 2), "val", "f3")
    assert seen(desk, store, again) == [True, True, False, True]
