"""A job that follows another: it begins when that one has succeeded, and ends when it cannot any more."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from service.datasets.selection import Selection
from service.errors import DatasetNotReady, InvalidRequest
from service.jobs.database import Database
from service.jobs.experiments import Chosen, ExperimentWish, submit_chain
from service.jobs.job import Job, JobState, Shard, ShardPlan
from service.jobs.queue import ring
from service.jobs.submit import Desk, TranslationWish, retry
from service.jobs.tables import jobs, shards


@pytest.fixture
def chain(desk: Desk, add_dataset: Callable[..., str]) -> tuple[Job, Job]:
    """A translation and the experiment that follows it."""
    for dataset in ("ds-day", "ds-test"):
        add_dataset(dataset)
    return submit_chain(desk, TranslationWish("ds-day", "camera-night"), wish(), ())


def wish(**more: Any) -> ExperimentWish:
    return ExperimentWish(data={}, test=Chosen("ds-test"), **more)


def claim(desk: Desk, job: Job, index: int) -> Shard:
    shard = desk.leases.claim(job.id, index, "worker")
    assert shard is not None
    return shard


def carry_out(desk: Desk, job: Job) -> None:
    """A translation, to its end."""
    desk.leases.finish_plan(claim(desk, job, 0), [ShardPlan(0, 1, 0, 4)], {})
    desk.leases.finish_work(claim(desk, job, 1), 4, 0, [])
    row = {"counts": {"boxes": 3}, "categories": ["car", "bus"]}
    assert desk.leases.finish_publish(claim(desk, job, 2), {}, row)


def hint_again(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(update(shards).values(hinted_at=0.0))


def test_both_are_there_at_once_and_only_the_first_may_begin(
    desk: Desk, queue: Any, database: Database, chain: tuple[Job, Job]
) -> None:
    translation, experiment = chain
    assert (experiment.state, experiment.after_id) == (JobState.QUEUED, translation.id)
    assert desk.jobs.follow_up(translation.id) == experiment.id
    assert experiment.spec["data"]["synthetic"]["dataset_id"] == translation.result_id
    assert queue.hints == [(translation.id, 0)]
    assert desk.leases.claim(experiment.id, 0, "early") is None
    hint_again(database)
    ring(desk.queue, desk.leases)
    assert queue.hints == [(translation.id, 0)] * 2
    assert desk.leases.unsettled_jobs() == []


def test_the_second_begins_when_the_first_has_succeeded(
    desk: Desk, queue: Any, chain: tuple[Job, Job]
) -> None:
    translation, experiment = chain
    carry_out(desk, translation)
    ring(desk.queue, desk.leases)
    assert queue.hints[-1] == (experiment.id, 0)
    claim(desk, experiment, 0)
    assert desk.jobs.job(experiment.id).state is JobState.RUNNING


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_the_second_fails_with_the_first_and_says_which_one(
    desk: Desk, chain: tuple[Job, Job], ending: str
) -> None:
    translation, experiment = chain
    if ending == "failed":
        desk.leases.fail(claim(desk, translation, 0), "store-full", "no space")
    else:
        desk.jobs.cancel(translation.id)
    ended = desk.jobs.job(experiment.id)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "chained-job-failed")
    assert translation.id in str(ended.error)
    assert ended.finished_at is not None
    events = [event.data for event in desk.jobs.events(experiment.id) if event.kind == "state"]
    assert events[-1]["error_code"] == "chained-job-failed"


def test_one_that_was_forgotten_is_found_by_the_reconciler_once(
    desk: Desk, database: Database, chain: tuple[Job, Job]
) -> None:
    translation, experiment = chain
    with database.writing() as connection:  # it ended in the moment when the other was handed in
        connection.execute(update(jobs).where(jobs.c.id == translation.id).values(state="failed"))
    assert desk.leases.unsettled_jobs() == [experiment.id]
    for _ in range(2):
        desk.leases.settle_job(experiment.id)
    assert desk.jobs.job(experiment.id).error_code == "chained-job-failed"
    states = [event for event in desk.jobs.events(experiment.id) if event.data.get("state") == "failed"]
    assert len(states) == 1
    assert desk.leases.unsettled_jobs() == []


def test_cancelling_the_second_leaves_the_first_alone(desk: Desk, chain: tuple[Job, Job]) -> None:
    translation, experiment = chain
    assert desk.jobs.cancel(experiment.id).state is JobState.CANCELLED
    carry_out(desk, translation)
    assert desk.jobs.job(translation.id).state is JobState.SUCCEEDED
    assert desk.jobs.job(experiment.id).state is JobState.CANCELLED


def test_a_retry_waits_for_the_retry_of_what_it_follows(desk: Desk, chain: tuple[Job, Job]) -> None:
    translation, experiment = chain
    desk.jobs.cancel(translation.id)
    with pytest.raises(InvalidRequest, match=f"nightshift jobs retry {translation.id}"):
        retry(desk, experiment.id)
    again = retry(desk, translation.id)
    waiting = retry(desk, experiment.id)
    assert (waiting.after_id, waiting.spec) == (again.id, experiment.spec)
    assert desk.leases.claim(waiting.id, 0, "early") is None
    carry_out(desk, again)
    claim(desk, waiting, 0)


def test_a_retry_begins_at_once_when_its_dataset_is_ready(desk: Desk, chain: tuple[Job, Job]) -> None:
    translation, experiment = chain
    carry_out(desk, translation)
    desk.leases.fail(claim(desk, experiment, 0), "x", "y")
    again = retry(desk, experiment.id)
    assert again.after_id is None
    claim(desk, again, 0)


@pytest.mark.parametrize(
    ("translation", "then", "error", "said"),
    [
        ({"preview": 3}, {}, InvalidRequest, "preview"),
        ({}, {"data": {"synthetic": Chosen("ds-day")}}, InvalidRequest, "'synthetic' is what"),
        ({}, {"detector": "yolov99"}, InvalidRequest, "no detector"),
        ({}, {"data": {"night": Chosen("ds-pending")}}, DatasetNotReady, "ds-pending"),
    ],
)
def test_if_one_of_both_is_refused_neither_is_handed_in(
    desk: Desk,
    add_dataset: Callable[..., str],
    translation: dict[str, Any],
    then: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    for dataset in ("ds-day", "ds-test"):
        add_dataset(dataset)
    add_dataset("ds-pending", state="pending")
    first = TranslationWish("ds-day", "camera-night", **translation)
    with pytest.raises(error, match=said):
        submit_chain(desk, first, ExperimentWish(**{"data": {}, "test": Chosen("ds-test"), **then}), ())
    assert desk.jobs.jobs(10, None) == []


def test_what_is_trained_on_by_day_is_what_was_translated(
    desk: Desk, add_dataset: Callable[..., str]
) -> None:
    for dataset in ("ds-day", "ds-night", "ds-test"):
        add_dataset(dataset)
    selection = Selection.parse(["timeofday=daytime", "split=train,val"])
    first = TranslationWish("ds-day", "camera-night", selection=selection)
    then = ExperimentWish(data={"night": Chosen("ds-night")}, test=Chosen("ds-test"), seeds=[5])
    _, experiment = submit_chain(desk, first, then, ())
    assert experiment.spec["data"]["day"]["selection"] == {"split": ["train"], "timeofday": ["daytime"]}
    assert [arm["name"] for arm in experiment.spec["arms"]] == ["day", "day+synthetic", "day+night"]
    assert (experiment.spec["baseline"], experiment.spec["upper_bound"]) == ("day", "day+night")
    assert experiment.dataset_id == "ds-day"
