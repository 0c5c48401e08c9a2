"""What pages show of jobs: some states only, the newest shards, the last events."""

from service.jobs.job import JobState, Shard, ShardPlan
from service.jobs.submit import Desk, TranslationWish, retry, submit_translation
from tests.service.conftest import AddDataset


def claim(desk: Desk, job_id: str, index: int) -> Shard:
    shard = desk.leases.claim(job_id, index, "worker")
    assert shard is not None
    return shard


def planned(desk: Desk, add_dataset: AddDataset) -> str:
    """A job with three shards of two frames."""
    add_dataset("ds-day")
    job = submit_translation(desk, TranslationWish("ds-day", "camera-night", error_budget=1.0))
    parts = [ShardPlan(number, number + 1, 2 * number, 2) for number in range(3)]
    desk.leases.finish_plan(claim(desk, job.id, 0), parts, {})
    return job.id


def test_jobs_of_some_states(desk: Desk, add_dataset: AddDataset) -> None:
    running = planned(desk, add_dataset)
    queued = submit_translation(desk, TranslationWish("ds-day", "camera-night")).id

    def found(*states: JobState) -> set[str]:
        return {job.id for job in desk.jobs.jobs(10, None, states=states)}

    assert found() == {running, queued}
    assert found(JobState.QUEUED) == {queued}
    assert found(JobState.RUNNING, JobState.QUEUED) == {running, queued}
    assert found(JobState.FAILED) == set()


def test_shards_with_frames_those_at_work_first_and_a_parent_s_last(
    desk: Desk, add_dataset: AddDataset
) -> None:
    job_id = planned(desk, add_dataset)
    desk.leases.finish_work(claim(desk, job_id, 3), 2, 0, [])
    assert [shard.index for shard in desk.jobs.newest_shards(job_id, 8)] == [3]
    desk.jobs.cancel(job_id)
    again = retry(desk, job_id).id
    desk.leases.finish_work(claim(desk, again, 2), 2, 0, [])
    first = claim(desk, again, 1)
    assert [shard.index for shard in desk.jobs.newest_shards(again, 8)] == [2, 3]
    desk.leases.renew(first, 1, 0)
    assert [shard.index for shard in desk.jobs.newest_shards(again, 8)] == [1, 2, 3]
    assert [shard.index for shard in desk.jobs.newest_shards(again, 2)] == [1, 2]


def test_the_last_events_of_some_kinds_in_their_order(desk: Desk, add_dataset: AddDataset) -> None:
    job_id = planned(desk, add_dataset)
    everything = desk.jobs.events(job_id)
    told = [event for event in everything if event.kind in ("state", "planned")]
    assert desk.jobs.latest_events(job_id, ["state", "planned"], 100) == told
    assert desk.jobs.latest_events(job_id, ["state", "planned"], 2) == told[-2:]
    assert desk.jobs.last_event(job_id) == everything[-1]
