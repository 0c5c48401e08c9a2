"""Logs: a line of JSON for each event, whatever is in it, and never a secret (S7)."""

import io
import json
import logging
import re
import sys
import urllib.parse
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from service.access.keys import mint
from service.jobs.database import Database
from service.jobs.store import JobStore
from service.jobs.tables import metadata
from service.logs import log_uncaught, set_up_logs
from service.redaction import HIDDEN, Redaction
from service.settings import Settings
from service.storage.object_store import open_store
from service.webhooks.signing import new_secret
from tests.serving import Serving
from workers import child
from workers.context import Bench, ShardTask

S3_SECRET = "wJalrXUtnFEMIcanary/bPxRfiCYcanaryKEY"  # noqa: S105 - nobody's
DATABASE_PASSWORD = "p4ss-canary%2Fword"  # noqa: S105
BROKER_PASSWORD = "red1s-canary"  # noqa: S105
SIGNED = (
    "https://store.example/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDcanary%2F20260101%2Fx"
    "&X-Amz-Signature=feedc0ffee00canary"
)
CANARIES = [S3_SECRET, DATABASE_PASSWORD, urllib.parse.unquote(DATABASE_PASSWORD), BROKER_PASSWORD]


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """What `set_up_logs` changes for a whole process is changed back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, s3_secret=S3_SECRET, requests_per_second=0)


@pytest.fixture
def secretive() -> Settings:
    return Settings(
        s3_secret=S3_SECRET,
        database_url=f"postgresql+psycopg://nightshift:{DATABASE_PASSWORD}@postgres/nightshift",
        broker_url=f"redis://:{BROKER_PASSWORD}@redis:6379/0",
    )


def written(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    # a server that a test has run in this process may have silenced it
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "level", logging.NOTSET)
    logging.getLogger("uvicorn.error").manager._clear_cache()
    set_up_logs(settings)
    return stream


def assert_hidden(text: str, *secrets: str) -> None:
    for secret in (*CANARIES, *secrets):
        assert secret not in text
    assert "canary" not in text


KEY = str(mint())
HOOK = new_secret()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"GET /v1/jobs with {KEY}", KEY),
        (f"authorization: Bearer {KEY}", KEY.split("_")[2]),
        ("{'Authorization': 'Bearer abcdefgh.ijkl'}", "abcdefgh.ijkl"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
        (f"{{'secret': '{HOOK}'}}", HOOK.removeprefix("whsec_")),
        ("postgresql+psycopg://night:s3cr3t@db:5432/n", "s3cr3t"),
        ("redis://:s3cr3t@redis:6379/0", "s3cr3t"),
        ("could not connect to https://u:p%40ss@host/path", "p%40ss"),
        (SIGNED, "feedc0ffee00canary"),
        (SIGNED, "AKIDcanary"),
        ("https://b/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=abc%3D&Expires=1", "abc%3D"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=AKID/x, Signature=0123abcd", "0123abcd"),
        ("host=db user=night password=s3cr3t dbname=n", "s3cr3t"),
        ('{"password": "s3cr3t"}', "s3cr3t"),
        ('{\\"aws_secret_access_key\\": \\"s3cr3t\\"}', "s3cr3t"),
        ("aws_session_token = s3cr3t", "s3cr3t"),
        ("https://h/x?a=1&token=s3cr3t&b=2", "s3cr3t"),
    ],
    ids=count(1),  # no key in a name: it is another one in each process
)
def test_what_looks_like_a_secret_is_hidden(text: str, secret: str) -> None:
    hidden = Redaction()(text)
    assert secret not in hidden
    assert HIDDEN in hidden
    assert Redaction()(hidden).count(HIDDEN) == hidden.count(HIDDEN), "twice is as good as once"


@pytest.mark.parametrize(
    "text",
    [
        "lease expired", "job job-0123456789ab shard 4", "https://hooks.example.com:8443/in?a=b", "s3://bucket/key",
        "2026-11-21T20:03:55+00:00", "sha256 " + "0" * 64, "monkey=1", "tokens: 12", "a@b.example",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction()(text) == text


@hypothesis.settings(max_examples=40)
@given(
    st.text(min_size=6, max_size=60).filter(lambda text: text.strip() == text),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_a_secret_of_the_settings_is_hidden_wherever_it_stands(secret: str, before: str, after: str) -> None:
    hide = Redaction([secret])
    assert hide(f"{before}{secret}{after}").count(HIDDEN) >= 1
    line = json.dumps({"event": f"{before}{secret}{after}"})
    assert json.dumps(secret)[1:-1] not in hide(line)


def test_the_settings_do_not_print_their_secrets(secretive: Settings) -> None:
    assert_hidden(repr(secretive))
    assert_hidden(str(secretive))


def test_a_setting_that_cannot_be_read_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_LEASE_SECONDS", "canary")
    with pytest.raises(ValueError, match="lease_seconds") as refusal:
        Settings()
    assert_hidden(str(refusal.value))


def test_whatever_is_logged_by_whomever_holds_no_secret(
    secretive: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = written(monkeypatch, secretive)
    log = structlog.get_logger("ours")
    log.warning(
        "tried", url=secretive.database_url, nested={"all": [secretive.broker_url, S3_SECRET]}, text=SIGNED
    )
    logging.getLogger("theirs").error("cannot reach %s with %s", secretive.broker_url, S3_SECRET)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application: %s", SIGNED)
    try:
        raise RuntimeError(f"connection to {secretive.database_url} failed")
    except RuntimeError as error:
        log.error("failed", exc_info=error)
        log_uncaught(type(error), error, error.__traceback__)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert all(json.loads(line)["timestamp"] for line in lines)
    assert "RuntimeError" in stream.getvalue()
    assert_hidden(stream.getvalue())


HOSTILE = '\n{"event": "forged", "level": "info"}\r\n\x1b[31mred\x1b[0m \x00 \u2028 \ud800 "'


def test_a_name_cannot_write_a_line_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch, settings)
    structlog.get_logger("ours").info("read", name=HOSTILE)
    logging.getLogger("theirs").info("read %s", HOSTILE)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3, "two lines, each with its end"
    assert json.loads(lines[0])["name"] == HOSTILE
    assert json.loads(lines[1])["event"] == f"read {HOSTILE}"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", stream.getvalue())


def everything_in(database: Database) -> str:
    with database.reading() as connection:
        return repr(
            [row for table in metadata.sorted_tables for row in connection.execute(select(table)).all()]
        )


def test_no_secret_of_a_request_is_left_anywhere(
    serving: Serving, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    client = serving()
    key = client.headers["Authorization"].removeprefix("Bearer ")
    wrong = str(mint())

    def fall_over(*_: Any) -> None:
        raise RuntimeError(f"store answered 403 to {SIGNED} with {S3_SECRET} for {key}")

    answers = [
        client.put("/v1/uploads", content=b"PK\x05\x06" + bytes(18)),
        client.get("/v1/jobs", headers={"Authorization": f"Bearer {wrong}"}),
        client.get("/v1/jobs", headers={"Authorization": f"Basic {key}"}),
        client.get("/v1/jobs", params={"cursor": key}),
        client.get(f"/v1/jobs/{key}"),
        client.post("/v1/datasets", json={"upload_id": "x", "key": key}),
        client.post(
            "/v1/translations", content=b"{" + key.encode(), headers={"content-type": "application/json"}
        ),
    ]
    upload = answers[0].json()["id"]
    answers.append(
        client.post("/v1/datasets", json={"upload_id": upload}, headers={"Idempotency-Key": "one"})
    )
    monkeypatch.setattr(JobStore, "jobs", fall_over)
    answers.append(client.get("/v1/jobs"))
    assert answers[-1].status_code == 500
    assert "unforeseen error" in stream.getvalue()
    told = stream.getvalue() + everything_in(client.app.state.services.database)  # type: ignore[attr-defined]
    assert_hidden(told, key, wrong, key.split("_", 2)[2], wrong.split("_", 2)[2])
    for answer in answers:
        if answer.request.url.path != f"/v1/jobs/{key}":  # whoever sends a key as an id reads it again
            assert_hidden(answer.text, key, wrong)


def test_no_secret_of_a_worker_s_failure_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch, settings)

    def fall_over(*_: Any) -> None:
        raise RuntimeError(f"PUT {SIGNED} with {S3_SECRET} and postgresql://n:{BROKER_PASSWORD}@db/n")

    monkeypatch.setattr(child, "run_stage", fall_over)
    task = ShardTask.from_json(
        {
            "job_id": "job-a", "kind": "ingest", "stage": "work", "spec": {}, "dataset_id": None,
            "result_id": None, "job_outcome": {}, "plan_key": "p", "result_key": "r", "start_byte": 0,
            "stop_byte": 0, "index": 7, "parts": (),
        }
    )  # fmt: skip
    bench = Bench(open_store(settings), settings, child.LineReporter(io.StringIO()))
    answer = child._answer(json.dumps(task.to_json()), bench)
    told = child._without_secrets(answer, Redaction.of(settings))
    assert set(told) == {"crashed"}
    assert "RuntimeError" in told["crashed"]
    assert_hidden(json.dumps(told) + stream.getvalue())
    line = json.loads(stream.getvalue().splitlines()[0])
    assert (line["event"], line["job_id"], line["shard"]) == ("stage failed", "job-a", 7)
