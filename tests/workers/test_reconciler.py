"""One round takes back what was lost, moves on what was forgotten and rings for what waits."""

from typing import Any

import pytest
from sqlalchemy import update

from service.jobs.database import Database, database_now
from service.jobs.job import JobKind, JobState, Shard, ShardPlan, ShardState, Stage
from service.jobs.submit import Desk
from service.jobs.tables import shards
from service.storage import keys
from workers.reconciler import reconcile

JOB = "job-a"


@pytest.fixture
def job(desk: Desk) -> str:
    """A planned job with two shards of work, 1 and 2."""
    first = {
        "job_id": JOB, "index": 0, "stage": Stage.PLAN,
        "plan_key": keys.plan(JOB), "result_key": keys.shard_result(JOB, 0),
    }  # fmt: skip
    result = {"id": "ds-a", "name": "night", "source": {}, "format": None}
    desk.jobs.create(JobKind.TRANSLATION, {}, [first], job_id=JOB, result=result)
    parts = [ShardPlan(0, 10, 0, 4), ShardPlan(10, 20, 4, 4)]
    assert desk.leases.finish_plan(claimed(desk, 0), parts, {})
    return JOB


def claimed(desk: Desk, index: int) -> Shard:
    shard = desk.leases.claim(JOB, index, "worker")
    assert shard is not None
    return shard


def states(desk: Desk) -> list[ShardState]:
    return [shard.state for shard in sorted(desk.jobs.shards(JOB), key=lambda shard: shard.index)]


def expire(database: Database, index: int) -> None:
    with database.writing() as connection:
        connection.execute(
            update(shards).where(shards.c.index == index).values(lease_until=database_now() - 1)
        )


def set_back(database: Database, **values: Any) -> None:
    with database.writing() as connection:
        connection.execute(update(shards).values(**values))


def test_a_lost_shard_is_taken_back_and_rung_for_in_the_same_round(
    desk: Desk, queue: Any, database: Database, job: str
) -> None:
    claimed(desk, 1)
    kept = claimed(desk, 2)
    expire(database, 1)
    reconcile(desk.leases, queue)
    assert states(desk) == [ShardState.DONE, ShardState.PENDING, ShardState.RUNNING]
    assert queue.hints == [(job, 1)]
    assert desk.leases.finish_work(kept, 4, 0, [])


def test_a_job_that_nobody_moved_on_is_moved_on_and_published(
    desk: Desk, queue: Any, database: Database, job: str
) -> None:
    # Its last worker died between finishing its shard and moving the job.
    for index in (1, 2):
        claimed(desk, index)
    set_back(database, state=ShardState.DONE, lease_until=None)
    assert desk.jobs.job(job).state is JobState.RUNNING
    reconcile(desk.leases, queue)
    assert desk.jobs.job(job).state is JobState.PUBLISHING
    assert queue.hints == [(job, 3)]


def test_a_cancelled_job_whose_worker_was_lost_ends_in_one_round(
    desk: Desk, queue: Any, database: Database, job: str
) -> None:
    claimed(desk, 1)
    desk.jobs.cancel(job)
    reconcile(desk.leases, queue)
    assert desk.jobs.job(job).state is JobState.CANCELLING, "its worker may yet let go by itself"
    expire(database, 1)
    reconcile(desk.leases, queue)
    assert desk.jobs.job(job).state is JobState.CANCELLED
    assert queue.hints == []


def test_a_second_round_changes_nothing(desk: Desk, queue: Any, database: Database, job: str) -> None:
    claimed(desk, 1)
    expire(database, 1)
    reconcile(desk.leases, queue)
    hints, events = list(queue.hints), desk.jobs.events(job)
    reconcile(desk.leases, queue)
    assert (queue.hints, desk.jobs.events(job)) == (hints, events)


def test_a_hint_that_was_lost_is_sent_again_when_it_is_old(
    desk: Desk, queue: Any, database: Database, job: str
) -> None:
    reconcile(desk.leases, queue)
    reconcile(desk.leases, queue)
    assert queue.hints == [(job, 1), (job, 2)]
    set_back(database, hinted_at=0.0)
    reconcile(desk.leases, queue)
    assert queue.hints == [(job, 1), (job, 2)] * 2


def test_a_shard_that_is_to_wait_is_not_rung_for(desk: Desk, queue: Any, job: str) -> None:
    desk.leases.retry(claimed(desk, 1), "disk on fire")
    reconcile(desk.leases, queue)
    assert queue.hints == [(job, 2)]


def test_a_full_queue_is_not_filled_further(
    desk: Desk, queue: Any, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    monkeypatch.setattr(queue, "unread", lambda _name: 1_000)
    reconcile(desk.leases, queue)
    assert queue.hints == []
