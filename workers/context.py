"""What a stage is given, and how it answers. A stage knows the object store and no SQL."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.jobs.job import JobKind, ShardPlan, Stage
from service.settings import Settings
from service.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard of one job, as the parent hands it to its child."""

    job_id: str
    kind: JobKind
    stage: Stage
    spec: dict[str, Any]
    dataset_id: str | None
    result_id: str | None
    job_outcome: dict[str, Any]
    plan_key: str
    result_key: str
    start_byte: int
    stop_byte: int
    index: int = 0
    position: int = 0
    """The number of the shard's first frame in the plan."""
    attempts: int = 0
    """How often the shard has failed: a plan then measures on other frames, as one may be to blame."""
    parts: tuple[str, ...] = ()
    """For the publishing stage: the result keys of all finished shards, in the order of their frames."""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ShardTask":
        enums = {"kind": JobKind(data["kind"]), "stage": Stage(data["stage"]), "parts": tuple(data["parts"])}
        return cls(**{**data, **enums})

    def lines(self, store: ObjectStore) -> list[bytes]:
        """The shard's lines of the plan, one for each frame."""
        return store.read_range(self.plan_key, self.start_byte, self.stop_byte).splitlines()


class Reporter(Protocol):
    def progress(self, done: int, failed: int, reading: int) -> None:
        """`done` + `failed` frames are finished; those from there up to `reading` may be in flight."""

    def note(self, text: str) -> None:
        """Something a user should know, such as a halved batch."""

    def event(self, kind: str, data: dict[str, Any]) -> None:
        """Something that happened: it is added to the job's events at once."""

    def alive(self) -> None:
        """The work goes on, though there is nothing to tell yet. Who is silent for too long is ended."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a stage works."""

    store: ObjectStore
    settings: Settings
    reporter: Reporter


@dataclass(slots=True)
class Outcome:
    """What a stage hands back; the parent writes it to SQL.

    `parts` after a plan; `frames_*` after work; `facts` go into the job's outcome; `dataset` and `generators`
    after publishing.
    """

    parts: list[ShardPlan] = field(default_factory=list)
    frames_done: int = 0
    frames_failed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] | None = None
    generators: list[dict[str, Any]] = field(default_factory=list)


StageFunction = Callable[[ShardTask, Bench], Outcome]


class PlanCutter:
    """Remembers where the lines of a plan begin, and cuts it into shards of equal numbers of frames."""

    def __init__(self) -> None:
        self._ends: list[int] = [0]

    def add(self, line: bytes) -> bytes:
        """The line as it is to be written."""
        whole = line + b"\n"
        self._ends.append(self._ends[-1] + len(whole))
        return whole

    def __len__(self) -> int:
        return len(self._ends) - 1

    def cut(self, frames_per_shard: int) -> list[ShardPlan]:
        return list(self._cut(max(1, frames_per_shard)))

    def _cut(self, size: int) -> Iterator[ShardPlan]:
        for first in range(0, len(self), size):
            last = min(first + size, len(self))
            yield ShardPlan(self._ends[first], self._ends[last], first, last - first)
