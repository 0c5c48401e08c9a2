"""Trainings and experiments as pages, without a browser: every state has a face, and nothing runs in them."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.job import JobKind
from service.jobs.submit import TrainingWish, submit_training
from service.web.learning.experiments import experiment_panel
from service.web.pages import render
from tests.page.learning_stock import planned_experiment
from tests.serving import Serving, new_key

OWN = {"Origin": "http://testserver"}
PART = {**OWN, "HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def client(serving: Serving, add_dataset: Callable[..., str]) -> TestClient:
    for side in ("day", "night", "synthetic", "test"):
        add_dataset(f"ds-{side}")
    add_dataset("ds-signs", ("sign",))
    return signed_in(serving())


def signed_in(client: TestClient) -> TestClient:
    del client.headers["Authorization"]
    client.post("/sign-in", data={"key": new_key(client)}, headers=OWN)
    return client


def services(client: TestClient) -> Any:
    return client.app.state.services  # type: ignore[attr-defined]


def text(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_without_any_the_lists_say_what_would_be_there(client: TestClient) -> None:
    assert "No trainings yet" in text(client, "/trainings")
    assert "No experiments yet" in text(client, "/experiments")


def test_without_a_dataset_there_is_no_form(serving: Serving) -> None:
    client = signed_in(serving())
    for path in ("/trainings/new", "/experiments/new"):
        page = text(client, path)
        assert "No dataset" in page
        assert 'hx-post="/trainings"' not in page


def test_a_training_that_has_not_begun_says_what_will_come(client: TestClient) -> None:
    job = submit_training(services(client).desk, TrainingWish("sci", "ds-day", "ds-night", name="mine"))
    page = text(client, f"/jobs/{job.id}")
    assert "The first losses come" in page
    assert "data-curves" not in page
    assert "mine" in text(client, "/trainings")


def test_a_failed_experiment_leaves_its_error_to_the_page_of_the_job(client: TestClient) -> None:
    job = planned_experiment(services(client))
    services(client).desk.jobs.fail(job.id, "invalid-request", "The classes differ. Map them.")
    panel = render("learning/_experiment.html", **experiment_panel(services(client), job))
    assert "0 of 9 trainings done" in panel
    assert "The classes differ" not in panel
    assert "The classes differ" in text(client, f"/jobs/{job.id}")
    assert "The classes differ" in text(client, "/experiments")


def test_names_are_shown_and_never_run(client: TestClient) -> None:
    job = planned_experiment(services(client), HOSTILE)
    for path in ("/experiments", f"/jobs/{job.id}"):
        page = text(client, path)
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test_id": "ds-day"}, "nothing keeps them apart"),
        ({"test_id": "ds-signs"}, "categor"),
        ({"arm": ["dya"]}, "Did you mean &#39;day&#39;?"),
        ({"image_px": "33"}, "image_px"),
        ({"preset": "clasic"}, "Did you mean &#39;classic&#39;?"),
    ],
    ids=["overlap", "classes", "arm", "number", "preset"],
)
def test_the_plan_says_what_is_wrong_before_anything_begins(
    client: TestClient, changes: dict[str, Any], said: str
) -> None:
    rows = {"data_name": ["day"], "data_id": ["ds-day"], "data_select": [""], "test_id": "ds-test"}
    answer = client.post("/experiments/check", data={**rows, **changes}, headers=PART)
    assert answer.status_code == 200
    assert said in answer.text
    assert services(client).desk.jobs.jobs(1, None, JobKind.EXPERIMENT) == []


def test_the_plan_says_what_will_be_done_and_begins_nothing(client: TestClient) -> None:
    rows = {"data_name": ["day", "night"], "data_id": ["ds-day", "ds-night"], "data_select": ["", ""]}
    answer = client.post(
        "/experiments/check", data={**rows, "test_id": "ds-test", "seeds": "2"}, headers=PART
    )
    assert "4 (2 arms, 2 seeds)" in answer.text
    assert "nightshift experiment" in answer.text
    assert services(client).desk.jobs.jobs(1, None, JobKind.EXPERIMENT) == []


def test_a_form_goes_on_to_its_job_with_a_script_and_without(client: TestClient) -> None:
    form = {"recipe": "sci/compact", "day": "ds-day", "night": "ds-night"}
    told = client.post("/trainings", data=form, headers=PART)
    assert told.headers["hx-redirect"].startswith("/jobs/job-")
    sent = client.post("/trainings", data=form, headers=OWN, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"][:10]) == (303, "/jobs/job-")


def test_a_refusal_is_a_message_for_the_open_form(client: TestClient) -> None:
    form = {"recipe": "pix2pix/compact", "day": "ds-day", "night": "ds-night"}
    answer = client.post("/trainings", data=form, headers=PART)
    assert answer.status_code == 422
    assert "cannot be trained" in answer.text
    assert "<html" not in answer.text
