"""What a job is: its states, the moves between them, and the values that describe one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobKind(StrEnum):
    INGEST = "ingest"
    TRANSLATION = "translation"
    GENERATOR_IMPORT = "generator-import"
    TRAINING = "training"
    QUALITY = "quality"
    EXPERIMENT = "experiment"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PUBLISHING = "publishing"
    SUCCEEDED = "succeeded"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"


class ShardState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SPLIT = "split"


class DatasetState(StrEnum):
    PENDING = "pending"
    READY = "ready"
    REJECTED = "rejected"
    DELETED = "deleted"  # its objects are still being removed; nobody finds it any more


class Stage(StrEnum):
    """The part of a job that a shard belongs to; one follows the other."""

    PLAN = "plan"  # one shard: decides on the frames and cuts them into shards
    WORK = "work"  # many shards; a single one for a training, which cannot be cut
    PUBLISH = "publish"  # one shard: writes the manifest last


# The only moves there are. The database refuses every other one by a trigger that reads the same table.
JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLING, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.PUBLISHING, JobState.CANCELLING, JobState.FAILED}),
    JobState.PUBLISHING: frozenset({JobState.SUCCEEDED, JobState.CANCELLING, JobState.FAILED}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset(),
}
SHARD_MOVES: dict[ShardState, frozenset[ShardState]] = {
    ShardState.PENDING: frozenset({ShardState.RUNNING}),
    ShardState.RUNNING: frozenset({ShardState.DONE, ShardState.PENDING, ShardState.SPLIT}),
    ShardState.DONE: frozenset(),
    ShardState.SPLIT: frozenset(),
}
DATASET_MOVES: dict[DatasetState, frozenset[DatasetState]] = {
    DatasetState.PENDING: frozenset({DatasetState.READY, DatasetState.REJECTED}),
    # A retry takes up the same dataset again; one that is ready never changes.
    DatasetState.REJECTED: frozenset({DatasetState.PENDING, DatasetState.DELETED}),
    DatasetState.READY: frozenset({DatasetState.DELETED}),
    DatasetState.DELETED: frozenset(),
}
MOVES: dict[str, dict[Any, frozenset[Any]]] = {
    "job": JOB_MOVES,
    "shard": SHARD_MOVES,
    "dataset": DATASET_MOVES,
}

# Jobs of a single shard that takes hours: it is never cut, and goes on from its last checkpoint.
LONG_KINDS = frozenset({JobKind.TRAINING, JobKind.EXPERIMENT})


def is_whole(kind: str, stage: str) -> bool:
    """Of a shard: it cannot be split until the image that ends its workers lies alone."""
    return stage != Stage.WORK or kind in LONG_KINDS


# A shard of an hour or a day must not stand before those of seconds: trainings have workers of their own,
# which do nothing else: who has trained waits for the report, and not for the next training. And an ingest of
# a hundred thousand images, which needs no GPU, must not stand before translations.
INGEST, SHARDS, TRAININGS = "ingest", "shards", "trainings"
Work = frozenset[tuple[JobKind, Stage]]
_ALL: Work = frozenset((kind, stage) for kind in JobKind for stage in Stage)
_INGESTS: Work = frozenset((JobKind.INGEST, stage) for stage in Stage)
_TRAININGS: Work = frozenset((kind, Stage.WORK) for kind in LONG_KINDS)
QUEUES: Mapping[str, Work] = {INGEST: _INGESTS, SHARDS: _ALL - _INGESTS - _TRAININGS, TRAININGS: _TRAININGS}
# What a worker listens to that is not told otherwise: it takes from both in turn.
EVERYDAY_QUEUES = (INGEST, SHARDS)
# Of what a shard means and of what it leaves behind. Raise it when an older worker could not do a newer job's
# shards, or would do them otherwise: it then leaves them to the newer ones.
WORK_VERSION = 1

# The kinds of events that a training leaves: losses with the time left, a grid to look at, a checkpoint.
TRAINING_EVENT, SAMPLE_EVENT, CHECKPOINT_EVENT = "training", "sample", "checkpoint"
# How far the detector of one arm and seed is.
DETECTOR_EVENT = "detector"

FINAL_JOB_STATES = frozenset(state for state, following in JOB_MOVES.items() if not following)
ACTIVE_JOB_STATES = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.PUBLISHING})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. `images_per_second` and `seconds_left` are None until there is something to go by."""

    frames_total: int
    frames_done: int
    frames_failed: int
    images_per_second: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Job:
    """One request for work. `spec` holds what was asked for; times are seconds since the epoch. A job with an
    `after_id` waits until that job has succeeded.
    """

    id: str
    tenant: str
    kind: JobKind
    state: JobState
    version: int
    work_version: int
    spec: dict[str, Any]
    dataset_id: str | None
    result_id: str | None
    parent_id: str | None
    after_id: str | None
    error_code: str | None
    error: str | None
    outcome: dict[str, Any]
    created_at: float
    started_at: float | None
    work_started_at: float | None
    finished_at: float | None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_JOB_STATES


@dataclass(frozen=True, slots=True)
class Shard:
    """A range of a job's plan, the unit of work and of retry.

    `fence` counts the claims: whoever holds an older one has lost the shard. `strikes` counts how often a
    surviving parent saw the single image of this shard kill its worker. `attempts` counts the errors of a
    shard, `losses` how often one that cannot be split lost its worker without any. The frames of a training
    are the images that it shows to its networks, each as often as it is shown.
    """

    job_id: str
    index: int
    stage: Stage
    state: ShardState
    fence: int
    attempts: int
    strikes: int
    losses: int
    plan_key: str
    result_key: str
    start_byte: int
    stop_byte: int
    position: int
    frames_total: int
    frames_done: int
    frames_failed: int


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A shard to be: `position` is the number of its first frame in the plan."""

    start_byte: int
    stop_byte: int
    position: int
    frames_total: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job, in order of `id`."""

    id: int
    job_id: str
    at: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
