"""`nightshift webhooks`: what it asks the server, and what it prints."""

import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.client import webhooks
from service.client.cli import app
from service.client.client import Client

MADE = {"id": "wh-1", "url": "https://hooks.example.com/in", "created_at": "2026-01-01T00:00:00Z"}
DELIVERY = {
    "id": "wh-1-job-1", "job_id": "job-1", "state": "pending", "attempts": 2, "last_answer": "HTTP 500",
    "due_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z", "finished_at": None,
}  # fmt: skip
ANSWERS: dict[tuple[str, str], Any] = {
    ("POST", "/v1/webhooks"): {**MADE, "secret": "whsec_abc"},
    ("GET", "/v1/webhooks"): {"items": [MADE], "next_cursor": None},
    ("GET", "/v1/webhooks/wh-1/deliveries"): {"items": [DELIVERY], "next_cursor": None},
    ("DELETE", "/v1/webhooks/wh-1"): None,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bytes]]:
    requests: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, request.url.path, request.content))
        found = ANSWERS[request.method, request.url.path]
        return httpx.Response(204) if found is None else httpx.Response(200, json=found)

    monkeypatch.setattr(
        webhooks, "Client", lambda _server: Client("http://server", httpx.MockTransport(answer))
    )
    return requests


def run(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["webhooks", *arguments])
    assert done.exit_code == 0, done.output
    return done


def test_the_secret_alone_is_on_stdout_so_that_it_can_be_kept(asked: list[Any]) -> None:
    assert run("add", MADE["url"]).stdout == "whsec_abc\n"
    assert json.loads(asked[0][2]) == {"url": MADE["url"]}


def test_webhooks_and_their_deliveries_are_listed(asked: list[Any]) -> None:
    assert MADE["url"] in run("list").stdout
    assert json.loads(run("list", "--json").stdout)[0]["id"] == "wh-1"
    printed = run("deliveries", "wh-1").stdout
    assert "job-1" in printed
    assert "HTTP 500" in printed


def test_one_is_removed(asked: list[Any]) -> None:
    run("remove", "wh-1")
    assert asked == [("DELETE", "/v1/webhooks/wh-1", b"")]
