"""How long a translation will take, by what was seen of its generator on this server."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.catalogue import GeneratorCard
from service.jobs.job import Job, JobState

# A shorter run says more of how work begins and ends than of the generator.
LONG_ENOUGH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SeenRate:
    """`is_of_dataset`: seen on the dataset that is asked about, so on images of its size."""

    images_per_second: float
    is_of_dataset: bool
    job_id: str


def seen_rate(jobs: Iterable[Job], card: GeneratorCard, dataset_id: str) -> SeenRate | None:
    """By the newest of these jobs, best one on the same dataset; None if the generator has never run here."""
    found = None
    for job in jobs:
        is_of_dataset = job.dataset_id == dataset_id
        if _generator(job) != card.reference or (found is not None and not is_of_dataset):
            continue
        rate = _rate_of_all(job) or measured_rate(job)
        if rate is not None:
            found = SeenRate(rate, is_of_dataset, job.id)
        if found is not None and is_of_dataset:
            break
    return found


def measured_rate(job: Job) -> float | None:
    """Images a second as the job's plan measured them, after a warm-up; None before that."""
    seconds = job.outcome.get("measured_seconds_per_image")
    return 1 / float(seconds) if seconds else None


def _rate_of_all(job: Job) -> float | None:
    """Of a whole translation: with reading and writing, and with as many workers as there were."""
    is_whole = job.state is JobState.SUCCEEDED and not job.spec.get("preview") and job.parent_id is None
    if not is_whole or job.work_started_at is None or job.finished_at is None:
        return None
    seconds = job.finished_at - job.work_started_at
    frames = float(job.outcome.get("frames_total", 0))
    return frames / seconds if seconds >= LONG_ENOUGH_SECONDS and frames else None


def _generator(job: Job) -> str:
    card = job.spec.get("generator")
    return f"{card['name']}:{card['version']}" if isinstance(card, dict) else ""
