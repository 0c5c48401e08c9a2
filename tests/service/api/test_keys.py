"""Keys over HTTP: who may make which, and that a key is shown once."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from service.access.scopes import ALL_SCOPES, Scope
from service.app import create_app
from service.jobs.tables import metadata
from service.settings import Settings
from tests.conftest import SilentQueue
from tests.serving import bearer, new_key


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One for all: each test makes keys of its own."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("keys"), requests_per_second=0)
    with TestClient(create_app(settings, SilentQueue()), raise_server_exceptions=False) as client:
        client.headers.update(bearer(new_key(client)))
        yield client


def made(client: TestClient, **wish: Any) -> dict[str, Any]:
    answer = client.post("/v1/keys", json={"scopes": ["jobs:read"], **wish})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


def everything_stored(client: TestClient) -> str:
    database = client.app.state.services.database  # type: ignore[attr-defined]
    with database.reading() as connection:
        return str([connection.execute(select(table)).all() for table in metadata.sorted_tables])


def test_a_new_key_opens_what_its_scopes_say(client: TestClient) -> None:
    headers = bearer(made(client, name="dashboard")["key"])
    assert client.get("/v1/jobs", headers=headers).status_code == 200
    assert client.get("/v1/datasets", headers=headers).status_code == 403
    assert client.get("/v1/keys", headers=headers).status_code == 403


def test_a_key_is_shown_once_and_kept_nowhere(client: TestClient) -> None:
    key = made(client, name="once")
    listed = client.get("/v1/keys")
    assert key["id"] in listed.text
    secret = key["key"].split("_", 2)[2][:43]
    assert secret not in listed.text
    assert secret not in everything_stored(client)


def test_a_repeated_request_makes_one_key_and_shows_it_once(client: TestClient) -> None:
    rotation = f"/v1/keys/{made(client)['id']}/rotate"
    for path, wish in (("/v1/keys", {"scopes": ["jobs:read"]}), (rotation, {})):
        headers = {"Idempotency-Key": "once"}
        first, again = (client.post(path, json=wish, headers=headers) for _ in range(2))
        shown, hidden = (
            answer.json() if path == "/v1/keys" else answer.json()["new"] for answer in (first, again)
        )
        assert (first.status_code, again.status_code) == (201, 201)
        assert {**shown, "key": None} == hidden
        assert shown["key"].split("_", 2)[2][:43] not in everything_stored(client)


def test_nobody_makes_a_key_of_more_power_than_their_own(client: TestClient) -> None:
    few = new_key(client, scopes={Scope.ADMIN, Scope.JOBS_READ})
    for wanted, status in ((["jobs:read"], 201), (["jobs:read", "jobs:write"], 403), ([*ALL_SCOPES], 403)):
        answer = client.post("/v1/keys", json={"scopes": wanted}, headers=bearer(few))
        assert answer.status_code == status, wanted
    strong = made(client, scopes=sorted(ALL_SCOPES))
    rotated = client.post(f"/v1/keys/{strong['id']}/rotate", headers=bearer(few))
    assert (rotated.status_code, rotated.json()["code"]) == (403, "insufficient-scope")


def test_a_rotation_tells_how_long_the_old_key_is_valid(client: TestClient) -> None:
    old = made(client, name="ci")
    answer = client.post(f"/v1/keys/{old['id']}/rotate", json={"grace_seconds": 600}).json()
    assert answer["old"]["id"] == old["id"]
    assert answer["old"]["expires_at"] is not None
    assert (answer["new"]["name"], answer["new"]["scopes"]) == ("ci", ["jobs:read"])
    for key in (old["key"], answer["new"]["key"]):
        assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200
    at_once = client.post(f"/v1/keys/{answer['new']['id']}/rotate", json={"grace_seconds": 0}).json()
    assert client.get("/v1/jobs", headers=bearer(answer["new"]["key"])).status_code == 401
    assert client.get("/v1/jobs", headers=bearer(at_once["new"]["key"])).status_code == 200


def test_a_revoked_key_is_refused_from_the_next_request_on(client: TestClient) -> None:
    key = made(client)
    assert client.get("/v1/jobs", headers=bearer(key["key"])).status_code == 200
    revoked = client.delete(f"/v1/keys/{key['id']}")
    assert revoked.json()["revoked_at"] is not None
    assert client.get("/v1/jobs", headers=bearer(key["key"])).status_code == 401
    assert client.delete(f"/v1/keys/{key['id']}").json() == revoked.json()


@pytest.mark.parametrize(
    "wish",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": ["jobs:read"], "tenant": "other"},
        {"scopes": ["jobs:read"], "expires_in_days": 0},
        {"scopes": ["jobs:read"], "expires_in_days": 1e9},
        {"scopes": ["jobs:read"], "name": "n" * 201},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(client: TestClient, wish: dict[str, Any]) -> None:
    assert client.post("/v1/keys", json=wish).status_code == 422


def test_a_key_may_end_by_itself(client: TestClient) -> None:
    assert made(client)["expires_at"] is None
    assert made(client, expires_in_days=1.5)["expires_at"] is not None


def test_limits_and_use_are_told(client: TestClient) -> None:
    before = client.get("/v1/limits").json()
    client.put("/v1/uploads", content=b"PK\x05\x06" + bytes(18))
    after = client.get("/v1/limits").json()
    assert after["stored_bytes_used"] == before["stored_bytes_used"] + 22
    assert after["stored_bytes"] == 200 * 2**30
    other = client.get("/v1/limits", headers=bearer(new_key(client, "other"))).json()
    assert other["stored_bytes_used"] == 0


def test_a_shared_generator_is_for_all_tenants_and_any_other_for_its_own(client: TestClient) -> None:
    library = client.app.state.services.desk.library  # type: ignore[attr-defined]
    wish = {"architecture": "cyclegan", "direction": "day2night"}
    upload = client.put("/v1/uploads", content=b"weights").json()["id"]
    for name, shared in (("ours", False), ("everyones", True)):
        body = {**wish, "upload_id": upload, "name": name, "shared": shared}
        assert client.post("/v1/generators", json=body).status_code == 202
        from service.catalogue import GeneratorCard

        card = GeneratorCard(
            name=name, version=1, title="", direction="day2night", architecture="cyclegan", paper="",
            training_data="", licence="", is_bundled=False,
        )  # fmt: skip
        library.add_generator(card)  # as the worker does
    seen = client.get("/v1/generators").text
    assert "ours:1" in seen
    assert "everyones:1" in seen
    theirs = client.get("/v1/generators", headers=bearer(new_key(client, "other"))).text
    assert "everyones:1" in theirs
    assert "ours:1" not in theirs
