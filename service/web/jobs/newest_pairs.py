"""The newest frames of a translation that is under way: images are there long before the dataset is ready.

A shard does its frames nearly in the plan's order, so that the last ones done stand about where its progress
points to in its part of the plan. Whether an image is there the store says.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Any

from service.api.dependencies import Services
from service.api.previews import PreviewFrameView, preview_view
from service.datasets.dataset import Split
from service.jobs.job import Job, JobKind, Shard
from service.storage import keys

MOST_PAIRS = 8
# Of the plan before the place where a shard is: dozens of frames.
WINDOW_BYTES = 64 << 10
MOST_LOOKED_FOR = 24
SUFFIX = ".jpg"


@dataclass(frozen=True, slots=True)
class NewPair:
    """A frame with the addresses of both images, small; `path` leads to the large one."""

    name: str
    split: Split
    id: str
    width_px: int
    height_px: int
    source_url: str
    image_url: str
    path: str


def newest_pairs(here: Services, job: Job) -> list[NewPair]:
    """At most eight, the newest first; none of a job that is no translation."""
    if job.kind is not JobKind.TRANSLATION:
        return []
    if job.spec.get("preview"):
        return _of_preview(here, job)
    shards = here.desk.jobs.newest_shards(job.id, MOST_PAIRS)
    newest = chain.from_iterable(zip_longest(*(_frames(here, job, shard) for shard in shards)))
    return list(islice((pair for pair in newest if pair is not None), MOST_PAIRS))


def result_key(job: Job, split: Split, frame_id: str) -> str:
    return keys.dataset(str(job.result_id), keys.image(split, frame_id, SUFFIX))


def _frames(here: Services, job: Job, shard: Shard) -> Iterator[NewPair]:
    """The last ones of a shard that are there."""
    length = shard.stop_byte - shard.start_byte
    done = shard.frames_done + shard.frames_failed
    # Long lines may lie behind: then the next look finds what this one misses.
    reached = shard.start_byte + length * done // max(1, shard.frames_total)
    stop = min(shard.stop_byte, reached + WINDOW_BYTES // 4)
    start = max(shard.start_byte, reached - WINDOW_BYTES)
    data = here.store.read_range(shard.plan_key, start, stop)
    lines = data.split(b"\n")
    whole = lines[0 if start == shard.start_byte else 1 : -1]
    for line in whole[: -MOST_LOOKED_FOR - 1 : -1]:
        frame = json.loads(line)["frame"]
        if here.store.exists(result_key(job, frame["split"], frame["id"])):
            yield _pair(job, frame)


def _pair(job: Job, frame: dict[str, Any]) -> NewPair:
    place = f"frames/{frame['split']}/{frame['id']}"
    own = f"/jobs/{job.id}/{place}"
    source = f"/v1/datasets/{job.dataset_id}/{place}/thumbnail"
    return NewPair(
        frame["name"], Split(frame["split"]), frame["id"], frame["width_px"], frame["height_px"],
        source, f"{own}/thumbnail", f"{own}/image",
    )  # fmt: skip


def _of_preview(here: Services, job: Job) -> list[NewPair]:
    done = [frame for frame in preview_view(here, job).frames if frame.image_url is not None]
    return [_previewed(frame, str(frame.image_url)) for frame in done[:MOST_PAIRS]]


def _previewed(frame: PreviewFrameView, image_url: str) -> NewPair:
    source = f"{frame.source_url.removesuffix('/image')}/thumbnail"
    return NewPair(
        frame.name, frame.split, frame.id, frame.width_px, frame.height_px, source, image_url, image_url
    )  # fmt: skip
