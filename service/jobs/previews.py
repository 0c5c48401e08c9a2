"""Previews: some frames of a dataset by several generators, to look at before a long job is begun."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.datasets.dataset import Frame
from service.datasets.manifest import ManifestEntry
from service.errors import ObjectNotFound
from service.jobs.job import Job, JobKind, JobState, Shard, ShardState, Stage
from service.jobs.store import NewJob
from service.jobs.submit import Desk, TranslationWish, submit_all, translation_job
from service.storage import keys
from service.storage.object_store import ObjectStore

# Whoever tries generators comes back to what was tried just now, not last month.
RECENT_JOBS = 200
GIVEN_UP = (JobState.FAILED, JobState.CANCELLING, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class PreviewFrame:
    """A frame as the dataset has it; `image_key` is None until it is translated."""

    frame: Frame
    image_key: str | None


def submit_previews(desk: Desk, wishes: Sequence[TranslationWish]) -> list[Job]:
    """A job for each wish, in their order. What was wished before, word for word, is not done again."""
    new = [translation_job(desk, wish) for wish in wishes]
    before = desk.jobs.jobs(RECENT_JOBS, None, JobKind.TRANSLATION)
    known = [_same(before, job) for job in new]
    missing = [job for job, same in zip(new, known, strict=True) if same is None]
    made = iter(submit_all(desk, missing) if missing else ())
    return [same or next(made) for same in known]


def _same(before: Sequence[Job], new: NewJob) -> Job | None:
    """The card with its digest, the seed, the strength are all in the spec: equal specs give equal images."""
    for job in before:
        if (job.dataset_id, job.spec) == (new.dataset_id, new.spec) and job.state not in GIVEN_UP:
            return job
    return None


def preview_frames(desk: Desk, store: ObjectStore, job: Job) -> list[PreviewFrame]:
    """In the order of the dataset; empty until the job has chosen them."""
    shards = desk.jobs.shards(job.id)
    if not any(shard.stage is Stage.WORK for shard in shards):
        return []
    try:
        lines = store.read(shards[0].plan_key).decode().split("\n")
    except ObjectNotFound:
        return []
    frames = [ManifestEntry.from_line(line).frame for line in lines if line]
    images = _images(store, shards, frames)
    return [PreviewFrame(frame, images.get(number)) for number, frame in enumerate(frames)]


def _images(store: ObjectStore, shards: Sequence[Shard], frames: Sequence[Frame]) -> Mapping[int, str]:
    """By the frame's number: what has been translated so far, also of a shard that is not done."""
    found: dict[int, str] = {}
    for shard in shards:
        if shard.stage is not Stage.WORK or shard.state in (ShardState.SPLIT, ShardState.PENDING):
            continue
        for number in range(shard.position, shard.position + shard.frames_total):
            key = keys.preview_image(shard.result_key, _image(frames[number]))
            if store.exists(key):
                found[number] = key
    return found


def _image(frame: Frame) -> str:
    return keys.image(frame.split, frame.id, ".jpg")
