"""Requests that ask for what cannot be: refused with their code, and nothing is changed."""

import asyncio
import json
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from benchmarks.api_server import stock_services
from service.access.caller import Caller
from service.access.key_store import KeyStore
from service.access.keys import mint
from service.access.scopes import ALL_SCOPES, Scope
from service.api.dependencies import Services
from service.app import create_app
from service.jobs.submit import IngestWish, submit_ingest
from service.jobs.tables import metadata
from service.settings import Settings
from tests.conftest import SilentQueue
from tests.serving import Serving, bearer, new_key

HUGE = "1" + "0" * 400


@dataclass(frozen=True, slots=True)
class Target:
    """A tenant with a dataset and a translation of it under way, and another one with the same."""

    client: TestClient
    tenant: str
    their_tenant: str
    dataset: str
    job: str
    their_dataset: str
    their_job: str

    @property
    def here(self) -> Services:
        services: Services = self.client.app.state.services  # type: ignore[attr-defined]
        return services

    def rows(self) -> dict[str, int]:
        with self.here.database.reading() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in metadata.sorted_tables
                if table.name not in ("api_keys", "idempotency_keys")
            }


def stocked(client: TestClient, tenant: str, their_tenant: str) -> Target:
    here: Services = client.app.state.services  # type: ignore[attr-defined]
    mine, theirs = (here.for_caller(Caller("", name, ALL_SCOPES)) for name in (tenant, their_tenant))
    job = stock_services(mine, upload_id=f"up-{tenant}")
    their_job = stock_services(theirs, upload_id=f"up-{their_tenant}")
    own = TestClient(client.app, raise_server_exceptions=False, headers=bearer(new_key(client, tenant)))
    return Target(
        own, tenant, their_tenant, str(job.dataset_id), job.id, str(their_job.dataset_id), their_job.id
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("jobs"), requests_per_second=0)
    app = create_app(settings.model_copy(update={"failed_keys_per_minute": 1000}), SilentQueue())
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def target(server: TestClient) -> Target:
    """For requests that change nothing."""
    return stocked(server, "local", "other")


@pytest.fixture
def fresh(server: TestClient) -> Target:
    """For those that do: two tenants whom no other test knows."""
    number = secrets.token_hex(4)
    return stocked(server, f"mine-{number}", f"theirs-{number}")


@pytest.fixture
def unchanged(target: Target, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    before = target.rows(), target.here.store.keys("")
    yield
    assert (target.rows(), target.here.store.keys("")) == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


def assert_refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert "Traceback" not in answer.text
    return problem


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="B01-none"),
        pytest.param("", id="B01-empty"),
        pytest.param("Bearer", id="B01-no-key"),
        pytest.param("Bearer ns_x", id="B01-malformed"),
        pytest.param("Basic bG9jYWw6bG9jYWw=", id="B01-another-kind"),
        pytest.param(f"Bearer {mint()}", id="B01-unknown"),
        pytest.param(f"Bearer {mint()} {mint()}", id="B01-two"),
        pytest.param("Bearer " + "x" * 8000, id="B01-long"),
        pytest.param("Bearer \xff\xfe", id="B01-no-ascii"),
        pytest.param("revoked", id="B01-revoked"),
        pytest.param("expired", id="B01-expired"),
    ],
)
def test_no_key_or_none_that_is_valid(target: Target, header: str | None) -> None:
    if header in ("revoked", "expired"):
        key = new_key(target.client, valid_seconds=-1.0 if header == "expired" else None)
        if header == "revoked":
            KeyStore(target.here.database).revoke(key.split("_")[1])
        header = f"Bearer {key}"
    for path in ("/v1/jobs", "/v1/datasets", "/v1/nothing/here"):
        status, headers, body = asyncio.run(unread(target, path, header))
        assert (status, json.loads(body)["code"]) == (401, "unauthorized")
        assert headers[b"www-authenticate"] == b"Bearer"


async def unread(target: Target, path: str, header: str | None) -> tuple[int, dict[bytes, bytes], bytes]:
    """The answer to a request whose body nobody may ask for."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    lines = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"1000")]
    if header is not None:
        lines.append((b"authorization", header.encode("latin-1")))
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "headers": lines, "client": ("192.0.2.1", 1),
        "server": ("localhost", 80), "root_path": "",
    }  # fmt: skip
    await target.client.app(scope, receive, send)
    start, *parts = sent
    return start["status"], dict(start["headers"]), b"".join(part.get("body", b"") for part in parts)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        pytest.param("GET", "/v1/jobs", Scope.JOBS_READ, id="B02-read"),
        pytest.param("POST", "/v1/translations", Scope.JOBS_WRITE, id="B02-write"),
        pytest.param("POST", "/v1/keys", Scope.ADMIN, id="B02-admin"),
    ],
)
def test_a_key_without_the_scope(target: Target, method: str, path: str, scope: Scope) -> None:
    headers = bearer(new_key(target.client, scopes=ALL_SCOPES - {scope}))
    problem = assert_refused(target.client.request(method, path, headers=headers), 403, "insufficient-scope")
    assert scope in problem["detail"]


@pytest.mark.parametrize("suffix", [pytest.param("", id="B03-read"), pytest.param("/report", id="B03-below")])
def test_an_id_that_is_not_there_another_tenants_and_a_deleted_one(fresh: Target, suffix: str) -> None:
    deleted = str(fresh.here.desk.jobs.job(fresh.job).result_id)
    fresh.client.post(f"/v1/jobs/{fresh.job}/cancel")
    assert fresh.client.delete(f"/v1/datasets/{deleted}").status_code == 204
    answers = []
    for dataset in ("ds-000000000000", fresh.their_dataset, deleted):
        answer = fresh.client.get(f"/v1/datasets/{dataset}{suffix}")
        assert_refused(answer, 404, "not-found")
        request_id = answer.headers["x-request-id"]
        answers.append(answer.text.replace(dataset, "ID").replace(request_id, "REQUEST"))
    assert len(set(answers)) == 1
    assert fresh.client.delete(f"/v1/datasets/{deleted}").status_code == 404
    assert deleted not in fresh.client.get("/v1/datasets").text


@pytest.fixture
def limited(settings: Settings, serving: Serving) -> TestClient:
    slow = {
        "requests_per_second": 0.01,
        "request_burst": 3,
        "failed_keys_per_minute": 2,
        "max_active_jobs": 1,
    }
    return serving(settings.model_copy(update=slow))


@pytest.mark.parametrize(
    "kind", [pytest.param("key", id="B12-key"), pytest.param("address", id="B12-address")]
)
def test_too_many_requests(limited: TestClient, kind: str) -> None:
    valid = dict(limited.headers)
    if kind == "address":
        limited.headers["Authorization"] = f"Bearer {mint()}"
        for _ in range(2):
            assert_refused(limited.get("/v1/limits"), 401, "unauthorized")
        refused = limited.get("/v1/limits")
    else:
        told = [limited.get("/v1/limits") for _ in range(3)]
        assert [answer.headers["ratelimit-remaining"] for answer in told] == ["2", "1", "0"]
        refused = limited.get("/v1/limits")
        assert refused.headers["ratelimit-limit"] == "3"
    assert_refused(refused, 429, "too-many-requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    if kind == "address":  # a neighbour's valid key is not shut out
        assert limited.get("/v1/limits", headers=valid).status_code == 200
    else:
        assert limited.get("/v1/limits", headers=bearer(new_key(limited))).status_code == 200


def wish_of(target: Target, **changes: Any) -> dict[str, Any]:
    return {"dataset_id": target.dataset, "generator": "identity", **changes}


@pytest.mark.parametrize("times", [pytest.param(2, id="B13"), pytest.param(5, id="B13-again-and-again")])
def test_an_idempotency_key_that_comes_again(fresh: Target, times: int) -> None:
    headers = {"Idempotency-Key": "once"}
    before = fresh.rows()["jobs"]
    answers = [
        fresh.client.post("/v1/translations", json=wish_of(fresh), headers=headers) for _ in range(times)
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert len({json.dumps(answer.json()) for answer in answers}) == 1
    assert [answer.headers.get("idempotent-replay") for answer in answers] == [None, *["true"] * (times - 1)]
    assert fresh.rows()["jobs"] == before + 1


@pytest.mark.parametrize(
    "changes", [pytest.param({"seed": 1}, id="B14"), pytest.param({"name": "x"}, id="B14-name")]
)
def test_an_idempotency_key_for_another_request(fresh: Target, changes: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "once"}
    fresh.client.post("/v1/translations", json=wish_of(fresh), headers=headers)
    before = fresh.rows()
    answer = fresh.client.post("/v1/translations", json=wish_of(fresh, **changes), headers=headers)
    assert_refused(answer, 422, "idempotency-mismatch")
    assert fresh.rows() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        pytest.param("/v1/jobs?limit=-1", "/limit", id="B15-negative"),
        pytest.param("/v1/jobs?limit=0", "/limit", id="B15-nothing"),
        pytest.param("/v1/jobs?limit=501", "/limit", id="B15-too-many"),
        pytest.param(f"/v1/jobs?limit={HUGE}", "/limit", id="B15-huge"),
        pytest.param("/v1/jobs?limit=1e2", "/limit", id="B15-no-integer"),
        pytest.param("/v1/jobs?kind=dreaming", "/kind", id="B15-enum"),
        pytest.param("/v1/jobs?cursor=garbage", "/cursor", id="B15-cursor"),
        pytest.param("/v1/jobs?cursor=", "/cursor", id="B15-empty-cursor"),
        pytest.param("/v1/datasets?cursor=WzEsMl0", "/cursor", id="B15-unsigned-cursor"),
        pytest.param(f"/v1/jobs?cursor={'x' * 500}", "/cursor", id="B15-long-cursor"),
        pytest.param("/v1/datasets/{dataset}/frames?cursor=-1", "/cursor", id="B15-frames"),
        pytest.param("/v1/datasets/{dataset}/frames/nowhere/f0/image", "/split", id="B15-path-enum"),
        pytest.param("/v1/datasets/{dataset}/archive?format=voc", "/format", id="B15-format"),
    ],
)
def test_parameters_that_make_no_sense(target: Target, path: str, pointer: str) -> None:
    problem = assert_refused(target.client.get(path.format(dataset=target.dataset)), 422, "validation-error")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        pytest.param({"dataset_id": 3}, "/dataset_id", id="B15-id-of-another-type"),
        pytest.param({"seed": -1}, "/seed", id="B15-seed"),
        pytest.param({"seed": 10**60}, "/seed", id="B15-huge-seed"),
        pytest.param({"preview": 65}, "/preview", id="B15-preview"),
        pytest.param({"jpeg_quality": 101}, "/jpeg_quality", id="B15-quality"),
        pytest.param({"strength": 1.01}, "/strength", id="B15-strength"),
        pytest.param({"extra": 1}, "/extra", id="B15-unknown-field"),
    ],
)
def test_bodies_that_make_no_sense(target: Target, changes: dict[str, Any], pointer: str) -> None:
    answer = target.client.post("/v1/translations", json=wish_of(target, **changes))
    problem = assert_refused(answer, 422, "validation-error")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", ["x" * 300, "%27%20OR%201=1--", "%F0%9F%8C%99", HUGE])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v1/datasets/{id}", id="B15-dataset-id"),
        pytest.param("/v1/jobs/{id}", id="B15-job-id"),
        pytest.param("/v1/jobs/{id}/events", id="B15-events"),
        pytest.param("/v1/uploads/{id}", id="B15-upload-id"),
    ],
)
def test_ids_that_nothing_has(target: Target, path: str, name: str) -> None:
    problem = assert_refused(target.client.get(path.format(id=name)), 404, "not-found")
    assert len(problem["detail"]) < 400


@pytest.mark.parametrize(
    "state", [pytest.param("pending", id="B110-pending"), pytest.param("rejected", id="B110")]
)
def test_a_job_on_a_dataset_that_is_not_ready(fresh: Target, state: str) -> None:
    # The dataset that the translation makes is pending; once that is cancelled it is rejected.
    dataset = str(fresh.here.desk.jobs.job(fresh.job).result_id)
    if state == "rejected":
        fresh.client.post(f"/v1/jobs/{fresh.job}/cancel")
    before = fresh.rows()
    bodies: dict[str, dict[str, Any]] = {
        "/v1/translations": {"dataset_id": dataset, "generator": "identity"},
        "/v1/quality": {"dataset_id": dataset},
        "/v1/trainings": {
            "architecture": "cyclegan", "day_dataset_id": dataset, "night_dataset_id": dataset,
        },
        "/v1/experiments": {
            "data": {"day": {"dataset_id": dataset}}, "test": {"dataset_id": dataset}, "arms": ["day"],
        },
    }  # fmt: skip
    for path, body in bodies.items():
        assert_refused(fresh.client.post(path, json=body), 409, "dataset-not-ready")
    assert fresh.rows() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "changes", "code"),
    [
        pytest.param(
            "/v1/translations", {"generator": "nightmare"}, "unknown-generator", id="B111-generator"
        ),
        pytest.param("/v1/translations", {"generator": "identity:9"}, "unknown-generator", id="B111-version"),
        pytest.param("/v1/translations", {"ratio": 2}, "invalid-request", id="B111-parameter"),
        pytest.param(
            "/v1/translations", {"select": {"timeofday": ["noon"]}}, "invalid-request", id="B111-select"
        ),
        pytest.param("/v1/trainings", {"direction": "sideways"}, "validation-error", id="B111-direction"),
        pytest.param("/v1/trainings", {"architecture": "cyclgan"}, "invalid-request", id="B111-architecture"),
    ],
)
def test_a_job_of_an_unknown_kind(target: Target, path: str, changes: dict[str, Any], code: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v1/translations": wish_of(target),
        "/v1/trainings": {
            "architecture": "cyclegan", "day_dataset_id": target.dataset, "night_dataset_id": target.dataset,
        },
    }  # fmt: skip
    assert_refused(target.client.post(path, json={**bodies[path], **changes}), 422, code)


@pytest.mark.parametrize("kind", [pytest.param("key", id="B112-key"), pytest.param("quota", id="B112-quota")])
def test_a_hundred_identical_submissions(settings: Settings, serving: Serving, kind: str) -> None:
    client = serving(settings.model_copy(update={"max_active_jobs": 4}))
    here: Services = client.app.state.services  # type: ignore[attr-defined]
    job = stock_services(here.for_caller(Caller("", "local", ALL_SCOPES)))
    wish = {"dataset_id": job.dataset_id, "generator": "identity"}
    headers = {"Idempotency-Key": "once"} if kind == "key" else {}
    answers = [client.post("/v1/translations", json=wish, headers=headers) for _ in range(100)]
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    if kind == "key":
        assert len(made) == 1
        return
    assert len(made) == 3  # one was under way
    refused = answers[-1]
    assert_refused(refused, 429, "too-many-jobs")
    assert int(refused.headers["retry-after"]) > 0
    assert client.get("/v1/limits").json()["active_jobs_used"] == 4
    client.post(f"/v1/jobs/{min(made)}/cancel")
    assert client.post("/v1/translations", json=wish).status_code == 202


@pytest.mark.parametrize(
    "ending", [pytest.param("cancel", id="B113-twice"), pytest.param("end", id="B113-ended")]
)
def test_cancelling_what_has_stopped(fresh: Target, ending: str) -> None:
    if ending == "end":
        made = fresh.here.desk.library.dataset(fresh.dataset).job_id
        assert_refused(fresh.client.post(f"/v1/jobs/{made}/cancel"), 409, "illegal-transition")
        return
    first = fresh.client.post(f"/v1/jobs/{fresh.job}/cancel")
    events = len(fresh.here.desk.jobs.events(fresh.job))
    again = fresh.client.post(f"/v1/jobs/{fresh.job}/cancel")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["state"] == first.json()["state"] == "cancelled"
    assert len(fresh.here.desk.jobs.events(fresh.job)) == events


@pytest.mark.parametrize(
    "use",
    [
        pytest.param("translation", id="B114"),
        pytest.param("reference", id="B114-deep-in-the-wish"),
        pytest.param("ingest", id="B114-still-being-made"),
    ],
)
def test_deleting_a_dataset_that_a_job_uses(fresh: Target, use: str) -> None:
    mine = fresh.here.for_caller(Caller("", fresh.tenant, ALL_SCOPES))
    dataset, job = fresh.dataset, fresh.job
    if use == "reference":
        other = stock_services(mine, upload_id=f"up-more-{fresh.tenant}")
        for each in (fresh.job, other.id):
            fresh.client.post(f"/v1/jobs/{each}/cancel")
        wish = {"dataset_id": other.dataset_id, "reference_id": dataset}
        job = fresh.client.post("/v1/quality", json=wish).json()["id"]
    if use == "ingest":
        made = submit_ingest(mine.desk, IngestWish(upload_id=f"up-{fresh.tenant}"))
        dataset, job = str(made.result_id), made.id
    before = fresh.here.store.keys(f"datasets/{dataset}")
    problem = assert_refused(fresh.client.delete(f"/v1/datasets/{dataset}"), 409, "in-use")
    assert job in problem["detail"]
    assert fresh.here.store.keys(f"datasets/{dataset}") == before
    fresh.client.post(f"/v1/jobs/{job}/cancel")
    assert fresh.client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert fresh.client.get(f"/v1/datasets/{dataset}").status_code == 404


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "which",
    [
        pytest.param("tenant", id="B121-tenant"),
        pytest.param("listing", id="B121-listing"),
        pytest.param("ids", id="B121-ids"),
    ],
)
def test_guessing_ids_and_borrowing_cursors(target: Target, which: str) -> None:
    if which == "ids":
        for guess in (target.their_job, "job-000000000000", "job-1", f"{target.job[:-1]}x"):
            assert_refused(target.client.get(f"/v1/jobs/{guess}"), 404, "not-found")
        return
    headers = bearer(new_key(target.client, target.their_tenant)) if which == "tenant" else {}
    page = target.client.get("/v1/jobs?limit=1", headers=headers).json()
    listing = "/v1/jobs" if which == "tenant" else "/v1/datasets"
    answer = target.client.get(listing, params={"cursor": page["next_cursor"]})
    assert_refused(answer, 400, "foreign-cursor")
    assert target.client.get("/v1/jobs", params={"cursor": page["next_cursor"]}, headers=headers).is_success
