"""Many workers, reconcilers and users at one job at once: nobody waits for ever, nothing is done twice."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from service.errors import IllegalTransition
from service.jobs.database import Database
from service.jobs.job import JobKind, JobState, Shard, ShardPlan, ShardState, Stage
from service.jobs.leases import Lease
from service.jobs.queue import ring
from service.jobs.submit import Desk
from service.storage import keys

WORKERS = 6
SHARDS = 16


def new_job(desk: Desk, job_id: str) -> str:
    first = {
        "job_id": job_id, "index": 0, "stage": Stage.PLAN,
        "plan_key": keys.plan(job_id), "result_key": keys.shard_result(job_id, 0),
    }  # fmt: skip
    dataset = {"id": f"ds-{job_id}", "name": "", "source": {}, "format": None}
    desk.jobs.create(JobKind.TRANSLATION, {}, [first], job_id=job_id, result=dataset)
    shard = desk.leases.claim(job_id, 0, "planner")
    assert shard is not None
    desk.leases.finish_plan(shard, [ShardPlan(0, 4, 4 * place, 4) for place in range(SHARDS)], {})
    return job_id


def work(desk: Desk, job_id: str, worker: int) -> list[int]:
    """As a worker does, splitting and giving back now and then, until the job has ended. What it finished."""
    dice, done = Random(worker), []
    while not desk.jobs.job(job_id).is_final:
        for index in [shard.index for shard in desk.jobs.shards(job_id) if shard.state is ShardState.PENDING]:
            shard = desk.leases.claim(job_id, index, f"worker-{worker}")
            if shard is not None and _finish(desk, shard, dice):
                done.append(index)
        for each in desk.leases.unsettled_jobs():
            desk.leases.settle_job(each)
        ring(desk.queue, desk.leases)
    return done


def _finish(desk: Desk, shard: Shard, dice: Random) -> bool:
    if desk.leases.renew(shard, 1, 0) is not Lease.HELD:
        desk.leases.release(shard, "stopped")
        return False
    if shard.stage is Stage.PUBLISH:
        return desk.leases.finish_publish(shard, {}, {"counts": {}})
    chance = dice.random()
    if chance < 0.1:
        desk.leases.release(shard, "given back")
    elif chance < 0.2 and shard.frames_total > 1:
        half = shard.frames_total // 2
        parts = [ShardPlan(0, 2, shard.position, half)]
        desk.leases.split(shard, [*parts, ShardPlan(2, 4, shard.position + half, shard.frames_total - half)])
    else:
        return desk.leases.finish_work(shard, shard.frames_total, 0, [f"by {shard.index}"])
    return False


def test_every_shard_is_finished_once_and_the_job_is_published_once(desk: Desk, database: Database) -> None:
    job_id = new_job(desk, "job-1")
    with ThreadPoolExecutor(WORKERS) as pool:
        done = list(pool.map(lambda worker: work(desk, job_id, worker), range(WORKERS)))
    finished = Counter(index for each in done for index in each)
    live = [shard for shard in desk.jobs.shards(job_id) if shard.state is not ShardState.SPLIT]
    assert finished == Counter(shard.index for shard in live if shard.stage is not Stage.PLAN)
    assert {shard.state for shard in live} == {ShardState.DONE}
    assert sum(shard.frames_total for shard in live) == 4 * SHARDS
    job = desk.jobs.job(job_id)
    assert job.state is JobState.SUCCEEDED
    # What each of them added to the same value of the job's row is all there.
    assert len(job.outcome["notes"]) == len([shard for shard in live if shard.stage is Stage.WORK])


@pytest.mark.slow
@pytest.mark.parametrize("round_number", range(3))
def test_a_job_that_is_cancelled_in_the_middle_ends_with_nobody_at_it(desk: Desk, round_number: int) -> None:
    job_id = new_job(desk, f"job-{round_number}")

    def cancel() -> None:
        try:
            desk.jobs.cancel(job_id)
        except IllegalTransition:
            assert desk.jobs.job(job_id).state is JobState.SUCCEEDED

    with ThreadPoolExecutor(WORKERS + 1) as pool:
        workers = [pool.submit(work, desk, job_id, worker) for worker in range(WORKERS)]
        pool.submit(cancel).result()
        for worker in workers:
            worker.result()
    assert desk.jobs.job(job_id).state in (JobState.CANCELLED, JobState.SUCCEEDED)
    assert ShardState.RUNNING not in {shard.state for shard in desk.jobs.shards(job_id)}
