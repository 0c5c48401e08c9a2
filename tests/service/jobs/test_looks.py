"""What a client is told at one look is what the single questions answer."""

from dataclasses import replace

import pytest

from service.errors import NotFound
from service.jobs.experiments import Chosen, ExperimentWish, submit_chain
from service.jobs.job import Shard, ShardPlan
from service.jobs.store import JobStore
from service.jobs.submit import Desk, TranslationWish, retry, submit_translation
from tests.service.conftest import AddDataset


def assert_told(desk: Desk, job_id: str, tenant: str | None = None) -> None:
    jobs = JobStore(desk.jobs.database, tenant)
    look, job = jobs.look(job_id), jobs.job(job_id)
    assert (look.job, look.follow_up_id) == (job, jobs.follow_up(job_id))
    # The rate of a job that runs changes with the clock.
    still = {} if job.is_final else {"images_per_second": None, "seconds_left": None}
    assert replace(look.progress, **still) == replace(jobs.progress(job), **still)


def test_a_look_at_every_step_of_a_job(desk: Desk, add_dataset: AddDataset) -> None:
    for dataset in ("ds-day", "ds-test"):
        add_dataset(dataset)
    wish = ExperimentWish(data={}, test=Chosen("ds-test"))
    first, second = submit_chain(desk, TranslationWish("ds-day", "camera-night"), wish, ())
    for job in (first, second):
        assert_told(desk, job.id)

    def claim(job_id: str, index: int) -> Shard:
        shard = desk.leases.claim(job_id, index, "worker")
        assert shard is not None
        return shard

    desk.leases.finish_plan(claim(first.id, 0), [ShardPlan(0, 1, 0, 4), ShardPlan(1, 2, 4, 3)], {})
    assert_told(desk, first.id)
    desk.leases.finish_work(claim(first.id, 1), 3, 1, [])
    assert_told(desk, first.id)
    assert desk.jobs.look(first.id).progress.frames_failed == 1
    assert_told(desk, first.id, tenant="local")  # too many images failed, and so did the job
    again = retry(desk, first.id)
    assert_told(desk, again.id)
    assert desk.jobs.look(first.id).follow_up_id == second.id


def test_nobody_looks_at_another_tenant_s_job(desk: Desk, add_dataset: AddDataset) -> None:
    add_dataset("ds-day")
    job = submit_translation(desk, TranslationWish("ds-day", "camera-night"))
    for tenant, job_id in (("other", job.id), ("local", "job-none"), (None, "job-none")):
        with pytest.raises(NotFound):
            JobStore(desk.jobs.database, tenant).look(job_id)
