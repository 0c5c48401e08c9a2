"""What happens to a row of shards, within a transaction of the caller's."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from service.jobs.database import database_now
from service.jobs.job import ACTIVE_JOB_STATES, JobState, Shard, ShardState, Stage
from service.jobs.moves import move_job, record_event
from service.jobs.store import SHARD_COLUMNS, as_shard
from service.jobs.tables import jobs, shards


def read_shard(connection: Connection, job_id: str, index: int) -> Shard:
    query = select(*SHARD_COLUMNS).where(shards.c.job_id == job_id, shards.c.index == index)
    return as_shard(connection.execute(query).mappings().one())


def move_shard(connection: Connection, shard: Shard, *conditions: ColumnElement[bool], **values: Any) -> bool:
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


def note_start(connection: Connection, shard: Shard) -> None:
    move_job(connection, shard.job_id, [JobState.QUEUED], JobState.RUNNING, started_at=database_now())
    if shard.stage is Stage.PUBLISH:  # an import has nothing but this shard
        move_job(connection, shard.job_id, [JobState.RUNNING], JobState.PUBLISHING)
    if shard.stage is Stage.WORK:
        connection.execute(
            update(jobs)
            .where(jobs.c.id == shard.job_id, jobs.c.work_started_at.is_(None))
            .values(work_started_at=database_now())
        )


def give_back(
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
    if not move_shard(connection, shard, *conditions, **values):
        return False
    facts = {name: values[name] for name in ("attempts", "losses") if name in values}
    record_event(
        connection, shard.job_id, "shard", index=shard.index, state="pending", reason=reason, **facts
    )
    return True


def finish_shard(connection: Connection, shard: Shard, frames_done: int, frames_failed: int) -> bool:
    counts = {"frames_done": frames_done, "frames_failed": frames_failed}
    if not move_shard(connection, shard, state=ShardState.DONE, lease_until=None, **counts):
        return False
    record_event(
        connection, shard.job_id, "shard", index=shard.index, state="done", fence=shard.fence, **counts
    )
    return True


def lose_shard(
    connection: Connection,
    shard: Shard,
    losses: int,
    most_losses: int,
    reason: str,
    *conditions: ColumnElement[bool],
    **values: Any,
) -> bool:
    """Given back once more without a result; after `most_losses` its job fails."""
    if not give_back(connection, shard, reason, *conditions, losses=losses, **values):
        return False
    if losses >= most_losses:
        message = (
            f"Part {shard.index} ({shard.stage}) lost its worker {losses} times: it was killed, or not"
            f" heard of any more. The last time: {reason}. Look whether the machines have enough memory"
            " for it, then retry the job."
        )
        move_job(
            connection, shard.job_id, ACTIVE_JOB_STATES, JobState.FAILED,
            error_code="worker-lost", error=message,
        )  # fmt: skip
    return True
