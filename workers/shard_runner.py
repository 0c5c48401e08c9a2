"""Runs one shard after the other: claims it, hands it to the child, keeps the lease, records the outcome."""

import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import structlog

from service.catalogue import GeneratorCard
from service.errors import NoSpaceLeft, Unavailable
from service.jobs.job import (
    CHECKPOINT_EVENT,
    Job,
    Shard,
    ShardPlan,
    ShardState,
    Stage,
    is_whole,
)
from service.jobs.leases import Lease, LeaseStore
from service.jobs.library import Library
from service.jobs.queue import Queue, ring_if_possible
from service.jobs.results import finding_line
from service.jobs.store import JobStore
from service.settings import Settings
from service.storage.object_store import ObjectStore
from service.storage.outages import outage
from service.tracing import describe_span
from workers import metrics
from workers.child_process import ChildDied, ChildProcess, Silence
from workers.context import ShardTask
from workers.quarantine import left_by, quarantined

log = structlog.get_logger(__name__)

START_EVERY_SECONDS = 1.0
# A child that could not be started is tried again after so long, and the last of these from then on.
START_AGAIN_AFTER_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
TRIES_BEFORE_TELLING = 3


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
        self._failed_starts = 0
        self._look_every = min(settings.poll_seconds, settings.heartbeat_seconds)

    def start(self) -> None:
        """Start the child and wait until it has loaded its libraries: no lease runs meanwhile."""
        if self._child is not None:
            return
        self._child = ChildProcess()
        silence = Silence(self._settings.stall_seconds, 2 * START_EVERY_SECONDS)
        try:
            while not any(message.get("ready") for message in self._child.messages(START_EVERY_SECONDS)):
                if self._stopping.is_set():
                    break
                silence.look(heard=False)
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
        if self._stopping.is_set() or not self._started(job_id, index):
            return
        shard = self._leases.claim(job_id, index, self._worker)
        if shard is None:
            return
        structlog.contextvars.bind_contextvars(worker=self._worker, job_id=job_id, shard=index)
        describe_span(worker=self._worker, job_id=job_id, shard=index, stage=shard.stage)
        try:
            self._work(shard)
        finally:
            structlog.contextvars.unbind_contextvars("worker", "job_id", "shard")
        ring_if_possible(self._queue, self._leases)

    def _started(self, job_id: str, index: int) -> bool:
        """Whether there is a child to work with. One that cannot even start (a broken installation, no
        memory) is no shard's fault: none is claimed for it, others may take them, and we try again patiently.
        """
        try:
            self.start()
        except ChildDied as death:
            self._failed_starts += 1
            log.error("the worker's child cannot start", reason=str(death), tries=self._failed_starts)
            if self._failed_starts % TRIES_BEFORE_TELLING == 0:
                facts = {"index": index, "worker": self._worker, "reason": f"the child {death} at its start"}
                self._leases.note_unfit(job_id, {**facts, "tries": self._failed_starts})
            step = min(self._failed_starts, len(START_AGAIN_AFTER_SECONDS)) - 1
            self._stopping.wait(START_AGAIN_AFTER_SECONDS[step])
            return False
        self._failed_starts = 0
        return True

    def _work(self, shard: Shard) -> None:
        job = self._jobs.job(shard.job_id)
        if shard.strikes >= self._settings.strikes:
            self._quarantine(job, shard)
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
        silence = Silence(self._settings.stall_seconds, 2 * self._settings.poll_seconds)
        while True:
            heard = False
            for message in self._the_child().messages(self._settings.poll_seconds):
                heard = True
                if "progress" in message:
                    progress = message["progress"]
                    watch.done, watch.failed = progress["done"], progress["failed"]
                    watch.reading = progress["reading"]
                elif "note" in message:
                    notes.append(message["note"])
                elif "event" in message:
                    self._note(shard, **message["event"])
                elif "ready" not in message and "alive" not in message:
                    return message
            if self._stopping.is_set():
                self._drop_child()
                self._leases.release(shard, "worker stopped")
                return None
            if self._keep(shard, watch) is not Lease.HELD:
                return None
            silence.look(heard)

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
        metrics.SHARDS.labels(shard.stage, next(iter(answer))).inc()
        if "refused" in answer:
            refusal = answer["refused"]
            self._leases.fail(shard, refusal["code"], f"{refusal['message']} {refusal['cure']}".strip())
        elif "delayed" in answer:
            log.warning("shard put off", reason=answer["delayed"])
            self._leases.postpone(shard, answer["delayed"])
        elif "crashed" in answer:
            self._leases.retry(shard, answer["crashed"])
        else:
            self._finish(shard, answer["outcome"], notes)

    def _finish(self, shard: Shard, outcome: dict[str, Any], notes: list[str]) -> None:
        if shard.stage is Stage.PLAN:
            parts = [ShardPlan(*numbers) for numbers in outcome["parts"]]
            self._leases.finish_plan(shard, parts, outcome["facts"])
        elif shard.stage is Stage.WORK:
            done, failed = outcome["frames_done"], outcome["frames_failed"]
            if self._leases.finish_work(shard, done, failed, notes):
                metrics.FRAMES.labels("done").inc(done)
                metrics.FRAMES.labels("failed").inc(failed)
        else:
            for card in outcome["generators"]:
                self._library.add_generator(GeneratorCard(**card))
            self._leases.finish_publish(shard, outcome["facts"], outcome["dataset"])

    def _after_death(self, job: Job, shard: Shard, watch: Watch, death: ChildDied) -> None:
        """We saw the child die on this shard. Whichever image did it must end up alone; then it counts."""
        log.warning("child died", reason=str(death), finished=watch.finished, reading=watch.reading)
        metrics.CHILD_DEATHS.inc()
        if is_whole(job.kind, shard.stage):
            give_back = self._leases.lose if death.is_from_outside else self._leases.retry
            give_back(shard, f"the worker's child {death}")
        elif shard.frames_total == 1:
            self._leases.strike(shard)
            metrics.STRIKES.inc()
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

    def _quarantine(self, job: Job, shard: Shard) -> None:
        """Leave the image out: it killed its worker each time, alone, before our eyes."""
        try:
            line = self._store.read_range(shard.plan_key, shard.start_byte, shard.stop_byte)
            for key in left_by(job, line):
                self._store.delete(key)
            with self._store.writing(shard.result_key) as file:  # it outlives a power cut, as the row does
                file.write(finding_line(quarantined(line, shard.strikes)))
        except (OSError, NoSpaceLeft, Unavailable) as error:
            if (reason := outage(error)) is None:
                raise
            self._leases.postpone(shard, reason)
            return
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
            index=shard.index,
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
