"""Webhooks over HTTP: made, listed, removed, and what became of each delivery."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api import webhooks as api
from service.settings import Settings
from tests.serving import Serving, bearer, new_key

URL = "https://hooks.example.com/in"


@pytest.fixture
def client(serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(api, "allowed_addresses", lambda target: [target.host])  # tests ask no name server
    return serving(Settings(data_dir=tmp_path, webhooks_allowed=True, requests_per_second=0))


def make(client: TestClient, url: str = URL, **more: Any) -> Any:
    return client.post("/v1/webhooks", json={"url": url}, **more)


def end_a_job(client: TestClient) -> str:
    upload = client.put("/v1/uploads", content=b"PK\x05\x06" + bytes(18)).json()["id"]
    job_id = client.post("/v1/datasets", json={"upload_id": upload}).json()["job"]["id"]
    client.post(f"/v1/jobs/{job_id}/cancel")
    return str(job_id)


def test_a_secret_is_shown_once_and_never_again(client: TestClient) -> None:
    made = make(client)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    listed = client.get("/v1/webhooks").json()["items"]
    assert listed == [{key: value for key, value in made.json().items() if key != "secret"}]


def test_each_job_that_ends_has_a_delivery_and_they_come_in_pages(client: TestClient) -> None:
    webhook = make(client).json()["id"]
    ended = [end_a_job(client) for _ in range(3)]
    seen, cursor = [], None
    while True:
        page = client.get(
            f"/v1/webhooks/{webhook}/deliveries", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [each["job_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ended[::-1]
    assert {each["state"] for each in page["items"]} == {"pending"}


def test_a_webhook_that_was_removed_is_gone(client: TestClient) -> None:
    webhook = make(client).json()["id"]
    end_a_job(client)
    assert client.delete(f"/v1/webhooks/{webhook}").status_code == 204
    assert client.get("/v1/webhooks").json()["items"] == []
    for answer in (
        client.delete(f"/v1/webhooks/{webhook}"),
        client.get(f"/v1/webhooks/{webhook}/deliveries"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_another_tenant_sees_none_of_it(client: TestClient) -> None:
    webhook = make(client).json()["id"]
    other = bearer(new_key(client, tenant="other"))
    assert client.get("/v1/webhooks", headers=other).json()["items"] == []
    assert client.get(f"/v1/webhooks/{webhook}/deliveries", headers=other).status_code == 404
    assert client.delete(f"/v1/webhooks/{webhook}", headers=other).status_code == 404
    assert len(client.get("/v1/webhooks").json()["items"]) == 1


def test_the_same_request_sent_twice_makes_one_webhook(client: TestClient) -> None:
    first, second = (make(client, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    assert len(client.get("/v1/webhooks").json()["items"]) == 1


def test_without_the_operator_s_permission_there_are_none(serving: Serving) -> None:
    answer = make(serving())
    assert (answer.status_code, answer.json()["code"]) == (403, "webhooks-off")
