"""The rules of a job, as a pure function of its events: nothing of the service but its table of moves.

Replaying the events must lead to the rows that are there. A row that changed without an event, or an event
without a change, shows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.jobs.job import JOB_MOVES, SHARD_MOVES, Event, JobState, ShardState

ON_ITS_WAY = {JobState.QUEUED, JobState.RUNNING, JobState.PUBLISHING, JobState.CANCELLING}


@dataclass(slots=True)
class Replayed:
    """Where the events lead; `illegal` names those that may not be."""

    state: JobState | None = None
    shards: dict[int, ShardState] = field(default_factory=dict)
    fences: dict[int, int] = field(default_factory=dict)
    frames: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Done and failed frames of finished shards."""
    fenced_out: int = 0
    """Shards that were finished by one who had lost them."""
    illegal: list[str] = field(default_factory=list)


def replay(events: Iterable[Event]) -> Replayed:
    replayed = Replayed()
    for event in events:
        if event.kind == "state":
            _move_job(replayed, event)
        elif event.kind == "shard":
            _move_shard(replayed, event.id, event.data)
    return replayed


def _move_job(replayed: Replayed, event: Event) -> None:
    target = JobState(event.data["state"])
    if replayed.state is not None and target not in JOB_MOVES[replayed.state]:
        replayed.illegal.append(f"event {event.id}: job {replayed.state} -> {target}")
    replayed.state = target


def _move_shard(replayed: Replayed, number: int, data: Mapping[str, Any]) -> None:
    index, target = int(data["index"]), ShardState(data["state"])
    origin = replayed.shards.get(index, ShardState.PENDING)
    if target not in SHARD_MOVES[origin]:
        replayed.illegal.append(f"event {number}: shard {index} {origin} -> {target}")
    if target is ShardState.RUNNING:
        if data["fence"] <= replayed.fences.get(index, 0):
            replayed.illegal.append(f"event {number}: shard {index} claimed with an old fence")
        replayed.fences[index] = data["fence"]
        if replayed.state not in ON_ITS_WAY:
            replayed.illegal.append(f"event {number}: shard {index} of a job that is {replayed.state}")
    elif target is ShardState.DONE:
        replayed.fenced_out += data["fence"] != replayed.fences.get(index)
        replayed.frames[index] = (data["frames_done"], data["frames_failed"])
    replayed.shards[index] = target
