"""Shards are claimed once, kept by renewing, lost by silence; a job moves on when its shards allow it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from service.errors import IllegalTransition
from service.jobs.database import Database, database_now
from service.jobs.job import WORK_VERSION, JobKind, JobState, Shard, ShardPlan, ShardState, Stage
from service.jobs.leases import Lease, LeaseStore
from service.jobs.queue import ring
from service.jobs.submit import Desk, retry
from service.jobs.tables import shards
from service.storage import keys

PARTS = [ShardPlan(0, 10, 0, 4), ShardPlan(10, 20, 4, 4), ShardPlan(20, 25, 8, 2)]


def new_job(desk: Desk, error_budget: float = 0.2, job_id: str = "job-a") -> str:
    first = {
        "job_id": job_id, "index": 0, "stage": Stage.PLAN,
        "plan_key": keys.plan(job_id), "result_key": keys.shard_result(job_id, 0),
    }  # fmt: skip
    result = {"id": f"ds-{job_id}", "name": "night", "source": {}, "format": None}
    desk.jobs.create(
        JobKind.TRANSLATION, {"error_budget": error_budget}, [first], job_id=job_id, result=result
    )
    return job_id


def claim(desk: Desk, job_id: str, index: int) -> Shard:
    shard = desk.leases.claim(job_id, index, "worker")
    assert shard is not None
    return shard


def planned_job(desk: Desk, **options: float) -> str:
    job_id = new_job(desk, **options)
    assert desk.leases.finish_plan(claim(desk, job_id, 0), PARTS, {"frames_total": 10})
    return job_id


def publishing_job(desk: Desk) -> str:
    job_id = planned_job(desk)
    for index in (1, 2, 3):
        shard = claim(desk, job_id, index)
        assert desk.leases.finish_work(shard, shard.frames_total, 0, [])
    return job_id


def without_waiting(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(update(shards).values(not_before=0.0))


def states(desk: Desk, job_id: str) -> dict[int, str]:
    return {shard.index: str(shard.state) for shard in desk.jobs.shards(job_id)}


def expire(database: Database, index: int) -> None:
    with database.writing() as connection:
        connection.execute(
            update(shards).where(shards.c.index == index).values(lease_until=database_now() - 1)
        )


def test_a_shard_is_claimed_once(desk: Desk) -> None:
    job_id = new_job(desk)
    assert desk.leases.claim(job_id, 0, "one") is not None
    assert desk.leases.claim(job_id, 0, "two") is None
    assert desk.jobs.job(job_id).state is JobState.RUNNING


def test_a_job_goes_through_plan_work_and_publishing(desk: Desk) -> None:
    job_id = planned_job(desk)
    for index in (1, 2, 3):
        shard = claim(desk, job_id, index)
        assert desk.leases.finish_work(shard, shard.frames_total, 0, [])
    assert desk.jobs.job(job_id).state is JobState.PUBLISHING
    publish = claim(desk, job_id, 4)
    assert publish.stage is Stage.PUBLISH
    assert desk.leases.finish_publish(publish, {"note": 1}, {"counts": {"frames": 10}, "categories": ["car"]})
    job = desk.jobs.job(job_id)
    assert job.state is JobState.SUCCEEDED
    assert job.outcome == {"frames_total": 10, "note": 1}
    dataset = desk.library.ready_dataset("ds-job-a")
    assert dataset.counts == {"frames": 10}


def test_progress_counts_what_workers_report(desk: Desk) -> None:
    job_id = planned_job(desk)
    shard = claim(desk, job_id, 1)
    assert desk.leases.renew(shard, 2, 1) is Lease.HELD
    progress = desk.jobs.progress(desk.jobs.job(job_id))
    assert (progress.frames_total, progress.frames_done, progress.frames_failed) == (10, 2, 1)
    assert progress.images_per_second is not None
    assert progress.seconds_left is not None


def test_a_silent_worker_loses_its_shard_and_cannot_finish_it(desk: Desk, database: Database) -> None:
    job_id = planned_job(desk)
    lost = claim(desk, job_id, 1)
    expire(database, 1)
    assert desk.leases.take_back_expired() == [(job_id, 1)]
    taken = claim(desk, job_id, 1)
    assert taken.fence == lost.fence + 1
    assert desk.leases.renew(lost, 4, 0) is Lease.LOST
    assert desk.leases.look(lost) is Lease.LOST
    assert not desk.leases.finish_work(lost, 4, 0, [])
    assert not desk.leases.split(lost, PARTS)
    desk.leases.retry(lost, "late")
    desk.leases.fail(lost, "late", "late")
    desk.leases.release(lost, "late")
    desk.leases.strike(lost)
    assert states(desk, job_id)[1] == "running"
    assert desk.leases.look(taken) is Lease.HELD


def test_a_lease_that_is_renewed_is_not_taken_back(desk: Desk, database: Database) -> None:
    job_id = planned_job(desk)
    shard = claim(desk, job_id, 1)
    expire(database, 1)
    desk.leases.renew(shard, 1, 0)
    assert desk.leases.take_back_expired() == []


def test_an_expired_lease_is_no_strike(desk: Desk, database: Database) -> None:
    job_id = planned_job(desk)
    for _ in range(5):
        claim(desk, job_id, 1)
        expire(database, 1)
        desk.leases.take_back_expired()
    shard = claim(desk, job_id, 1)
    assert (shard.strikes, shard.attempts, shard.losses) == (0, 0, 0)


@pytest.mark.parametrize("is_publishing", [False, True], ids=["plan", "publish"])
def test_a_part_that_cannot_be_split_and_loses_every_worker_fails_its_job_in_the_end(
    desk: Desk, database: Database, is_publishing: bool
) -> None:
    job_id, index = (publishing_job(desk), 4) if is_publishing else (new_job(desk), 0)
    for loss in range(desk.leases.losses):
        assert claim(desk, job_id, index).losses == loss
        assert not desk.jobs.job(job_id).is_final
        expire(database, index)
        assert desk.leases.take_back_expired() == [(job_id, index)]
    job = desk.jobs.job(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "worker-lost")
    assert f"{desk.leases.losses} times" in str(job.error)
    assert desk.leases.claim(job_id, index, "worker") is None


def test_errors_and_losses_are_counted_apart(desk: Desk, database: Database) -> None:
    job_id = new_job(desk)
    for _ in range(desk.leases.attempts - 1):
        desk.leases.retry(claim(desk, job_id, 0), "disk on fire")
        without_waiting(database)
        desk.leases.lose(claim(desk, job_id, 0), "killed")
        assert desk.leases.claim(job_id, 0, "too early") is None
        without_waiting(database)
    shard = claim(desk, job_id, 0)
    assert (shard.attempts, shard.losses) == (desk.leases.attempts - 1,) * 2
    assert not desk.jobs.job(job_id).is_final


def test_a_lease_that_ran_out_is_counted_once_by_two_reconcilers(desk: Desk, database: Database) -> None:
    job_id = new_job(desk)
    claim(desk, job_id, 0)
    expire(database, 0)
    with ThreadPoolExecutor(4) as pool:
        taken = [
            each for found in pool.map(lambda _: desk.leases.take_back_expired(), range(4)) for each in found
        ]
    assert taken == [(job_id, 0)]
    assert claim(desk, job_id, 0).losses == 1


def test_a_retry_forgets_what_was_lost(desk: Desk, database: Database) -> None:
    job_id = new_job(desk)
    for _ in range(desk.leases.losses):
        claim(desk, job_id, 0)
        expire(database, 0)
        desk.leases.take_back_expired()
    again = retry(desk, job_id)
    assert desk.jobs.shards(again.id)[0].losses == 0
    assert not desk.jobs.job(again.id).is_final


def test_cancelling_stops_workers_and_ends_when_the_last_lets_go(desk: Desk) -> None:
    job_id = planned_job(desk)
    shard = claim(desk, job_id, 1)
    assert desk.jobs.cancel(job_id).state is JobState.CANCELLING
    assert desk.leases.renew(shard, 1, 0) is Lease.STOPPED
    assert desk.leases.claim(job_id, 2, "worker") is None
    desk.leases.release(shard, "job stopped")
    assert desk.jobs.job(job_id).state is JobState.CANCELLED
    assert str(desk.library.dataset("ds-job-a").state) == "rejected"


def test_cancelling_twice_answers_the_same_and_a_finished_job_cannot_be_cancelled(desk: Desk) -> None:
    job_id = new_job(desk)
    assert desk.jobs.cancel(job_id).state is JobState.CANCELLED
    assert desk.jobs.cancel(job_id).state is JobState.CANCELLED
    other = new_job(desk, job_id="job-b")
    desk.jobs.fail(other, "x", "y")
    with pytest.raises(IllegalTransition, match="failed"):
        desk.jobs.cancel(other)


def test_a_cancelled_jobs_worker_that_died_does_not_block_it(desk: Desk, database: Database) -> None:
    job_id = planned_job(desk)
    claim(desk, job_id, 1)
    desk.jobs.cancel(job_id)
    expire(database, 1)
    desk.leases.take_back_expired()
    assert desk.leases.unsettled_jobs() == [job_id]
    desk.leases.settle_job(job_id)
    assert desk.jobs.job(job_id).state is JobState.CANCELLED


def test_a_job_that_was_cancelled_while_it_was_published_is_not_published(desk: Desk) -> None:
    job_id = planned_job(desk)
    for index in (1, 2, 3):
        shard = claim(desk, job_id, index)
        desk.leases.finish_work(shard, shard.frames_total, 0, [])
    publish = claim(desk, job_id, 4)
    assert desk.jobs.cancel(job_id).state is JobState.CANCELLING
    assert not desk.leases.finish_publish(publish, {}, {"counts": {"frames": 10}})
    assert desk.jobs.job(job_id).state is JobState.CANCELLED
    assert str(desk.library.dataset("ds-job-a").state) == "rejected"


def test_an_event_is_left_only_by_what_was_changed(desk: Desk, database: Database) -> None:
    job_id = planned_job(desk)
    lost = claim(desk, job_id, 1)
    expire(database, 1)
    desk.leases.take_back_expired()
    events = desk.jobs.events(job_id)
    desk.leases.strike(lost)
    desk.leases.release(lost, "late")
    desk.leases.postpone(lost, "late")
    desk.leases.take_back_expired()
    assert desk.jobs.events(job_id) == events


def test_every_move_of_a_shard_is_in_the_events(desk: Desk) -> None:
    job_id = planned_job(desk)
    for index in (1, 2, 3, 4):
        shard = claim(desk, job_id, index)
        if shard.stage is Stage.PUBLISH:
            desk.leases.finish_publish(shard, {}, {"counts": {}})
        else:
            desk.leases.finish_work(shard, shard.frames_total, 0, [])
    told = [
        (event.data["index"], event.data["state"])
        for event in desk.jobs.events(job_id)
        if event.kind == "shard"
    ]
    assert told == [(index, state) for index in range(5) for state in ("running", "done")]


def test_too_many_failed_images_fail_the_job(desk: Desk) -> None:
    job_id = planned_job(desk, error_budget=0.2)
    desk.leases.finish_work(claim(desk, job_id, 1), 2, 2, [])
    assert desk.jobs.job(job_id).state is JobState.RUNNING
    desk.leases.finish_work(claim(desk, job_id, 2), 3, 1, [])
    job = desk.jobs.job(job_id)
    assert job.state is JobState.FAILED
    assert job.error_code == "error-budget"
    assert "3 of 10" in (job.error or "")


def test_an_unforeseen_error_is_tried_again_and_then_fails_the_job(desk: Desk, database: Database) -> None:
    job_id = planned_job(desk)
    for attempt in range(3):
        shard = claim(desk, job_id, 1)
        assert shard.attempts == attempt
        desk.leases.retry(shard, "disk on fire")
        assert desk.leases.claim(job_id, 1, "too early") is None
        with database.writing() as connection:
            connection.execute(update(shards).values(not_before=0.0))
    job = desk.jobs.job(job_id)
    assert job.state is JobState.FAILED
    assert "disk on fire" in (job.error or "")


def test_a_split_shard_is_replaced_by_its_parts(desk: Desk) -> None:
    job_id = planned_job(desk)
    shard = claim(desk, job_id, 1)
    parts = [ShardPlan(0, 5, 0, 2), ShardPlan(5, 7, 2, 1), ShardPlan(7, 10, 3, 1)]
    assert desk.leases.split(shard, parts)
    live = [each for each in desk.jobs.shards(job_id) if each.state is not ShardState.SPLIT]
    assert [each.position for each in live if each.stage is Stage.WORK] == [0, 2, 3, 4, 8]
    assert desk.jobs.progress(desk.jobs.job(job_id)).frames_total == 10


def test_a_retry_keeps_what_was_finished_without_a_fault(desk: Desk) -> None:
    job_id = planned_job(desk, error_budget=0.0)
    desk.leases.finish_work(claim(desk, job_id, 1), 4, 0, [])
    desk.leases.finish_work(claim(desk, job_id, 2), 3, 1, [])
    assert desk.jobs.job(job_id).state is JobState.FAILED
    new = retry(desk, job_id)
    assert new.parent_id == job_id
    assert new.result_id == "ds-job-a"
    assert states(desk, new.id) == {0: "done", 1: "done", 2: "pending", 3: "pending"}
    kept = next(shard for shard in desk.jobs.shards(new.id) if shard.index == 1)
    assert kept.result_key == keys.shard_result(job_id, 1)
    for index in (2, 3):
        shard = claim(desk, new.id, index)
        assert shard.plan_key == keys.plan(job_id)
        desk.leases.finish_work(shard, shard.frames_total, 0, [])
    publish = claim(desk, new.id, 4)
    assert publish.plan_key == keys.plan(job_id)
    assert desk.leases.finish_publish(publish, {}, {"counts": {}})
    assert str(desk.library.dataset("ds-job-a").state) == "ready"
    assert desk.library.dataset("ds-job-a").job_id == new.id


def test_a_retry_of_a_job_whose_shards_were_all_done_publishes_again(desk: Desk) -> None:
    job_id = planned_job(desk)
    for index in (1, 2, 3):
        shard = claim(desk, job_id, index)
        desk.leases.finish_work(shard, shard.frames_total, 0, [])
    desk.leases.fail(claim(desk, job_id, 4), "store-full", "no space")
    new = retry(desk, job_id)
    assert desk.leases.unsettled_jobs() == [new.id]
    desk.leases.settle_job(new.id)
    assert desk.jobs.job(new.id).state is JobState.PUBLISHING


def test_only_one_retry_takes_up_a_dataset(desk: Desk) -> None:
    job_id = new_job(desk)
    desk.jobs.cancel(job_id)
    retry(desk, job_id)
    with pytest.raises(IllegalTransition):
        retry(desk, job_id)


def test_a_hint_is_sent_once_until_it_is_old(desk: Desk, queue: "object") -> None:
    job_id = planned_job(desk)
    ring(desk.queue, desk.leases)
    ring(desk.queue, desk.leases)
    assert desk.queue.hints == [(job_id, 1), (job_id, 2), (job_id, 3)]  # type: ignore[attr-defined]


def test_every_move_leaves_an_event(desk: Desk) -> None:
    job_id = planned_job(desk)
    desk.jobs.cancel(job_id)
    kinds = [(event.kind, event.data.get("state")) for event in desk.jobs.events(job_id)]
    assert kinds[0] == ("state", "queued")
    assert ("state", "running") in kinds
    assert kinds[-1] == ("state", "cancelled")
    some = desk.jobs.events(job_id)
    assert desk.jobs.events(job_id, after=some[1].id) == some[2:]


def test_the_databases_clock_is_the_clock(database: Database) -> None:
    import time

    with database.reading() as connection:
        now = connection.scalar(select(database_now()))
    assert abs(now - time.time()) < 2


def test_a_job_that_is_newer_than_a_worker_waits_for_a_newer_one(desk: Desk, database: Database) -> None:
    job_id = planned_job(desk)
    older = LeaseStore(database, 30.0, 3, work_version=WORK_VERSION - 1)
    with capture_logs() as logged:
        assert [older.claim(job_id, index, "old") for index in (1, 2, 1)] == [None, None, None]
    assert [(entry["event"], entry["job_id"]) for entry in logged] == [("job left to newer workers", job_id)]
    assert states(desk, job_id) == {0: "done", 1: "pending", 2: "pending", 3: "pending"}
    assert claim(desk, job_id, 1).fence == 1
