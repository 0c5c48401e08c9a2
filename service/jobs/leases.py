"""Shards as the workers see them: claimed for a while, renewed, finished, given back."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Connection, select, update

from service.jobs.database import Database, database_now
from service.jobs.job import (
    ACTIVE_JOB_STATES,
    WORK_VERSION,
    DatasetState,
    JobState,
    Shard,
    ShardPlan,
    ShardState,
)
from service.jobs.moves import hold_job, move_dataset, move_job, record_event
from service.jobs.outcomes import add_notes, add_outcome
from service.jobs.settling import insert_work, settle
from service.jobs.shard_moves import (
    finish_shard,
    give_back,
    lose_shard,
    move_shard,
    note_start,
    read_shard,
)
from service.jobs.tables import jobs, shards
from service.jobs.upkeep import Upkeep, may_begin
from service.settings import Settings
from service.storage import keys

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = (1.0, 5.0, 20.0)
# A store that is full or away may come back at any time: looked after often enough, and yet no load.
POSTPONED_SECONDS = 10.0


class Lease(StrEnum):
    """What a worker learns when it renews."""

    HELD = "held"
    LOST = "lost"  # another worker may have the shard by now: drop everything
    STOPPED = "stopped"  # the job was cancelled or has failed


class LeaseStore(Upkeep):
    """Every change names the fence it was claimed under, so that a worker that was away changes nothing."""

    def __init__(
        self,
        database: Database,
        lease_seconds: float,
        attempts: int,
        losses: int = 20,
        work_version: int = WORK_VERSION,
    ) -> None:
        """`attempts`, `losses`: after so many of a shard its job fails; see `Shard`."""
        super().__init__(database, losses)
        self.lease_seconds = lease_seconds
        self.attempts = attempts
        self._work_version = work_version
        self._refused: set[str] = set()

    @classmethod
    def of(cls, database: Database, settings: Settings) -> "LeaseStore":
        return cls(database, settings.lease_seconds, settings.shard_attempts, settings.shard_losses)

    def claim(self, job_id: str, index: int, worker: str) -> Shard | None:
        """Take a pending shard of an active job; None when there is nothing to take."""
        with self.database.writing() as connection:
            hold_job(connection, job_id)  # a cancellation comes before or after, not in between
            now = connection.scalar(select(database_now()))
            is_active = select(jobs.c.id).where(
                jobs.c.id == job_id, jobs.c.state.in_(list(ACTIVE_JOB_STATES)), may_begin(),
                jobs.c.work_version <= self._work_version,
            )  # fmt: skip
            claimed = connection.execute(
                update(shards)
                .where(
                    shards.c.job_id == job_id,
                    shards.c.index == index,
                    shards.c.state == ShardState.PENDING,
                    shards.c.not_before <= now,
                    is_active.exists(),
                )
                .values(
                    state=ShardState.RUNNING,
                    fence=shards.c.fence + 1,
                    worker=worker,
                    lease_until=database_now() + self.lease_seconds,
                    frames_done=0,
                    frames_failed=0,
                )
            )
            if claimed.rowcount != 1:
                self._tell_if_newer(connection, job_id)
                return None
            shard = read_shard(connection, job_id, index)
            note_start(connection, shard)
            record_event(connection, job_id, "shard", index=index, state="running", fence=shard.fence)
            return shard

    def renew(self, shard: Shard, frames_done: int, frames_failed: int) -> Lease:
        with self.database.writing() as connection:
            renewed = move_shard(
                connection,
                shard,
                lease_until=database_now() + self.lease_seconds,
                frames_done=frames_done,
                frames_failed=frames_failed,
            )
            return self._lease(connection, shard) if renewed else Lease.LOST

    def look(self, shard: Shard) -> Lease:
        """Whether the shard is still ours and wanted, without writing."""
        with self.database.reading() as connection:
            return self._lease(connection, shard)

    def release(self, shard: Shard, reason: str) -> None:
        """Give a shard back unfinished: it starts anew elsewhere, and nobody is to blame."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if give_back(connection, shard, reason):
                settle(connection, shard.job_id)

    def postpone(self, shard: Shard, reason: str) -> None:
        """Nothing is wrong with the shard, but it cannot be done now: the store is full, or away. It waits,
        for as long as it takes; the event says why.
        """
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            later = database_now() + POSTPONED_SECONDS
            if give_back(connection, shard, reason, not_before=later):
                settle(connection, shard.job_id)

    def retry(self, shard: Shard, error: str) -> None:
        """An unforeseen error: try again a little later, and fail the job when that was tried enough."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            attempts = read_shard(connection, shard.job_id, shard.index).attempts + 1
            later = database_now() + _wait_seconds(attempts)
            if not give_back(connection, shard, error, attempts=attempts, not_before=later):
                return
            if attempts >= self.attempts:
                message = f"Part {shard.index} failed {attempts} times; the last time with: {error}"
                move_job(
                    connection, shard.job_id, ACTIVE_JOB_STATES, JobState.FAILED,
                    error_code="internal-error", error=message,
                )  # fmt: skip

    def lose(self, shard: Shard, reason: str) -> None:
        """Somebody killed what worked on a shard that cannot be split, as they do for want of memory. That is
        no error of the shard's, unless it goes on: try again a little later.
        """
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            losses = read_shard(connection, shard.job_id, shard.index).losses + 1
            lose_shard(
                connection,
                shard,
                losses,
                self.losses,
                reason,
                not_before=database_now() + _wait_seconds(losses),
            )

    def fail(self, shard: Shard, code: str, message: str) -> None:
        """The job cannot succeed, whoever tries: end it with a message for the user."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if give_back(connection, shard, code):
                move_job(
                    connection,
                    shard.job_id,
                    ACTIVE_JOB_STATES,
                    JobState.FAILED,
                    error_code=code,
                    error=message,
                )
                settle(connection, shard.job_id)

    def note(self, shard: Shard, kind: str, data: dict[str, Any]) -> bool:
        """Something happened in a shard that is still ours: an event of its job."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if self._lease(connection, shard) is Lease.LOST:
                return False
            record_event(connection, shard.job_id, kind, **data)
            return True

    def note_unfit(self, job_id: str, facts: dict[str, Any]) -> None:
        """A worker was rung for a shard and cannot work: the shard goes on waiting, and its job says why."""
        with self.database.writing() as connection:
            hold_job(connection, job_id)
            if connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id)) in ACTIVE_JOB_STATES:
                record_event(connection, job_id, "worker-unfit", **facts)

    def note_checkpoint(self, shard: Shard) -> None:
        """A training goes on from here whatever happens: the failures before count no more."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            move_shard(connection, shard, attempts=0, losses=0)

    def finish_plan(self, shard: Shard, parts: Sequence[ShardPlan], outcome: dict[str, Any]) -> bool:
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if not finish_shard(connection, shard, 0, 0):
                return False
            insert_work(connection, shard.job_id, parts, keys.plan(shard.job_id))
            add_outcome(connection, shard.job_id, outcome)
            record_event(connection, shard.job_id, "planned", shards=len(parts), **outcome)
            settle(connection, shard.job_id)
            return True

    def finish_work(self, shard: Shard, frames_done: int, frames_failed: int, notes: Sequence[str]) -> bool:
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if not finish_shard(connection, shard, frames_done, frames_failed):
                return False
            for note in notes:
                record_event(connection, shard.job_id, "note", index=shard.index, text=note)
            if notes:
                add_notes(connection, shard.job_id, notes)
            settle(connection, shard.job_id)
            return True

    def finish_publish(self, shard: Shard, outcome: dict[str, Any], dataset: dict[str, Any] | None) -> bool:
        """The commit: the job succeeds and its dataset is ready, in one transaction."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if not finish_shard(connection, shard, shard.frames_total, 0):
                return False
            add_outcome(connection, shard.job_id, outcome)
            if not move_job(connection, shard.job_id, [JobState.PUBLISHING], JobState.SUCCEEDED):
                settle(connection, shard.job_id)  # it was cancelled meanwhile
                return False
            result_id = connection.scalar(select(jobs.c.result_id).where(jobs.c.id == shard.job_id))
            if dataset is not None and result_id is not None:
                move_dataset(connection, result_id, DatasetState.PENDING, DatasetState.READY, **dataset)
            return True

    def split(self, shard: Shard, parts: Sequence[ShardPlan]) -> bool:
        """Replace a shard whose worker died by smaller ones, so that the image that did it ends up alone."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)  # two that split at once would number their parts alike
            if not move_shard(connection, shard, state=ShardState.SPLIT, lease_until=None, worker=None):
                return False
            insert_work(connection, shard.job_id, parts, shard.plan_key)
            record_event(
                connection, shard.job_id, "shard", index=shard.index, state="split", parts=len(parts)
            )
            return True

    def strike(self, shard: Shard) -> None:
        """Its only image was seen to kill the worker once more."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            give_back(connection, shard, "strike", strikes=shards.c.strikes + 1)

    def _tell_if_newer(self, connection: Connection, job_id: str) -> None:
        """Once a job: its hints keep coming until a newer worker has taken it."""
        wanted = connection.scalar(select(jobs.c.work_version).where(jobs.c.id == job_id))
        if wanted is not None and wanted > self._work_version and job_id not in self._refused:
            self._refused.add(job_id)
            log.warning("job left to newer workers", job_id=job_id, wanted=wanted, here=self._work_version)

    def _lease(self, connection: Connection, shard: Shard) -> Lease:
        row = connection.execute(
            select(shards.c.fence, shards.c.state, jobs.c.state.label("job_state"))
            .join(jobs, jobs.c.id == shards.c.job_id)
            .where(shards.c.job_id == shard.job_id, shards.c.index == shard.index)
        ).one()
        if row.fence != shard.fence or row.state != ShardState.RUNNING:
            return Lease.LOST
        return Lease.HELD if row.job_state in ACTIVE_JOB_STATES else Lease.STOPPED


def _wait_seconds(failures: int) -> float:
    return RETRY_AFTER_SECONDS[min(failures, len(RETRY_AFTER_SECONDS)) - 1]
