"""The commands find their key by themselves, and say what to do when there is none."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.access.key_store import KeyStore
from service.access.scopes import TENANT_SCOPES, Scope
from service.client.cli import app
from service.client.client import ApiError, Client, KeyRefused
from service.client.credentials import NoKey, find_key, keys_file, needed_key, remember_key
from service.errors import NightshiftError
from service.jobs.database import Database
from service.settings import Settings

URL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NIGHTSHIFT_KEY", "")


def test_a_key_is_remembered_for_its_server_alone() -> None:
    remember_key(URL, "first")
    remember_key("https://night.example.org", "second")
    remember_key(URL, "third")
    assert find_key("http://localhost:8000/") == "third"
    assert find_key("https://night.example.org:443") == "second"
    assert find_key("http://127.0.0.1:8001") is None
    assert find_key("https://127.0.0.1:8000") is None


def test_the_file_is_for_its_owner_alone() -> None:
    remember_key(URL, "key")
    assert stat.S_IMODE(keys_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(keys_file().parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_a_broken_file_is_as_good_as_none(content: str) -> None:
    keys_file().parent.mkdir(parents=True)
    keys_file().write_text(content)
    with pytest.raises(NoKey, match="nightshift up"):
        needed_key(URL)
    remember_key(URL, "key")
    assert needed_key(URL) == "key"


def test_what_the_environment_says_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    remember_key(URL, "remembered")
    monkeypatch.setenv("NIGHTSHIFT_KEY", "said")
    assert find_key(URL) == "said"
    assert sent_with(Client(URL, transport())) == "Bearer said"
    assert sent_with(Client(URL, transport(), "given")) == "Bearer given"


def transport(answer: httpx.Response | None = None) -> httpx.MockTransport:
    def carry(request: httpx.Request) -> httpx.Response:
        if answer is not None:
            return answer
        return httpx.Response(400, json={"code": "echo", "detail": request.headers.get("authorization", "")})

    return httpx.MockTransport(carry)


def sent_with(client: Client) -> str:
    with client, pytest.raises(ApiError) as error:
        client.job("x")
    return str(error.value)


def test_without_a_key_or_with_a_refused_one_the_cure_is_said() -> None:
    refused = httpx.Response(401, json={"code": "unauthorized", "detail": "no"})
    with Client(URL, transport(refused)) as client, pytest.raises(NoKey, match="NIGHTSHIFT_KEY"):
        client.job("x")
    with Client(URL, transport(refused), "old") as client, pytest.raises(KeyRefused, match="refuses"):
        client.job("x")


def test_a_request_that_comes_too_soon_is_sent_again_later() -> None:
    problem = {"code": "too-many-requests", "detail": ""}
    soon = httpx.Response(429, headers={"Retry-After": "0"}, json=problem)
    answers = iter([soon, httpx.Response(200, json={"items": [], "next_cursor": None})])
    with Client(URL, httpx.MockTransport(lambda _: next(answers)), "key") as client:
        assert list(client.jobs()) == []


def test_a_full_queue_is_not_waited_for() -> None:
    full = httpx.Response(429, headers={"Retry-After": "0"}, json={"code": "too-many-jobs", "detail": "full"})
    answers = iter([full])
    with (
        Client(URL, httpx.MockTransport(lambda _: next(answers)), "key") as client,
        pytest.raises(NightshiftError, match="full"),
    ):
        client.translate("ds-1", "identity")


def test_the_key_is_printed_for_curl() -> None:
    remember_key(URL, "ns_key")
    done = CliRunner().invoke(app, ["key"])
    assert (done.exit_code, done.stdout) == (0, "ns_key\n")
    done = CliRunner().invoke(app, ["--key", "other", "key"])
    assert done.stdout == "other\n"


def test_the_first_key_of_a_tenant_is_made_on_the_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_DATA_DIR", str(settings.data_dir))

    def make(*words: str) -> Any:
        return CliRunner().invoke(app, ["keys", "create", *words])

    done = make("--tenant", "acme", "--direct", "--scope", "admin", "--scope", "jobs:read")
    assert done.exit_code == 0, done.exception
    whole = json.loads(make("--tenant", "acme", "--direct", "--json", "--expires-in-days", "2").stdout)
    database = Database.of(settings)
    store = KeyStore(database)
    caller = store.caller(done.stdout.strip())
    assert (caller.tenant, caller.scopes) == ("acme", {Scope.ADMIN, Scope.JOBS_READ})
    assert store.caller(whole["key"]).scopes == TENANT_SCOPES
    assert whole["expires_at"] is not None
    operators = make("--tenant", "acme", "--direct", "--scope", "admin", "--scope", "operator")
    assert store.caller(operators.stdout.strip()).scopes == {Scope.ADMIN, Scope.OPERATOR}
    database.close()
    for words in (["--direct"], ["--tenant", "acme"], ["--direct", "--tenant", "A B"]):
        assert isinstance(make(*words).exception, NightshiftError), words
