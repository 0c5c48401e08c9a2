"""Shards as the workers see them: claimed for a while, renewed, finished, taken back."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, and_, or_, select, tuple_, update

from service.jobs.database import Database, database_now
from service.jobs.job import (
    ACTIVE_JOB_STATES,
    WORK_VERSION,
    DatasetState,
    JobState,
    Shard,
    ShardPlan,
    ShardState,
    Stage,
    Work,
)
from service.jobs.moves import hold_job, move_dataset, move_job, record_event
from service.jobs.settling import insert_work, settle
from service.jobs.store import SHARD_COLUMNS, as_shard
from service.jobs.tables import jobs, shards
from service.storage import keys

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = (1.0, 5.0, 20.0)
# A store that is full or away may come back at any time: looked after often enough, and yet no load.
POSTPONED_SECONDS = 10.0
HINT_AGAIN_AFTER_SECONDS = 5.0


class Lease(StrEnum):
    """What a worker learns when it renews."""

    HELD = "held"
    LOST = "lost"  # another worker may have the shard by now: drop everything
    STOPPED = "stopped"  # the job was cancelled or has failed


class LeaseStore:
    """Every change names the fence it was claimed under, so that a worker that was away changes nothing."""

    def __init__(
        self, database: Database, lease_seconds: float, attempts: int, work_version: int = WORK_VERSION
    ) -> None:
        self.database = database
        self.lease_seconds = lease_seconds
        self.attempts = attempts
        self._work_version = work_version
        self._refused: set[str] = set()

    def claim(self, job_id: str, index: int, worker: str) -> Shard | None:
        """Take a pending shard of an active job; None when there is nothing to take."""
        with self.database.writing() as connection:
            hold_job(connection, job_id)  # a cancellation comes before or after, not in between
            now = connection.scalar(select(database_now()))
            is_active = select(jobs.c.id).where(
                jobs.c.id == job_id, jobs.c.state.in_(list(ACTIVE_JOB_STATES)), _may_begin(),
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
            shard = self._shard(connection, job_id, index)
            self._note_start(connection, shard)
            record_event(connection, job_id, "shard", index=index, state="running", fence=shard.fence)
            return shard

    def renew(self, shard: Shard, frames_done: int, frames_failed: int) -> Lease:
        with self.database.writing() as connection:
            renewed = self._update(
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
            if self._give_back(connection, shard, reason):
                settle(connection, shard.job_id)

    def postpone(self, shard: Shard, reason: str) -> None:
        """Nothing is wrong with the shard, but it cannot be done now: the store is full, or away. It waits,
        for as long as it takes; the event says why.
        """
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            later = database_now() + POSTPONED_SECONDS
            if self._give_back(connection, shard, reason, not_before=later):
                settle(connection, shard.job_id)

    def retry(self, shard: Shard, error: str) -> None:
        """An unforeseen error: try again a little later, and fail the job when that was tried enough."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            attempts = self._shard(connection, shard.job_id, shard.index).attempts + 1
            wait = RETRY_AFTER_SECONDS[min(attempts, len(RETRY_AFTER_SECONDS)) - 1]
            later = database_now() + wait
            if not self._give_back(connection, shard, error, attempts=attempts, not_before=later):
                return
            if attempts >= self.attempts:
                message = f"Part {shard.index} failed {attempts} times; the last time with: {error}"
                move_job(
                    connection, shard.job_id, ACTIVE_JOB_STATES, JobState.FAILED,
                    error_code="internal-error", error=message,
                )  # fmt: skip

    def fail(self, shard: Shard, code: str, message: str) -> None:
        """The job cannot succeed, whoever tries: end it with a message for the user."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if self._give_back(connection, shard, code):
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
            self._update(connection, shard, attempts=0)

    def finish_plan(self, shard: Shard, parts: Sequence[ShardPlan], outcome: dict[str, Any]) -> bool:
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if not self._finish(connection, shard, 0, 0):
                return False
            insert_work(connection, shard.job_id, parts, keys.plan(shard.job_id))
            self._add_outcome(connection, shard.job_id, outcome)
            record_event(connection, shard.job_id, "planned", shards=len(parts), **outcome)
            settle(connection, shard.job_id)
            return True

    def finish_work(self, shard: Shard, frames_done: int, frames_failed: int, notes: Sequence[str]) -> bool:
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if not self._finish(connection, shard, frames_done, frames_failed):
                return False
            for note in notes:
                record_event(connection, shard.job_id, "note", index=shard.index, text=note)
            if notes:
                self._add_notes(connection, shard.job_id, notes)
            settle(connection, shard.job_id)
            return True

    def finish_publish(self, shard: Shard, outcome: dict[str, Any], dataset: dict[str, Any] | None) -> bool:
        """The commit: the job succeeds and its dataset is ready, in one transaction."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            if not self._finish(connection, shard, shard.frames_total, 0):
                return False
            self._add_outcome(connection, shard.job_id, outcome)
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
            if not self._update(connection, shard, state=ShardState.SPLIT, lease_until=None, worker=None):
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
            self._give_back(connection, shard, "strike", strikes=shards.c.strikes + 1)

    def take_back_expired(self) -> list[tuple[str, int]]:
        """Shards whose workers have not been heard of: pending again. A lost node is no image's fault."""
        is_expired = shards.c.lease_until < database_now()
        query = select(*SHARD_COLUMNS).where(shards.c.state == ShardState.RUNNING, is_expired)
        with self.database.reading() as connection:
            expired = [as_shard(row) for row in connection.execute(query).mappings()]
        return [(shard.job_id, shard.index) for shard in expired if self._take_back(shard, is_expired)]

    def due_hints(self, work: Work, limit: int) -> list[tuple[str, int]]:
        """Shards of these kinds and stages that wait, and whose last hint is old, oldest job first; they
        count as hinted from now on."""
        if limit <= 0:
            return []
        with self.database.writing() as connection:
            due = connection.execute(
                select(shards.c.job_id, shards.c.index)
                .join(jobs, jobs.c.id == shards.c.job_id)
                .where(
                    shards.c.state == ShardState.PENDING,
                    jobs.c.state.in_(list(ACTIVE_JOB_STATES)),
                    tuple_(jobs.c.kind, shards.c.stage).in_(sorted(work)),
                    _may_begin(),
                    shards.c.not_before <= database_now(),
                    shards.c.hinted_at < database_now() - HINT_AGAIN_AFTER_SECONDS,
                )
                .order_by(jobs.c.created_at, shards.c.position, shards.c.index)
                .limit(limit)
                # Whoever rings at the same time rings for others; nobody waits for anybody.
                .with_for_update(of=shards, skip_locked=True)
            ).all()
            for job_id, index in due:
                connection.execute(
                    update(shards)
                    .where(shards.c.job_id == job_id, shards.c.index == index)
                    .values(hinted_at=database_now())
                )
            return [(job_id, index) for job_id, index in due]

    def unsettled_jobs(self) -> list[str]:
        """Jobs that have no shard left to do but have not moved on: whoever should have moved them died. And
        those that wait for a job that ended without success.
        """
        waiting = select(shards.c.index).where(
            shards.c.job_id == jobs.c.id,
            or_(
                shards.c.state == ShardState.RUNNING,
                and_(shards.c.state == ShardState.PENDING, jobs.c.state != JobState.CANCELLING),
            ),
        )
        is_forgotten = and_(jobs.c.state.in_([JobState.RUNNING, JobState.CANCELLING]), ~waiting.exists())
        lost = _predecessor([JobState.FAILED, JobState.CANCELLED])
        waits_in_vain = and_(jobs.c.state == JobState.QUEUED, lost)
        with self.database.reading() as connection:
            return list(connection.scalars(select(jobs.c.id).where(or_(is_forgotten, waits_in_vain))))

    def settle_job(self, job_id: str) -> None:
        with self.database.writing() as connection:
            settle(connection, job_id)

    def _take_back(self, shard: Shard, is_expired: ColumnElement[bool]) -> bool:
        """Unless it was renewed, or taken back by another reconciler, since we looked."""
        with self.database.writing() as connection:
            hold_job(connection, shard.job_id)
            return self._give_back(connection, shard, "lease expired", is_expired)

    def _tell_if_newer(self, connection: Connection, job_id: str) -> None:
        """Once a job: its hints keep coming until a newer worker has taken it."""
        wanted = connection.scalar(select(jobs.c.work_version).where(jobs.c.id == job_id))
        if wanted is not None and wanted > self._work_version and job_id not in self._refused:
            self._refused.add(job_id)
            log.warning("job left to newer workers", job_id=job_id, wanted=wanted, here=self._work_version)

    def _finish(self, connection: Connection, shard: Shard, frames_done: int, frames_failed: int) -> bool:
        counts = {"frames_done": frames_done, "frames_failed": frames_failed}
        if not self._update(connection, shard, state=ShardState.DONE, lease_until=None, **counts):
            return False
        record_event(
            connection, shard.job_id, "shard", index=shard.index, state="done", fence=shard.fence, **counts
        )
        return True

    def _give_back(
        self,
        connection: Connection,
        shard: Shard,
        reason: str,
        *conditions: ColumnElement[bool],
        **values: Any,
    ) -> bool:
        """To pending, with an event that says why."""
        values = {
            "hinted_at": 0.0,
            "not_before": database_now(),
            **values,
            "state": ShardState.PENDING,
            "lease_until": None,
            "worker": None,
        }
        if not self._update(connection, shard, *conditions, **values):
            return False
        facts = {"attempts": values["attempts"]} if "attempts" in values else {}
        record_event(
            connection, shard.job_id, "shard", index=shard.index, state="pending", reason=reason, **facts
        )
        return True

    def _update(
        self, connection: Connection, shard: Shard, *conditions: ColumnElement[bool], **values: Any
    ) -> bool:
        """Compare and set: only while the shard runs under the fence it was claimed with."""
        changed = connection.execute(
            update(shards)
            .where(
                shards.c.job_id == shard.job_id,
                shards.c.index == shard.index,
                shards.c.fence == shard.fence,
                shards.c.state == ShardState.RUNNING,
                *conditions,
            )
            .values(**values)
        )
        return changed.rowcount == 1

    def _lease(self, connection: Connection, shard: Shard) -> Lease:
        row = connection.execute(
            select(shards.c.fence, shards.c.state, jobs.c.state.label("job_state"))
            .join(jobs, jobs.c.id == shards.c.job_id)
            .where(shards.c.job_id == shard.job_id, shards.c.index == shard.index)
        ).one()
        if row.fence != shard.fence or row.state != ShardState.RUNNING:
            return Lease.LOST
        return Lease.HELD if row.job_state in ACTIVE_JOB_STATES else Lease.STOPPED

    def _shard(self, connection: Connection, job_id: str, index: int) -> Shard:
        query = select(*SHARD_COLUMNS).where(shards.c.job_id == job_id, shards.c.index == index)
        return as_shard(connection.execute(query).mappings().one())

    def _note_start(self, connection: Connection, shard: Shard) -> None:
        move_job(connection, shard.job_id, [JobState.QUEUED], JobState.RUNNING, started_at=database_now())
        if shard.stage is Stage.PUBLISH:  # an import has nothing but this shard
            move_job(connection, shard.job_id, [JobState.RUNNING], JobState.PUBLISHING)
        if shard.stage is Stage.WORK:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == shard.job_id, jobs.c.work_started_at.is_(None))
                .values(work_started_at=database_now())
            )

    def _add_notes(self, connection: Connection, job_id: str, notes: Sequence[str]) -> None:
        """What happened on the way, each kind of thing once: "out of memory at batch 8: halved to 4"."""
        outcome = connection.scalar(select(jobs.c.outcome).where(jobs.c.id == job_id)) or {}
        known = outcome.get("notes", [])
        self._add_outcome(connection, job_id, {"notes": list(dict.fromkeys([*known, *notes]))})

    def _add_outcome(self, connection: Connection, job_id: str, outcome: dict[str, Any]) -> None:
        known = connection.scalar(select(jobs.c.outcome).where(jobs.c.id == job_id)) or {}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(outcome={**known, **outcome}))


def _may_begin() -> ColumnElement[bool]:
    """Of a row of jobs: it follows no other, or the one that it follows has succeeded."""
    return or_(jobs.c.after_id.is_(None), _predecessor([JobState.SUCCEEDED]))


def _predecessor(states: Collection[JobState]) -> ColumnElement[bool]:
    """Of a row of jobs: the one that it follows is in one of these states."""
    earlier = jobs.alias()
    found = select(earlier.c.id).where(earlier.c.id == jobs.c.after_id, earlier.c.state.in_(list(states)))
    return found.correlate(jobs).exists()
