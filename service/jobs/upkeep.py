"""What the reconciler looks after: shards that wait, leases that ran out, jobs that nobody moves on."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, or_, select, tuple_, update

from service.jobs.database import Database, database_now
from service.jobs.job import ACTIVE_JOB_STATES, JobState, Shard, ShardState, Work, is_whole
from service.jobs.moves import hold_job
from service.jobs.settling import settle
from service.jobs.shard_moves import give_back, lose_shard
from service.jobs.store import SHARD_COLUMNS, as_shard
from service.jobs.tables import jobs, shards

HINT_AGAIN_AFTER_SECONDS = 5.0


class Upkeep:
    """Safe to be done by several at once."""

    def __init__(self, database: Database, losses: int) -> None:
        self.database = database
        self.losses = losses

    def take_back_expired(self) -> list[tuple[str, int]]:
        """Shards whose workers have not been heard of: pending again. A lost node is no image's fault; one
        that cannot be split may be the reason itself, in the end."""
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
                    may_begin(),
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
        lost = predecessor([JobState.FAILED, JobState.CANCELLED])
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
            kind = connection.scalar(select(jobs.c.kind).where(jobs.c.id == shard.job_id))
            if is_whole(str(kind), shard.stage):
                return lose_shard(
                    connection, shard, shard.losses + 1, self.losses, "lease expired", is_expired
                )
            return give_back(connection, shard, "lease expired", is_expired)


def may_begin() -> ColumnElement[bool]:
    """Of a row of jobs: it follows no other, or the one that it follows has succeeded."""
    return or_(jobs.c.after_id.is_(None), predecessor([JobState.SUCCEEDED]))


def predecessor(states: Collection[JobState]) -> ColumnElement[bool]:
    """Of a row of jobs: the one that it follows is in one of these states."""
    earlier = jobs.alias()
    found = select(earlier.c.id).where(earlier.c.id == jobs.c.after_id, earlier.c.state.in_(list(states)))
    return found.correlate(jobs).exists()
