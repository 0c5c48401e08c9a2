"""How long a translation will take is said by what its generator did before."""

from dataclasses import replace
from typing import Any

import pytest

from service.catalogue import find_generator
from service.jobs.expected import LONG_ENOUGH_SECONDS, seen_rate
from service.jobs.job import Job, JobKind, JobState

CARD = find_generator("camera-night", ())
OTHER = find_generator("identity", ())


def job(name: str = "job-1", dataset_id: str = "ds-1", **outcome: Any) -> Job:
    return Job(
        id=name, tenant="local", kind=JobKind.TRANSLATION, state=JobState.SUCCEEDED, version=1,
        work_version=1, spec={"generator": CARD.to_json(), "preview": 4}, dataset_id=dataset_id,
        result_id=None, parent_id=None, after_id=None, error_code=None, error=None, outcome=outcome,
        created_at=0.0, started_at=0.0, work_started_at=0.0, finished_at=2 * LONG_ENOUGH_SECONDS,
    )  # fmt: skip


def seen(*jobs: Job) -> tuple[float, bool, str] | None:
    found = seen_rate(jobs, CARD, "ds-1")
    return None if found is None else (found.images_per_second, found.is_of_dataset, found.job_id)


@pytest.mark.parametrize(
    "useless",
    [
        pytest.param(job(), id="not planned yet"),
        pytest.param(
            replace(job(measured_seconds_per_image=0.5), spec={"generator": OTHER.to_json()}), id="another"
        ),
        pytest.param(replace(job(measured_seconds_per_image=0.5), spec={}), id="no translation"),
    ],
)
def test_nothing_is_known_of_a_generator_that_has_not_run(useless: Job) -> None:
    assert seen() is seen(useless) is None


def test_the_same_dataset_says_more_than_a_newer_job_on_another() -> None:
    newer = job("job-2", "ds-2", measured_seconds_per_image=0.1)
    older = job("job-1", "ds-1", measured_seconds_per_image=0.5)
    assert seen(newer) == (10, False, "job-2")
    assert seen(newer, older) == (2, True, "job-1")


def test_a_whole_translation_says_more_than_its_plan_unless_it_was_short() -> None:
    facts = {"measured_seconds_per_image": 0.5, "frames_total": 480}
    whole = replace(job(**facts), spec={"generator": CARD.to_json(), "preview": 0})
    assert seen(whole) == (480 / (2 * LONG_ENOUGH_SECONDS), True, "job-1")
    assert seen(replace(whole, finished_at=LONG_ENOUGH_SECONDS / 2)) == (2, True, "job-1")
    assert seen(replace(whole, parent_id="job-0")) == (2, True, "job-1")
