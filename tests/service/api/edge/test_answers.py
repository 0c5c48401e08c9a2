"""What every answer carries, whatever it says; and answers while something that is needed is away."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy.exc import OperationalError
from starlette.requests import ClientDisconnect

from service.api.downloads import attachment
from service.errors import Unavailable
from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from service.jobs.queue import CeleryQueue, ring
from service.settings import Settings
from service.storage.object_store import ObjectStore
from tests.serving import Serving

REQUEST_ID = re.compile(r"^req-[0-9a-f]{16}$")
SAFE = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def errors_logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in logged if line["level"] == "error"]


def test_every_answer_is_named_and_safe_to_show(serving: Serving) -> None:
    client = serving()
    for method, path, status in (
        ("GET", "/healthz", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/v1/jobs", 200),
        ("GET", "/v1/jobs/job-none", 404),
        ("DELETE", "/v1/jobs", 405),
        ("GET", "/v1/jobs/%00", 400),
        ("GET", "/v1/jobs?limit=0", 422),
        ("GET", "/nothing", 404),
    ):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert REQUEST_ID.match(answer.headers["x-request-id"])
        if status >= 400:
            problem = answer.json()
            assert problem["request_id"] == answer.headers["x-request-id"]
            assert problem["instance"].endswith(problem["request_id"])
        assert SAFE.items() <= dict(answer.headers).items()
        assert not {"strict-transport-security", "access-control-allow-origin"} & set(answer.headers)


def test_only_over_tls_a_browser_is_told_to_stay_there(serving: Serving) -> None:
    answer = serving(base_url="https://testserver").get("/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_every_request_has_a_name_of_its_own_whatever_the_client_calls_it(serving: Serving) -> None:
    client = serving()
    named = [
        client.get("/healthz", headers={"X-Request-ID": "mine"}).headers["x-request-id"] for _ in range(2)
    ]
    assert len({"mine", *named}) == 3


def test_an_error_nobody_foresaw_is_told_to_the_log_alone(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = serving()

    def explode(*_: object) -> None:
        raise RuntimeError("secret inner thing")

    library = client.app.state.services.desk.library  # type: ignore[attr-defined]
    monkeypatch.setattr(type(library), "datasets", explode)
    answer = client.get("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    [logged] = errors_logged(capsys)
    assert logged["request_id"] == answer.json()["request_id"]
    assert "secret inner thing" in logged["exception"]


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (OperationalError("SELECT 1", {}, Exception("connection refused")), 503, "unavailable"),
        (ConnectionRefusedError("no store"), 503, "unavailable"),
        (TimeoutError(), 503, "unavailable"),
        (OSError(28, "No space left on device"), 507, "insufficient-storage"),
        (Unavailable("broker"), 503, "unavailable"),
    ],
)
def test_what_is_away_is_no_error_of_ours(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, code: str
) -> None:
    client = serving()

    def fail(*_: object) -> None:
        raise failure

    library = client.app.state.services.desk.library  # type: ignore[attr-defined]
    monkeypatch.setattr(type(library), "datasets", fail)
    answer = client.get("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers.get("retry-after") == ("5" if status == 503 else None)
    assert "connection refused" not in answer.text


def test_a_database_that_is_away_when_the_key_is_looked_up(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serving()

    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr("service.access.key_store.KeyStore.caller", fail)
    answer = client.get("/v1/jobs")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_client_that_went_away_is_no_error(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = serving()

    def fail(*_: object) -> None:
        raise ClientDisconnect

    library = client.app.state.services.desk.library  # type: ignore[attr-defined]
    monkeypatch.setattr(type(library), "datasets", fail)
    client.get("/v1/datasets")
    assert errors_logged(capsys) == []


class MuteQueue:
    """A broker that is away."""

    def send(self, _name: str, _hints: Any) -> None:
        raise Unavailable("broker")

    def unread(self, _name: str) -> int:
        raise Unavailable("broker")


def test_what_is_written_is_accepted_although_the_doorbell_is_broken(
    serving: Serving, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serving()
    upload_id = client.put("/v1/uploads", content=b"PK\x05\x06" + bytes(18)).json()["id"]
    services = client.app.state.services  # type: ignore[attr-defined]
    for name in ("send", "unread"):
        monkeypatch.setattr(queue, name, getattr(MuteQueue(), name))
    answer = client.post("/v1/datasets", json={"upload_id": upload_id})
    assert answer.status_code == 202
    monkeypatch.undo()
    job_id = answer.json()["job"]["id"]
    assert queue.hints == []
    ring(queue, services.desk.leases)  # as the reconciler does in its next round
    assert queue.hints == [(job_id, 0)]


@pytest.mark.parametrize("failure", [BrokerAway("refused"), ConnectionRefusedError(), OSError(5, "I/O")])
def test_a_broker_that_fails_is_said_to_be_away(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    queue = CeleryQueue(settings)

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("kombu.connection.Connection.default_channel", property(fail))
    with pytest.raises(Unavailable, match="broker"):
        ring(queue, LeaseStore(database, 30.0, 3))


@pytest.mark.slow
def test_a_broker_that_accepts_and_never_answers_is_away(tmp_path: Path, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        queue = CeleryQueue(Settings(data_dir=tmp_path, broker_url=url))
        with pytest.raises(Unavailable, match="broker"):
            ring(queue, LeaseStore(database, 30.0, 3))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("day.zip", "day.zip"),
        ("день.zip", "-.zip"),
        ('a"; filename="b.exe', "a-filename-b.exe"),
        ("a\r\nSet-Cookie: x=1", "a-Set-Cookie-x-1"),
    ],
)
def test_a_file_s_name_cannot_leave_its_header(name: str, plain: str) -> None:
    value = attachment(name)["Content-Disposition"]
    assert value.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert value.isascii()
    assert value.isprintable()


def test_an_image_may_be_kept_by_the_one_who_asked(serving: Serving, store: ObjectStore) -> None:
    from benchmarks.api_server import stock_services

    client = serving()
    job = stock_services(client.app.state.services)  # type: ignore[attr-defined]
    answer = client.get(f"/v1/datasets/{job.dataset_id}/frames/train/f1/image")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "sandbox" in answer.headers["content-security-policy"]
    card = client.get(f"/v1/datasets/{job.dataset_id}/files/card.json")
    assert (card.content, card.headers["content-length"]) == (b"{}", "2")


def test_the_document_names_the_problems_an_operation_may_answer_with(serving: Serving) -> None:
    document = serving().get("/openapi.json").json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            problems = {
                status: answer for status, answer in operation["responses"].items() if status >= "400"
            }
            assert {"400", "414", "421", "431"} <= set(problems), path
            if path.startswith("/v1/"):
                assert {"401", "403", "429", "503"} <= set(problems), path
            if method == "post":
                assert {"409", "413", "415", "422"} <= set(problems), path
            for status, answer in problems.items():
                if (path, status) != ("/readyz", "503"):
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)
    assert "HTTPValidationError" not in json.dumps(document)
