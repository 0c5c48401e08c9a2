"""The keys of a tenant on the page: made and shown once, rotated, revoked, by those who may."""

import re

import pytest
from fastapi.testclient import TestClient

from service.access.scopes import Scope
from service.web.keys import MEANINGS
from tests.serving import Serving, new_key

OWN = {"Origin": "http://testserver"}
PART = {**OWN, "HX-Request": "true"}
KEY = re.compile(r'key-text">(ns_[^<]+)<')


def signed_in(client: TestClient, key: str) -> TestClient:
    client.headers.pop("Authorization", None)
    client.post("/sign-in", data={"key": key}, headers=OWN)
    return client


@pytest.fixture
def client(serving: Serving) -> TestClient:
    client = serving()
    return signed_in(client, new_key(client))


def made(client: TestClient) -> str:
    form = {"name": "camera <b>", "scopes": ["datasets:read", "jobs:read"], "days": "30"}
    answer = client.post("/keys", data=form, headers=PART)
    assert answer.headers["cache-control"] == "no-store"
    (key,) = KEY.findall(answer.text)
    return str(key)


def works(client: TestClient, key: str) -> bool:
    return client.get("/v1/datasets", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def key_id(client: TestClient) -> str:
    page = client.get("/keys").text
    return re.findall(r'action="/keys/([^/]+)/rotate"', page)[0]


def test_a_new_key_works_and_is_shown_once(client: TestClient) -> None:
    key = made(client)
    assert works(client, key)
    page = client.get("/keys").text
    assert key not in page
    assert "camera &lt;b&gt;" in page


def test_a_revoked_key_opens_nothing(client: TestClient) -> None:
    key = made(client)
    answer = client.post(f"/keys/{key_id(client)}/revoke", headers=PART)
    assert "revoked" in answer.text
    assert not works(client, key)


def test_a_rotated_key_works_beside_the_new_one(client: TestClient) -> None:
    key = made(client)
    answer = client.post(f"/keys/{key_id(client)}/rotate", headers=PART)
    (new,) = KEY.findall(answer.text)
    assert new != key
    assert works(client, key)
    assert works(client, new)


def test_nobody_takes_away_the_key_that_they_are_signed_in_with(client: TestClient) -> None:
    page = client.get("/keys").text
    assert "you are signed in with it" in page


def test_a_key_without_a_scope_is_refused(client: TestClient) -> None:
    assert client.post("/keys", data={"name": "nothing"}, headers=PART).status_code == 422


def test_every_scope_is_told_in_words() -> None:
    assert set(MEANINGS) == set(Scope)


def test_who_may_not_hand_out_keys_sees_neither_page_nor_link(serving: Serving) -> None:
    client = serving()
    reader = signed_in(client, new_key(client, scopes=[Scope.DATASETS_READ]))
    assert reader.get("/keys").status_code == 403
    assert 'href="/keys"' not in reader.get("/datasets").text
