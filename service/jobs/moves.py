"""Compare-and-set moves: each names the states it may start from, and leaves an event beside it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, insert, literal, select, update

from service.jobs.database import database_now
from service.jobs.job import ACTIVE_JOB_STATES, FINAL_JOB_STATES, DatasetState, JobState
from service.jobs.tables import datasets, events, jobs, webhook_deliveries, webhooks

_ENDINGS = {JobState.FAILED: "failed", JobState.CANCELLED: "been cancelled"}


def hold_job(connection: Connection, job_id: str) -> None:
    """Until this transaction ends nobody else changes the job: what is read of it and of its shards stays
    true, and the numbers of its events rise in the order in which they can be seen.

    Whoever changes a job and its shards calls it first. SQLite has one writer at a time anyway.
    """
    # Not a plain FOR UPDATE: a row that refers to the job, such as an event, may be added meanwhile.
    connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(key_share=True))


def record_event(connection: Connection, job_id: str, kind: str, **data: Any) -> None:
    connection.execute(insert(events).values(job_id=job_id, at=database_now(), kind=kind, data=data))


def move_job(
    connection: Connection, job_id: str, origins: Iterable[JobState], target: JobState, **values: Any
) -> bool:
    """Whether this call made the move; False when the job was in none of the `origins`."""
    if target in FINAL_JOB_STATES:
        values["finished_at"] = database_now()
    moved = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(list(origins)))
        .values(state=target, version=jobs.c.version + 1, **values)
    )
    if moved.rowcount != 1:
        return False
    facts = {key: value for key, value in values.items() if key in ("error_code", "error")}
    record_event(connection, job_id, "state", state=target, **facts)
    if target in FINAL_JOB_STATES:
        _announce_end(connection, job_id)
    if target in (JobState.CANCELLED, JobState.FAILED):
        _reject_result(connection, job_id)
        _fail_followers(connection, job_id, target)
    return True


def move_dataset(
    connection: Connection, dataset_id: str, origin: DatasetState, target: DatasetState, **values: Any
) -> bool:
    moved = connection.execute(
        update(datasets)
        .where(datasets.c.id == dataset_id, datasets.c.state == origin)
        .values(state=target, version=datasets.c.version + 1, **values)
    )
    return moved.rowcount == 1


def fail_follower(connection: Connection, job_id: str, after_id: str, state: JobState) -> None:
    """A job waits for one that will never succeed. Doing it twice changes nothing."""
    move_job(
        connection, job_id, ACTIVE_JOB_STATES, JobState.FAILED, error_code="chained-job-failed",
        error=f"It was to follow job {after_id}, which has {_ENDINGS[state]}. Retry that one, then this.",
    )  # fmt: skip


def _announce_end(connection: Connection, job_id: str) -> None:
    """A delivery for each webhook of the job's tenant: written with the end itself, so no crash lies
    between."""
    waiting = (
        select(
            webhooks.c.id + "-" + job_id, webhooks.c.id, literal(job_id), literal("pending"), literal(0),
            database_now(), database_now(),
        )
        .join(jobs, jobs.c.tenant == webhooks.c.tenant)
        .where(jobs.c.id == job_id)
        # PostgreSQL: a webhook that is being removed in this moment is waited for, and then passed over.
        .with_for_update(read=True, key_share=True, of=webhooks)
    )  # fmt: skip
    columns = ("id", "webhook_id", "job_id", "state", "attempts", "due_at", "created_at")
    connection.execute(insert(webhook_deliveries).from_select(columns, waiting))


def _fail_followers(connection: Connection, job_id: str, state: JobState) -> None:
    """Those that wait for a job end with it, in the same transaction."""
    waiting = select(jobs.c.id).where(jobs.c.after_id == job_id, jobs.c.state.in_(list(ACTIVE_JOB_STATES)))
    for follower_id in connection.scalars(waiting).all():
        fail_follower(connection, follower_id, job_id, state)


def _reject_result(connection: Connection, job_id: str) -> None:
    """A job that ends without success leaves no dataset behind that looks as if it could still come."""
    result_id = connection.scalar(select(jobs.c.result_id).where(jobs.c.id == job_id))
    if result_id is not None:
        move_dataset(connection, result_id, DatasetState.PENDING, DatasetState.REJECTED)
