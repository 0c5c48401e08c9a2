"""Moving a job on when its shards allow it: safe to call at any time, by anyone, inside any transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select

from service.jobs.database import database_now
from service.jobs.job import JobState, ShardPlan, ShardState, Stage
from service.jobs.moves import fail_follower, hold_job, move_job
from service.jobs.tables import jobs, shards
from service.storage import keys


def settle(connection: Connection, job_id: str) -> None:
    hold_job(connection, job_id)
    job = connection.execute(
        select(jobs.c.state, jobs.c.spec, jobs.c.after_id).where(jobs.c.id == job_id)
    ).one()
    if job.state == JobState.CANCELLING:
        settle_cancelled(connection, job_id)
    elif job.state == JobState.QUEUED and job.after_id is not None:
        _settle_follower(connection, job_id, job.after_id)
    elif job.state == JobState.RUNNING:
        _settle_running(connection, job_id, float(job.spec.get("error_budget", 1.0)))


def settle_cancelled(connection: Connection, job_id: str) -> bool:
    """Finish a cancellation once no worker holds a shard any more."""
    running = select(shards.c.index).where(shards.c.job_id == job_id, shards.c.state == ShardState.RUNNING)
    if connection.execute(running.limit(1)).first() is not None:
        return False
    return move_job(connection, job_id, [JobState.CANCELLING], JobState.CANCELLED)


def insert_work(connection: Connection, job_id: str, parts: Sequence[ShardPlan], plan_key: str) -> None:
    """Add shards of work: after the planning, or in place of one that was split."""
    rows = [
        {
            "job_id": job_id,
            "index": index,
            "stage": Stage.WORK,
            "plan_key": plan_key,
            "result_key": keys.shard_result(job_id, index),
            "start_byte": part.start_byte,
            "stop_byte": part.stop_byte,
            "position": part.position,
            "frames_total": part.frames_total,
        }
        for index, part in enumerate(parts, start=_next_index(connection, job_id))
    ]
    if rows:
        insert_shards(connection, rows)


def insert_shards(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """They may be worked on from now on; how long they then wait is counted from here."""
    statement = insert(shards).values(not_before=database_now())
    connection.execute(statement, [complete_shard_row(row) for row in rows])


def complete_shard_row(row: dict[str, Any]) -> dict[str, Any]:
    """A shard's row with every column set: rows inserted together must name the same columns."""
    defaults: dict[str, Any] = {
        "state": ShardState.PENDING, "fence": 0, "attempts": 0, "strikes": 0, "losses": 0, "worker": None,
        "lease_until": None, "hinted_at": 0.0, "start_byte": 0, "stop_byte": 0, "position": 0,
        "frames_total": 0, "frames_done": 0, "frames_failed": 0,
    }  # fmt: skip
    return {**defaults, **row}


def _settle_follower(connection: Connection, job_id: str, after_id: str) -> None:
    """It may have been made in the moment when the job before it ended."""
    state = connection.scalar(select(jobs.c.state).where(jobs.c.id == after_id))
    if state in (JobState.FAILED, JobState.CANCELLED):
        fail_follower(connection, job_id, after_id, JobState(state))


def _settle_running(connection: Connection, job_id: str, error_budget: float) -> None:
    live = and_(shards.c.job_id == job_id, shards.c.state != ShardState.SPLIT)
    frames = func.coalesce(func.sum(shards.c.frames_total).filter(shards.c.stage == Stage.WORK), 0)
    failures = func.coalesce(func.sum(shards.c.frames_failed), 0)
    unfinished = func.count().filter(shards.c.state != ShardState.DONE)
    total, failed, waiting = connection.execute(select(frames, failures, unfinished).where(live)).one()
    if failed > error_budget * total:
        message = (
            f"{failed} of {total} images failed, more than the error budget of {error_budget:.0%}. "
            "The job's report names them; mend them, or raise the budget."
        )
        facts = {"error_code": "error-budget", "error": message}
        move_job(connection, job_id, [JobState.RUNNING], JobState.FAILED, **facts)
    elif waiting == 0 and move_job(connection, job_id, [JobState.RUNNING], JobState.PUBLISHING):
        _insert_publish(connection, job_id)


def _insert_publish(connection: Connection, job_id: str) -> None:
    index = _next_index(connection, job_id)
    plan_key = connection.scalar(
        select(shards.c.plan_key).where(shards.c.job_id == job_id, shards.c.stage == Stage.PLAN)
    )  # a retry works on its parent's plan
    row = {
        "job_id": job_id,
        "index": index,
        "stage": Stage.PUBLISH,
        "plan_key": plan_key,
        "result_key": keys.shard_result(job_id, index),
    }
    insert_shards(connection, [row])


def _next_index(connection: Connection, job_id: str) -> int:
    highest = connection.scalar(select(func.max(shards.c.index)).where(shards.c.job_id == job_id))
    return 0 if highest is None else int(highest) + 1
