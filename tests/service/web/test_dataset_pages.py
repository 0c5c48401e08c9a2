"""The pages of datasets without a worker: what they refuse, and what they make of strangers' words."""

import json
import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from service.access.scopes import Scope
from service.datasets.dataset import Finding, Severity
from service.jobs.report import Report
from service.storage import keys
from service.web.datasets.findings import PAGE_LENGTH
from tests.serving import Serving, new_key

OWN = {"Origin": "http://testserver"}
OPEN_PAGE = {**OWN, "HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>\u202e"
Visitor = Callable[..., TestClient]


@pytest.fixture
def visitor(serving: Serving) -> Visitor:
    """Somebody who has signed in to the page."""
    client = serving(follow_redirects=False)

    def visit(**options: object) -> TestClient:
        client.headers.pop("Authorization", None)
        client.cookies.clear()
        client.post("/sign-in", data={"key": new_key(client, **options)}, headers=OWN)  # type: ignore[arg-type]
        return client

    return visit


def make_dataset(client: TestClient, **fields: object) -> str:
    upload = client.put("/v1/uploads/day.zip", content=b"zip", headers=OWN).json()
    answer = client.post("/datasets", data={"upload_id": upload["id"], **fields}, headers=OPEN_PAGE)
    assert answer.status_code == 200, answer.text
    path: str = answer.headers["hx-redirect"]
    return path.removeprefix("/datasets/")


def test_the_form_makes_the_dataset_that_it_describes(visitor: Visitor) -> None:
    client = visitor()
    made = make_dataset(
        client, name="By day", timeofday=["daytime"], split=["train", "val"], exclude_suspects="true"
    )
    dataset = client.get(f"/v1/datasets/{made}").json()
    spec = client.get(f"/v1/jobs/{dataset['job_id']}").json()["spec"]
    assert dataset["name"] == "By day"
    assert spec["options"]["selection"] == {"timeofday": ["daytime"], "split": ["train", "val"]}
    assert spec["exclude_suspects"] is True


def test_a_form_that_is_refused_is_answered_with_the_cure(visitor: Visitor) -> None:
    client = visitor()
    for fields, status, words in (
        ({"upload_id": "up-none"}, 404, "There is no upload"),
        ({"upload_id": "up-none", "select": "rainy"}, 422, "is not a selection"),
        ({}, 422, "give one of upload_id and source_uri"),
    ):
        answer = client.post("/datasets", data=fields, headers=OPEN_PAGE)
        assert answer.status_code == status
        assert words in answer.text
        assert "<html" not in answer.text  # it is put above the form, which stays as it was


def test_a_dataset_that_a_job_works_on_is_not_deleted(visitor: Visitor) -> None:
    client = visitor()
    made = make_dataset(client)
    job_id = client.get(f"/v1/datasets/{made}").json()["job_id"]
    answer = client.post(f"/datasets/{made}/delete", headers=OPEN_PAGE)
    assert answer.status_code == 409
    assert job_id in answer.text
    assert client.get(f"/datasets/{made}").status_code == 200


def test_a_dataset_on_its_way_asks_for_its_progress_until_it_is_made(visitor: Visitor) -> None:
    client = visitor()
    assert "No datasets yet" in client.get("/datasets").text
    made = make_dataset(client, name=HOSTILE)
    assert 'hx-trigger="every 3s"' in client.get("/datasets").text
    page = client.get(f"/datasets/{made}").text
    assert f'hx-get="/datasets/{made}/progress"' in page
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "hx-refresh" not in client.get(f"/datasets/{made}/progress", headers=OPEN_PAGE).headers
    job_id = client.get(f"/v1/datasets/{made}").json()["job_id"]
    client.post(f"/v1/jobs/{job_id}/cancel", headers=OWN)
    assert client.get(f"/datasets/{made}/progress", headers=OPEN_PAGE).headers["hx-refresh"] == "true"
    assert 'hx-trigger="every 3s"' not in client.get("/datasets").text
    assert "Its making was cancelled" in client.get(f"/datasets/{made}").text


def test_who_may_only_read_is_offered_nothing_else(visitor: Visitor) -> None:
    made = make_dataset(visitor())
    reader = visitor(scopes=[Scope.DATASETS_READ])
    assert 'id="new-dataset"' not in reader.get("/datasets").text
    assert "Delete…" not in reader.get(f"/datasets/{made}").text
    for path in ("", f"/{made}/delete", f"/{made}/retry"):
        assert reader.post(f"/datasets{path}", data={"upload_id": "x"}, headers=OPEN_PAGE).status_code == 403


def test_another_tenants_dataset_is_not_there(visitor: Visitor) -> None:
    made = make_dataset(visitor())
    stranger = visitor(tenant="other")
    for path in ("", "/findings", "/progress", "/suspects"):
        assert stranger.get(f"/datasets/{made}{path}").status_code == 404
    for path in ("/delete", "/retry"):
        assert stranger.post(f"/datasets/{made}{path}", headers=OWN).status_code == 404


def test_a_long_report_is_shown_in_pages_and_by_code(visitor: Visitor) -> None:
    client = visitor()
    made = make_dataset(client)
    report = Report()
    for number in range(PAGE_LENGTH + 5):
        report.add(Finding("bad-box", Severity.ERROR, f"{number:03}.jpg", HOSTILE, "Mend it."))
    report.add(Finding("odd", Severity.NOTE, HOSTILE, "It is odd."))
    job_id = client.get(f"/v1/datasets/{made}").json()["job_id"]
    store = client.app.state.services.store  # type: ignore[attr-defined]
    store.write(keys.report(job_id), json.dumps(report.to_json()).encode())

    def paths(query: str) -> list[str]:
        page = client.get(f"/datasets/{made}/findings?{query}").text
        assert "<script>alert" not in page
        assert "\u202e" not in page
        return re.findall(r'class="where"><code>(\d+)', page)

    first, second = paths("code=bad-box"), paths("code=bad-box&page=2")
    assert [*first, *second] == [f"{number:03}" for number in range(PAGE_LENGTH + 5)]
    assert len(first) == PAGE_LENGTH
    assert paths("code=odd&severity=note") == paths("severity=warning") == []
    assert client.get(f"/datasets/{made}/findings?page=0").status_code == 422
