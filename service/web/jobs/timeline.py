"""What happened to a job, in plain words. Its parts come and go by the thousand: only what is out of the
ordinary is told of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.api.dependencies import Services
from service.jobs.job import Event, JobState

TOLD = ("state", "planned", "note", "worker-unfit")
MOST_TOLD, MOST_OF_SHARDS = 100, 400
STATES = {
    JobState.QUEUED: "It was handed in.",
    JobState.RUNNING: "Work began.",
    JobState.PUBLISHING: "All parts were done; the result was put together.",
    JobState.SUCCEEDED: "It succeeded.",
    JobState.CANCELLING: "It was asked to stop.",
    JobState.CANCELLED: "It was cancelled.",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """`is_bad`: somebody may want to know why."""

    at: datetime
    text: str
    is_bad: bool = False


def timeline(here: Services, job_id: str) -> list[Happening]:
    """The latest first."""
    jobs = here.desk.jobs
    told = jobs.latest_events(job_id, TOLD, MOST_TOLD) + jobs.latest_events(job_id, ["shard"], MOST_OF_SHARDS)
    in_order = sorted(told, key=lambda event: event.id, reverse=True)
    return [each for event in in_order for each in _happenings(event)][:MOST_TOLD]


def _happenings(event: Event) -> Iterator[Happening]:
    text, is_bad = _WORDS[event.kind](event.data)
    if text:
        yield Happening(datetime.fromtimestamp(event.at, UTC), text, is_bad)


def _state(data: Mapping[str, Any]) -> tuple[str, bool]:
    state = JobState(data["state"])
    if state is JobState.FAILED:
        return f"It failed: {data.get('error', '')}", True
    return STATES[state], False


def _planned(data: Mapping[str, Any]) -> tuple[str, bool]:
    parts = data["shards"]
    cut = "one part" if parts == 1 else f"{parts:,} parts"
    frames, machine = data.get("frames_total"), data.get("machine")
    what = f"{frames:,} frames in {cut}" if isinstance(frames, int) else f"The work is {cut}"
    return f"{what}{f', on {machine}' if isinstance(machine, str) else ''}.", False


def _note(data: Mapping[str, Any]) -> tuple[str, bool]:
    return f"{_part(data)}: {data['text']}", False


def _unfit(data: Mapping[str, Any]) -> tuple[str, bool]:
    return f"A worker cannot work ({data.get('tries', 1)} tries): {data['reason']}.", True


def _shard(data: Mapping[str, Any]) -> tuple[str, bool]:
    part, state = _part(data), data["state"]
    if state == "split":
        return f"{part} lost its worker and was cut into {data['parts']}.", True
    if state == "running" and data["fence"] > 1:
        return f"{part} was begun again.", False
    if state == "pending":
        return f"{part} was given back: {REASONS.get(data['reason'], data['reason'])}.", True
    return "", False


def _part(data: Mapping[str, Any]) -> str:
    return f"Part {data['index']}"


REASONS = {
    "lease expired": "its worker was not heard of any more",
    "strike": "its one image ended the worker once more",
    "worker stopped": "its worker was stopped",
    "job stopped": "the job was stopped",
}
_WORDS: dict[str, Callable[[Mapping[str, Any]], tuple[str, bool]]] = {
    "state": _state,
    "planned": _planned,
    "note": _note,
    "worker-unfit": _unfit,
    "shard": _shard,
}
