"""What becomes of an image that ends every process that works on it: left out, named, nothing of it kept."""

import json
from typing import Any

from service.datasets.dataset import Finding, Severity
from service.jobs.job import Job, JobKind
from service.storage import keys

SUFFIXES = (".jpg", ".png")


def quarantined(line: bytes, strikes: int) -> Finding:
    """`line` is the image's in the plan."""
    return Finding(
        code="decoder-crash",
        severity=Severity.ERROR,
        path=str(json.loads(line).get("image", "?")),
        message=f"The image ended the process that worked on it {strikes} times.",
        cure="Look at the image; convert it to a plain JPEG, or leave it out.",
    )


def left_by(job: Job, line: bytes) -> list[str]:
    """Keys under which the frame may have been stored before its process ended. Whoever trains on the folder
    as it lies there would take them for a part of the dataset.
    """
    if job.result_id is None or job.kind not in (JobKind.INGEST, JobKind.TRANSLATION):
        return []
    planned: dict[str, Any] = json.loads(line)
    frame = planned.get("frame", planned)  # an ingest plans frames, a translation manifest entries
    split, frame_id = str(frame["split"]), str(frame["id"])
    names = [keys.image(split, frame_id, suffix) for suffix in SUFFIXES]
    return [keys.dataset(job.result_id, name) for name in (*names, keys.label(split, frame_id))]
