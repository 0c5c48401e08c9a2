"""Webhooks into the operator's own network, and names that want to write their own lines into the log."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from service.app import create_app
from service.jobs.tables import webhooks
from service.settings import Settings
from tests.serving import Serving, bearer, new_key


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One for all: nothing is left behind by what is refused."""
    folder = tmp_path_factory.mktemp("webhooks")
    settings = Settings(data_dir=folder, webhooks_allowed=True, requests_per_second=0)
    with TestClient(create_app(settings)) as client:
        client.headers.update(bearer(new_key(client)))
        yield client


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://127.0.0.1/", id="B120-loopback"),
        pytest.param("https://[::1]/", id="B120-loopback-six"),
        pytest.param("https://[::ffff:10.0.0.1]/", id="B120-mapped"),
        pytest.param("https://10.0.0.1:8443/", id="B120-private"),
        pytest.param("https://169.254.169.254/latest/", id="B120-metadata"),
        pytest.param("https://2130706433/", id="B120-decimal"),
        pytest.param("https://0x7f.1/", id="B120-hexadecimal"),
        pytest.param("https://localhost/", id="B120-localhost"),
        pytest.param("https://a@127.0.0.1/", id="B120-userinfo"),
        pytest.param("http://hooks.example.com/", id="B120-plain"),
        pytest.param("file:///etc/passwd", id="B120-file"),
    ],
)
def test_a_webhook_into_the_operator_s_network_is_refused(client: TestClient, url: str) -> None:
    assert_refused(client, url, 422, "webhook-refused")


@pytest.mark.parametrize("url", [pytest.param("https://hooks.example.com/", id="B120-off")])
def test_without_the_operator_s_permission_there_are_no_webhooks(serving: Serving, url: str) -> None:
    assert_refused(serving(), url, 403, "webhooks-off")


def assert_refused(client: TestClient, url: str, status: int, code: str) -> None:
    answer = client.post("/v1/webhooks", json={"url": url})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    database = client.app.state.services.database  # type: ignore[attr-defined]
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(webhooks)) == 0


FORGED = '\n{"event": "forged", "level": "critical"}\n\x1b[31mred\x1b[0m\r'


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(
            lambda c: c.put("/v1/uploads", params={"filename": FORGED}, content=b"x"), id="B122-upload"
        ),
        pytest.param(lambda c: c.get(f"/v1/jobs/{quote(FORGED, safe='')}"), id="B122-path"),
        pytest.param(
            lambda c: c.post("/v1/datasets", json={"upload_id": FORGED, "name": FORGED}), id="B122-dataset"
        ),
        pytest.param(
            lambda c: c.post("/v1/datasets", json={}, headers={"Idempotency-Key": "\x1b[31m"}),
            id="B122-header",
        ),
        pytest.param(
            lambda c: c.get("/v1/jobs", headers={"User-Agent": "\x1b[31m", "X-Request-ID": "forged"}),
            id="B122-agent",
        ),
    ],
)
def test_no_name_writes_a_line_of_its_own_into_the_log(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[TestClient], object]
) -> None:
    """With an error in every route, so that each has something to log."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)

    def fall_over(*_: object) -> None:
        raise RuntimeError(FORGED)

    client = serving(Settings(data_dir=tmp_path, log_level="DEBUG"))
    ask(client)
    monkeypatch.setattr("service.jobs.library.Library.datasets", fall_over)
    assert client.get("/v1/datasets").status_code == 500
    lines = log.getvalue().splitlines()
    assert any(json.loads(line)["event"] == "unforeseen error" for line in lines)
    assert not any(json.loads(line)["event"] == "forged" for line in lines)
    assert "\x1b" not in log.getvalue()
