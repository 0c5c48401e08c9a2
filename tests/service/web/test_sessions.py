"""Signing in to the page: what a cookie opens, and what it does not."""

from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from service.access.key_store import KeyStore
from service.access.scopes import Scope
from service.access.sessions import Sessions
from service.settings import Settings
from service.web.router import FORMS
from service.web.sign_in import HOME, _own_path
from tests.serving import Serving, bearer, new_key

API = ("/v1", "/metrics", "/healthz", "/readyz", "/openapi.json")
OWN = {"Origin": "http://testserver"}
ELSEWHERE = [{"Origin": "http://evil.example"}, {"Origin": "null"}, {}]


@pytest.fixture
def client(serving: Serving) -> TestClient:
    """A browser that knows no key."""
    client = serving(follow_redirects=False)
    del client.headers["Authorization"]
    return client


def sign_in(client: TestClient, **options: object) -> str:
    key = new_key(client, **options)  # type: ignore[arg-type]
    answer = client.post("/sign-in", data={"key": key}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, HOME)
    return key


def sessions(client: TestClient) -> Sessions:
    found: Sessions = client.app.state.services.sessions  # type: ignore[attr-defined]
    return found


def test_a_cookie_stands_for_the_key_and_tells_nothing_of_it(client: TestClient) -> None:
    key = sign_in(client)
    cookie = client.cookies[sessions(client).cookie_name]
    assert key.split("_")[2] not in cookie
    assert client.get("/v1/datasets").status_code == 200
    assert client.get("/datasets").status_code == 200


def test_the_cookie_is_kept_from_scripts_and_other_sites(client: TestClient) -> None:
    answer = client.post("/sign-in", data={"key": new_key(client)}, headers=OWN)
    options = answer.headers["set-cookie"].lower()
    assert "httponly" in options
    assert "samesite=lax" in options
    assert "secure" not in options  # there is no TLS here


def test_over_tls_the_cookie_never_travels_without(serving: Serving) -> None:
    client = serving(base_url="https://testserver", follow_redirects=False)
    answer = client.post("/sign-in", data={"key": new_key(client)}, headers={"Origin": "https://testserver"})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_revoked_key_takes_its_cookies_with_it(client: TestClient) -> None:
    key = sign_in(client)
    KeyStore(client.app.state.services.database).revoke(key.split("_")[1])  # type: ignore[attr-defined]
    assert client.get("/v1/datasets").status_code == 401
    assert client.get("/datasets").headers["location"].startswith("/sign-in")


def test_a_cookie_has_no_more_scopes_than_the_key(client: TestClient) -> None:
    sign_in(client, scopes={Scope.JOBS_READ})
    assert client.get("/v1/jobs").status_code == 200
    assert client.get("/v1/datasets").status_code == 403
    assert client.get("/datasets").status_code == 403


@pytest.mark.parametrize("headers", ELSEWHERE, ids=["other", "null", "none"])
def test_what_changes_anything_must_come_from_a_page_of_our_own(
    client: TestClient, headers: dict[str, str]
) -> None:
    sign_in(client)
    wish = {"upload_id": "up-000000000000"}
    refused = client.post("/v1/datasets", json=wish, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross-site-request")
    assert client.post("/v1/datasets", json=wish, headers=OWN).json()["code"] == "not-found"


@pytest.mark.parametrize("headers", ELSEWHERE, ids=["other", "null", "none"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_nobody_is_signed_in_or_out_by_another_site(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    answer = client.post(path, data={"key": new_key(client)}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_page_of_sixty_frames_is_not_too_many_requests(serving: Serving, settings: Settings) -> None:
    limited = settings.model_copy(update={"requests_per_second": 10.0, "request_burst": 40})
    client = serving(limited, follow_redirects=False)
    del client.headers["Authorization"]
    key = sign_in(client)
    for expected, headers in ((200, {}), (429, bearer(key))):
        statuses = [client.get("/v1/datasets", headers=headers).status_code for _ in range(60)]
        assert statuses[-1] == expected


def test_signing_out_takes_the_cookie_back(client: TestClient) -> None:
    sign_in(client)
    client.post("/sign-out", headers=OWN)
    assert client.get("/v1/datasets").status_code == 401


def test_a_wrong_key_is_told_and_counted(client: TestClient) -> None:
    limit = client.app.state.services.settings.failed_keys_per_minute  # type: ignore[attr-defined]
    answers = [client.post("/sign-in", data={"key": "ns_x"}, headers=OWN) for _ in range(limit + 1)]
    assert answers[0].status_code == 401
    assert "malformed" in answers[0].text
    assert answers[-1].status_code == 429


def test_the_link_signs_in_and_a_cookie_is_no_link(client: TestClient) -> None:
    key_id = new_key(client).split("_")[1]
    link, cookie = sessions(client).link(key_id), sessions(client).new(key_id)
    assert client.get(f"/sign-in/{cookie}").status_code == 401
    assert client.get("/datasets").status_code == 303
    assert client.get(f"/sign-in/{link}").headers["location"] == HOME
    assert client.get("/datasets").status_code == 200


@given(st.text())
def test_a_cookie_that_we_did_not_sign_is_nobodys(text: str) -> None:
    assert Sessions("secret").key_id(text) is None
    assert Sessions("secret").key_id(Sessions("other").new("abc")) is None


@given(st.text(alphabet=st.sampled_from("/\\:.@aé\t\nhtp?#%"), max_size=12))
def test_nobody_is_sent_to_another_site_after_signing_in(wanted: str) -> None:
    path = _own_path(wanted)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isprintable()


def page_routes(client: TestClient) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(client.app.routes):  # type: ignore[attr-defined]
        if route.path.startswith((*API, "/static", "/sign-")):
            continue
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, route.path


def test_no_page_shows_anything_to_nobody(client: TestClient) -> None:
    found = list(page_routes(client))
    assert ("GET", "/datasets") in found
    for method, path in found:
        filled = path.replace("{split}", "train").replace("{", "").replace("}", "")
        answer = client.request(method, filled, headers=OWN)
        expected = "/datasets" if path == "/" else "/sign-in"
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith(expected), (method, path)


def test_forms_are_read_where_pages_have_forms(client: TestClient) -> None:
    for _, path in page_routes(client):
        assert path == "/" or any(path == form or path.startswith(f"{form}/") for form in FORMS)


def test_every_page_has_a_policy_that_runs_no_stranger(client: TestClient) -> None:
    sign_in(client)
    for path in ("/datasets", "/sign-in", "/datasets/ds-000000000000"):
        policy = client.get(path).headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy


def test_a_browser_is_told_on_a_page_that_there_is_none(client: TestClient) -> None:
    sign_in(client)
    assert client.get("/nowhere").json()["code"] == "not-found"
    shown = client.get("/nowhere", headers={"Accept": "text/html,*/*;q=0.8"})
    assert shown.status_code == 404
    assert "<h1>Not found</h1>" in shown.text
