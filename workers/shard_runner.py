"""Runs one shard after the other: claims it, hands it to the child, keeps the lease, records the outcome."""

import json
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import structlog

from service.catalogue import GeneratorCard
from service.datasets.dataset import Finding, Severity
from service.jobs.job import (
    CHECKPOINT_EVENT,
    LONG_KINDS,
    Job,
    Shard,
    ShardPlan,
    ShardState,
    Stage,
)
from service.jobs.leases import Lease, LeaseStore
from service.jobs.library import Library
from service.jobs.queue import Queue, ring
from service.jobs.results import finding_line
from service.jobs.store import JobStore
from service.settings import Settings
from service.storage.object_store import ObjectStore
from workers.child_process import ChildDied, ChildProcess
from workers.context import ShardTask

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Watch:
    """What the parent knows of the shard its child is working on."""

    done: int = 0
    failed: int = 0
    reading: int = 0
    renewed_at: float = 0.0
    looked_at: float = 0.0

    @property
    def finished(self) -> int:
        return self.done + self.failed


class ShardRunner:
    """The parent. It imports no torch; the child does the work and may die at any time."""

    def __init__(
        self,
        settings: Settings,
        jobs: JobStore,
        leases: LeaseStore,
        library: Library,
        store: ObjectStore,
        queue: Queue,
        worker: str,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._leases = leases
        self._library = library
        self._store = store
        self._queue = queue
        self._worker = worker
        self._child: ChildProcess | None = None
        self._stopping = threading.Event()
        self._look_every = min(settings.poll_seconds, settings.heartbeat_seconds)

    def start(self) -> None:
        """Start the child and wait until it has loaded its libraries: no lease runs meanwhile."""
        if self._child is not None:
            return
        self._child = ChildProcess()
        try:
            while not any(message.get("ready") for message in self._child.messages(1.0)):
                if self._stopping.is_set():
                    break
        except ChildDied:
            self._drop_child()
            raise

    def stop(self) -> None:
        """Ask the shard in progress to be given back; `run` returns soon after."""
        self._stopping.set()

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def run(self, job_id: str, index: int) -> None:
        """Work on a shard if it is still to be had; a hint that comes late or twice does nothing."""
        if self._stopping.is_set():
            return
        self.start()
        shard = self._leases.claim(job_id, index, self._worker)
        if shard is None:
            return
        structlog.contextvars.bind_contextvars(job_id=job_id, shard=index)
        try:
            self._work(shard)
        finally:
            structlog.contextvars.unbind_contextvars("job_id", "shard")
        ring(self._queue, self._leases)

    def _work(self, shard: Shard) -> None:
        job = self._jobs.job(shard.job_id)
        if shard.strikes >= self._settings.strikes:
            self._quarantine(shard)
            return
        watch = Watch(renewed_at=time.monotonic())
        notes: list[str] = []
        try:
            self._the_child().send(self._task(job, shard).to_json())
        except ChildDied as death:  # it was dead before it read of this shard: no image is to blame
            self._drop_child()
            self._leases.release(shard, f"the worker's child had {death}")
            return
        try:
            answer = self._await_answer(shard, watch, notes)
        except ChildDied as death:
            self._drop_child()
            self._after_death(job, shard, watch, death)
            return
        except BaseException:
            self._drop_child()  # it works on, and its answer must not be taken for the next shard's
            raise
        if answer is None:
            return
        self._record(shard, answer, notes)

    def _await_answer(self, shard: Shard, watch: Watch, notes: list[str]) -> dict[str, Any] | None:
        """The child's last word; None when the shard was taken from us, or is no longer wanted."""
        while True:
            for message in self._the_child().messages(self._settings.poll_seconds):
                if "progress" in message:
                    progress = message["progress"]
                    watch.done, watch.failed = progress["done"], progress["failed"]
                    watch.reading = progress["reading"]
                elif "note" in message:
                    notes.append(message["note"])
                elif "event" in message:
                    self._note(shard, **message["event"])
                elif "ready" not in message:
                    return message
            if self._stopping.is_set():
                self._drop_child()
                self._leases.release(shard, "worker stopped")
                return None
            if self._keep(shard, watch) is not Lease.HELD:
                return None

    def _note(self, shard: Shard, kind: str, data: dict[str, Any]) -> None:
        self._leases.note(shard, kind, data)
        if kind == CHECKPOINT_EVENT:
            self._leases.note_checkpoint(shard)

    def _keep(self, shard: Shard, watch: Watch) -> Lease:
        now = time.monotonic()
        if now - watch.looked_at < self._look_every:  # the child may speak hundreds of times a second
            return Lease.HELD
        watch.looked_at = now
        if now - watch.renewed_at < self._settings.heartbeat_seconds:
            lease = self._leases.look(shard)
        else:
            lease = self._leases.renew(shard, watch.done, watch.failed)
            watch.renewed_at = now
        if lease is not Lease.HELD:
            log.info("shard given up", lease=lease)
            self._drop_child()
            if lease is Lease.STOPPED:
                self._leases.release(shard, "job stopped")
        return lease

    def _record(self, shard: Shard, answer: dict[str, Any], notes: list[str]) -> None:
        if "refused" in answer:
            refusal = answer["refused"]
            self._leases.fail(shard, refusal["code"], f"{refusal['message']} {refusal['cure']}".strip())
        elif "crashed" in answer:
            self._leases.retry(shard, answer["crashed"])
        else:
            self._finish(shard, answer["outcome"], notes)

    def _finish(self, shard: Shard, outcome: dict[str, Any], notes: list[str]) -> None:
        if shard.stage is Stage.PLAN:
            parts = [ShardPlan(*numbers) for numbers in outcome["parts"]]
            self._leases.finish_plan(shard, parts, outcome["facts"])
        elif shard.stage is Stage.WORK:
            self._leases.finish_work(shard, outcome["frames_done"], outcome["frames_failed"], notes)
        else:
            for card in outcome["generators"]:
                self._library.add_generator(GeneratorCard(**card))
            self._leases.finish_publish(shard, outcome["facts"], outcome["dataset"])

    def _after_death(self, job: Job, shard: Shard, watch: Watch, death: ChildDied) -> None:
        """We saw the child die on this shard. Whichever image did it must end up alone; then it counts."""
        log.warning("child died", reason=str(death), finished=watch.finished, reading=watch.reading)
        if shard.stage is not Stage.WORK or job.kind in LONG_KINDS:
            self._leases.retry(shard, f"the worker's child {death}")
        elif shard.frames_total == 1:
            self._leases.strike(shard)
        else:
            self._leases.split(shard, self._parts_after_death(shard, watch))

    def _parts_after_death(self, shard: Shard, watch: Watch) -> list[ShardPlan]:
        """What was finished, each image that was in flight alone, and the rest."""
        ends = [0]
        data = self._store.read_range(shard.plan_key, shard.start_byte, shard.stop_byte)
        for line in data.splitlines(keepends=True):
            ends.append(ends[-1] + len(line))
        first = min(watch.finished, shard.frames_total - 1)
        last = max(first + 1, min(watch.reading, shard.frames_total))
        cuts = sorted({0, *range(first, last + 1), shard.frames_total})
        return [
            ShardPlan(
                shard.start_byte + ends[start],
                shard.start_byte + ends[stop],
                shard.position + start,
                stop - start,
            )
            for start, stop in pairwise(cuts)
        ]

    def _quarantine(self, shard: Shard) -> None:
        """Leave the image out: it killed its worker each time, alone, before our eyes."""
        line = self._store.read_range(shard.plan_key, shard.start_byte, shard.stop_byte)
        finding = Finding(
            code="decoder-crash",
            severity=Severity.ERROR,
            path=_image_name(json.loads(line)),
            message=f"The image ended the process that worked on it {shard.strikes} times.",
            cure="Look at the image; convert it to a plain JPEG, or leave it out.",
        )
        self._store.write(shard.result_key, finding_line(finding))
        self._leases.finish_work(shard, 0, 1, ["quarantined"])

    def _task(self, job: Job, shard: Shard) -> ShardTask:
        parts: tuple[str, ...] = ()
        if shard.stage is Stage.PUBLISH:
            parts = tuple(
                part.result_key
                for part in self._jobs.shards(job.id)
                if part.stage is Stage.WORK and part.state is ShardState.DONE
            )
        return ShardTask(
            job_id=job.id,
            kind=job.kind,
            stage=shard.stage,
            spec=job.spec,
            dataset_id=job.dataset_id,
            result_id=job.result_id,
            job_outcome=job.outcome,
            plan_key=shard.plan_key,
            result_key=shard.result_key,
            start_byte=shard.start_byte,
            stop_byte=shard.stop_byte,
            position=shard.position,
            attempts=shard.attempts,
            parts=parts,
        )

    def _the_child(self) -> ChildProcess:
        if self._child is None:
            self.start()
        assert self._child is not None  # noqa: S101 - just started
        return self._child

    def _drop_child(self) -> None:
        """The quickest way to make a child stop in the middle of a batch; a dead one too."""
        self.close()


def _image_name(planned: dict[str, Any]) -> str:
    return str(planned.get("image", "?"))
