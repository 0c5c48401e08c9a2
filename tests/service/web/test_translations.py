"""The page's own routes of translations, as a form sends them; tests/page looks at them in a browser."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from service.access.scopes import Scope
from service.jobs.database import database_now
from service.jobs.job import DatasetState, JobKind
from service.jobs.tables import datasets
from tests.serving import Serving, new_key

PART = {"HX-Request": "true"}


@pytest.fixture
def client(serving: Serving) -> TestClient:
    """With a day set of several times of day, and a night set to test on."""
    client = serving(follow_redirects=False)
    tagged = {"daytime": 60, "night": 30, "untagged": 10}
    with here(client).database.writing() as connection:
        for name in ("ds-day", "ds-night"):
            counts = {"frames": 100, "boxes": 400, "timeofday": tagged, "splits": {"train": 80, "val": 20}}
            connection.execute(
                insert(datasets).values(
                    id=name, name=f"<i>{name}</i>", state=DatasetState.READY, version=1, job_id="job-old",
                    source={}, format="yolo", categories=["car"], counts=counts, created_at=database_now(),
                    tenant="local",
                )
            )  # fmt: skip
    sign_in(client, new_key(client))
    return client


def sign_in(client: TestClient, key: str) -> None:
    """As a browser does it, which says itself where a form comes from."""
    client.headers.pop("Authorization", None)
    client.headers["Origin"] = "http://testserver"
    assert client.post("/sign-in", data={"key": key}).status_code == 303


def here(client: TestClient) -> Any:
    return client.app.state.services  # type: ignore[attr-defined]


def send(client: TestClient, path: str = "/translations", **fields: Any) -> Any:
    return client.post(
        path, data={"dataset": "ds-day", "generator": "camera-night:1", **fields}, headers=PART
    )


def test_of_a_set_with_several_times_of_day_the_day_is_ticked(client: TestClient) -> None:
    page = client.get("/translations/new?dataset=ds-day").text
    assert 'name="timeofday" value="daytime" checked' in page
    assert 'name="timeofday" value="night">' in page
    assert 'value="untagged"' not in page, "what has no tag cannot be chosen by one"
    assert "<i>ds-day" not in page
    page = client.get("/translations/new?dataset=ds-day&timeofday=night").text
    assert 'name="timeofday" value="night" checked' in page


def test_a_training_follows_when_that_is_wished(client: TestClient) -> None:
    answer = send(client, timeofday="daytime", then_train="true", detector="yolov8n", test_dataset="ds-night")
    assert answer.status_code == 200, answer.text
    job = here(client).desk.jobs.job(answer.headers["HX-Redirect"].rpartition("/")[2])
    follow_up = here(client).desk.jobs.job(here(client).desk.jobs.follow_up(job.id))
    assert (job.spec["selection"], follow_up.kind) == ({"timeofday": ["daytime"]}, JobKind.EXPERIMENT)
    assert follow_up.spec["test"]["dataset_id"] == "ds-night"


def test_several_generators_are_several_jobs_or_none(client: TestClient) -> None:
    answer = send(client, generator=["camera-night:1", "identity:1"])
    assert answer.headers["HX-Redirect"] == "/jobs"
    assert len(here(client).desk.jobs.jobs(10, None)) == 2
    answer = send(client, generator=["camera-night:1", "nothing:1"])
    assert (answer.status_code, "nothing:1" in answer.text) == (422, True)
    assert len(here(client).desk.jobs.jobs(10, None)) == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"generator": []}, "Tick one"),
        ({"generator": [f"g{number}" for number in range(9)]}, "Tick fewer"),
        ({"frames": "3"}, "frames"),
        ({"dataset": "ds-none"}, "ds-none"),
        ({"timeofday": "noon"}, "noon"),
    ],
)
def test_a_preview_that_makes_no_sense_says_why(client: TestClient, fields: Any, said: str) -> None:
    answer = send(client, "/translations/preview", **fields)
    assert 400 <= answer.status_code < 500
    assert said in answer.text


def test_the_address_of_a_preview_brings_it_back(client: TestClient) -> None:
    answer = send(client, "/translations/preview", strength="0.5")
    address = answer.headers["HX-Replace-Url"]
    page = client.get(address).text
    assert 'id="preview-grid"' in page
    assert 'value="0.5"' in page
    assert send(client, "/translations/preview", strength="0.5").headers["HX-Replace-Url"] == address
    job_id = address.rpartition("=")[2]
    assert client.get(f"/translations/preview?job={job_id}&seen=0-queued0").status_code == 204


def test_who_may_only_look_starts_nothing_and_imports_nothing(client: TestClient) -> None:
    assert "/generators/import" in client.get("/generators").text
    sign_in(client, new_key(client, scopes=[Scope.JOBS_READ, Scope.DATASETS_READ]))
    assert client.get("/translations/new?dataset=ds-day").status_code == 200
    assert "/generators/import" not in client.get("/generators").text
    assert client.get("/generators/import").status_code == 403
    for path in ("/translations", "/translations/preview", "/generators"):
        assert send(client, path).status_code == 403
