"""Quality figures as the page compares them."""

from dataclasses import replace
from typing import Any

import pytest

from models.metrics.quality import quality
from models.metrics.reference import bundled_reference
from service.jobs.job import Job, JobKind, JobState
from service.web.frames.figures import REFERENCES, SPREADS, Quality, measured, rows, shown


@pytest.fixture(scope="module")
def of_real_night() -> dict[str, Any]:
    reference = bundled_reference()
    return quality(reference, reference).to_json()


def test_what_the_page_says_of_real_night_is_what_is_measured(of_real_night: dict[str, Any]) -> None:
    told = REFERENCES[of_real_night["reference"]]
    for key in SPREADS:
        assert told[key] == {name: round(of_real_night[key][name], 1) for name in ("p5", "median", "p95")}
    for key in ("niqe", "share_night"):
        assert told[key]["value"] == round(of_real_night[key]["value"], 3)


def test_a_figure_that_nobody_has_is_left_out_and_others_stand_beside_each_other(
    of_real_night: dict[str, Any],
) -> None:
    ours = {**of_real_night, "niqe": {"value": 4.56}, "fid": {"value": None, "reason": "too few"}}
    found = {row.title: row for row in rows(ours, None)}
    assert "FID" not in found
    assert (found["NIQE"].ours.value, found["NIQE"].source.value, found["NIQE"].reference.value) == (
        "4.56",
        "",
        "3.11",
    )


def test_a_missing_figure_says_why() -> None:
    assert shown({"kid": {"value": None, "reason": "too few frames"}}, "kid").hint == "too few frames"


def test_the_newest_figures_by_the_same_yardstick_are_taken() -> None:
    yardstick = {"reference": "nights", "backbone_sha256": "a"}
    jobs = [
        _job(yardstick, number=1, state=JobState.RUNNING),
        _job(yardstick, number=2, dataset_id="ds-other"),
        _job({**yardstick, "reference": "others"}, number=3),
        _job({**yardstick, "backbone_sha256": "b"}, number=4),
        _job(yardstick, number=5, selection={"split": ["val"]}),
        _job(yardstick, number=6),
        _job(yardstick, number=7),
    ]
    assert _number(measured(jobs, "ds-mine", like=yardstick)) == 6
    assert _number(measured(jobs, "ds-mine")) == 3
    assert measured(jobs, "ds-nobody") is None


def _number(found: Quality | None) -> int:
    assert found is not None
    number: int = found["number"]
    return number


def _job(
    figures: dict[str, Any],
    number: int,
    dataset_id: str = "ds-mine",
    state: JobState = JobState.SUCCEEDED,
    selection: dict[str, list[str]] | None = None,
) -> Job:
    outcome = {"quality": {**figures, "number": number}} if state is JobState.SUCCEEDED else {}
    spec = {"dataset": {"dataset_id": dataset_id, "selection": selection or {}}}
    return replace(BLANK, id=f"job-{number}", dataset_id=dataset_id, state=state, outcome=outcome, spec=spec)


BLANK = Job(
    id="", tenant="t", kind=JobKind.QUALITY, state=JobState.QUEUED, version=1, work_version=1, spec={},
    dataset_id=None, result_id=None, parent_id=None, after_id=None, error_code=None, error=None, outcome={},
    created_at=0.0, started_at=None, work_started_at=None, finished_at=None,
)  # fmt: skip
