"""Uploads as tus clients and curl see them."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from service.access.scopes import Scope
from service.storage import keys
from tests.serving import Serving, bearer, new_key

DATA = bytes(range(256)) * 4
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def client(serving: Serving) -> TestClient:
    return serving()


def metadata(**values: str) -> dict[str, str]:
    pairs = [f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items()]
    return {"Upload-Metadata": ",".join(pairs)}


def begin(client: TestClient, size_bytes: int = len(DATA), **headers: str) -> str:
    response = client.post("/v1/uploads", headers={**TUS, "Upload-Length": str(size_bytes), **headers})
    assert response.status_code == 201, response.text
    return str(response.headers["location"])


def add(client: TestClient, path: str, start: int, data: bytes, **headers: str) -> Response:
    return client.patch(path, content=data, headers={**PIECE, "Upload-Offset": str(start), **headers})


def head(client: TestClient, path: str) -> Response:
    return client.head(path, headers=TUS)


def assert_problem(response: Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["tus-resumable"] == "1.0.0"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    return body


def test_a_client_learns_what_is_spoken(client: TestClient) -> None:
    response = client.options("/v1/uploads")
    assert response.status_code == 204
    assert response.headers["tus-version"] == "1.0.0"
    assert set(response.headers["tus-extension"].split(",")) == {
        "creation", "creation-with-upload", "checksum", "termination", "expiration",
    }  # fmt: skip
    assert response.headers["tus-checksum-algorithm"] == "sha1,sha256,md5,crc32"
    assert int(response.headers["tus-max-size"]) == 200 * 2**30


def test_an_upload_comes_in_pieces(client: TestClient) -> None:
    described = metadata(filename="my day.zip", filetype="application/zip")
    path = begin(client, **described)
    seen = head(client, path)
    assert (seen.status_code, seen.content) == (200, b"")
    assert (seen.headers["upload-offset"], seen.headers["upload-length"]) == ("0", "1024")
    assert seen.headers["upload-metadata"] == described["Upload-Metadata"]
    assert seen.headers["cache-control"] == "no-store"
    until = parsedate_to_datetime(seen.headers["upload-expires"])
    assert timedelta(hours=23) < until - datetime.now(UTC) < timedelta(hours=25)
    first = add(client, path, 0, DATA[:1000])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    view = client.get(path).json()
    assert (view["state"], view["offset_bytes"], view["sha256"]) == ("receiving", 1000, None)
    last = add(client, path, 1000, DATA[1000:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, "1024")
    assert "upload-expires" not in last.headers
    view = client.get(path).json()
    assert (view["state"], view["filename"]) == ("complete", "my day.zip")
    assert view["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert head(client, path).headers["upload-offset"] == "1024"
    made = client.post("/v1/datasets", json={"upload_id": view["id"]})
    assert made.json()["dataset"]["name"] == "my day"


def test_the_first_piece_may_come_with_the_beginning(client: TestClient) -> None:
    headers = {**PIECE, "Upload-Length": str(len(DATA))}
    response = client.post("/v1/uploads", headers=headers, content=DATA[:100])
    assert (response.status_code, response.headers["upload-offset"]) == (201, "100")
    whole = client.post("/v1/uploads", headers=headers, content=DATA)
    assert (whole.status_code, whole.headers["upload-offset"]) == (201, "1024")
    assert client.get(whole.headers["location"]).json()["state"] == "complete"


def test_an_upload_without_bytes_is_complete_at_once(client: TestClient) -> None:
    view = client.get(begin(client, 0)).json()
    assert (view["state"], view["size_bytes"], view["filename"]) == ("complete", 0, "upload.zip")


def test_an_upload_is_given_up(client: TestClient) -> None:
    path = begin(client)
    add(client, path, 0, DATA[:10])
    assert client.delete(path, headers=TUS).status_code == 204
    assert head(client, path).status_code == 410
    assert_problem(client.get(path), 410, "upload-gone")
    assert_problem(client.delete(path, headers=TUS), 410, "upload-gone")


def test_a_complete_upload_is_removed_unless_a_job_works_on_it(client: TestClient) -> None:
    path = client.post("/v1/uploads", headers={**PIECE, "Upload-Length": "3"}, content=b"abc").headers[
        "location"
    ]
    job = client.post("/v1/datasets", json={"upload_id": path.rpartition("/")[2]}).json()["job"]
    assert_problem(client.delete(path), 409, "in-use")
    client.post(f"/v1/jobs/{job['id']}/cancel")
    assert client.delete(path).status_code == 204
    assert_problem(client.get(path), 410, "upload-gone")
    store = client.app.state.services.store  # type: ignore[attr-defined]
    assert not store.exists(keys.upload(path.rpartition("/")[2]))


def test_a_plain_upload_is_there_for_tus_clients_too(client: TestClient) -> None:
    view = client.put("/v1/uploads", content=DATA).json()
    seen = head(client, f"/v1/uploads/{view['id']}")
    assert (seen.headers["upload-offset"], seen.headers["upload-length"]) == ("1024", "1024")
    assert (view["state"], view["offset_bytes"]) == ("complete", 1024)


def test_another_version_of_tus_is_refused(client: TestClient) -> None:
    path = begin(client)
    for version in ({}, {"Tus-Resumable": "0.2.2"}):
        headers = {"Upload-Length": "10", "Upload-Offset": "0", **version}
        for response in (
            client.post("/v1/uploads", headers=headers),
            client.patch(path, headers={**headers, "Content-Type": PIECE["Content-Type"]}, content=b"x"),
        ):
            assert_problem(response, 412, "unsupported-tus-version")
            assert response.headers["tus-version"] == "1.0.0"
    assert head(client, path).headers["upload-offset"] == "0"


def test_a_body_that_does_not_say_it_is_a_piece_is_refused(client: TestClient) -> None:
    path = begin(client)
    for kind in ("application/octet-stream", "application/json", ""):
        response = add(client, path, 0, DATA, **{"Content-Type": kind})
        assert_problem(response, 415, "unsupported-media-type")
    headers = {**TUS, "Upload-Length": "10", "Content-Type": "application/json"}
    assert_problem(client.post("/v1/uploads", headers=headers, content=b"{}"), 415, "unsupported-media-type")


def test_methods_may_be_overridden(client: TestClient) -> None:
    path = begin(client)
    headers = {**PIECE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert client.post(path, headers=headers, content=DATA[:5]).headers["upload-offset"] == "5"
    assert client.post(path, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert client.post(path, headers={**TUS, "X-HTTP-Method-Override": "PUT"}).status_code == 405


def test_a_beginning_that_is_asked_for_twice_is_one(client: TestClient) -> None:
    again = {"Idempotency-Key": "mine"}
    first = begin(client, **again)
    add(client, first, 0, DATA[:10])
    headers = {**TUS, **again, "Upload-Length": str(len(DATA))}
    response = client.post("/v1/uploads", headers=headers)
    assert (response.headers["location"], response.headers["upload-offset"]) == (first, "10")
    assert response.headers["idempotent-replay"] == "true"
    other = client.post("/v1/uploads", headers={**headers, "Upload-Length": "7"})
    assert_problem(other, 422, "idempotency-mismatch")


def test_a_key_that_only_reads_sends_nothing(client: TestClient) -> None:
    path = begin(client)
    only_reads = bearer(new_key(client, scopes={Scope.DATASETS_READ}))
    assert client.get(path, headers=only_reads).status_code == 200
    response = add(client, path, 0, DATA, **only_reads)
    assert_problem(response, 403, "insufficient-scope")
    assert head(client, path).headers["upload-offset"] == "0"


def test_a_body_for_which_others_left_no_room_meanwhile_is_not_kept(
    serving: Serving, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serving(settings.model_copy(update={"max_stored_bytes": 1000}))
    monkeypatch.setattr("service.api.uploads.check_upload_quota", lambda *_: None)  # as it was at first
    begin(client, 600)
    assert_problem(client.put("/v1/uploads", content=bytes(401)), 413, "upload-too-large")
    refused = client.post("/v1/uploads", headers={**TUS, "Upload-Length": "401"})
    assert_problem(refused, 413, "upload-too-large")
    assert client.app.state.services.store.keys("uploads") == []  # type: ignore[attr-defined]


def test_what_a_tenant_has_announced_counts_against_its_quota(serving: Serving, settings: Any) -> None:
    client = serving(settings.model_copy(update={"max_stored_bytes": 1000, "max_upload_bytes": 900}))
    path = begin(client, 600)
    refused = client.post("/v1/uploads", headers={**TUS, "Upload-Length": "401"})
    assert_problem(refused, 413, "upload-too-large")
    assert_problem(client.put("/v1/uploads", content=bytes(401)), 413, "upload-too-large")
    client.delete(path)
    begin(client, 900)
    other = bearer(new_key(client, "other"))
    assert client.put("/v1/uploads", content=bytes(500), headers=other).status_code == 201
