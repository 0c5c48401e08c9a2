"""What Prometheus reads: figures of SQL at each look, and requests as they were answered."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, update

from service.access.scopes import ALL_SCOPES, Scope
from service.errors import Unavailable
from service.jobs.database import Database, database_now
from service.jobs.figures import look
from service.jobs.job import INGEST, JobKind, JobState, ShardPlan, ShardState
from service.jobs.submit import Desk, IngestWish, submit_ingest
from service.jobs.tables import jobs, shards
from service.metrics_port import serve_metrics
from service.settings import Settings
from service.stack import free_port
from tests.serving import Serving, bearer, new_key


@pytest.fixture
def client(serving: Serving) -> TestClient:
    return serving()


def read(client: TestClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(client: TestClient, name: str, **labels: str) -> float | None:
    return read(client).get((f"nightshift_{name}", frozenset(labels.items())))


def begin(desk: Desk, name: str = "up-a") -> Any:
    desk.library.add_upload(name, "day.zip", 1, "0" * 64)
    return submit_ingest(desk, IngestWish(name))


def claim(desk: Desk, job_id: str, index: int) -> Any:
    shard = desk.leases.claim(job_id, index, "worker")
    assert shard is not None
    return shard


def set_back(database: Database, **values: Any) -> None:
    with database.writing() as connection:
        connection.execute(update(shards).values(**values))


def test_jobs_shards_and_frames_are_counted_by_kind_and_state(desk: Desk, database: Database) -> None:
    job = begin(desk)
    begin(desk, "up-b")
    desk.leases.finish_plan(claim(desk, job.id, 0), [ShardPlan(0, 1, 0, 5), ShardPlan(1, 2, 5, 7)], {})
    desk.leases.finish_work(claim(desk, job.id, 1), 4, 1, [])
    figures = look(database)
    assert figures.jobs == {(JobKind.INGEST, JobState.RUNNING): 1, (JobKind.INGEST, JobState.QUEUED): 1}
    counted = {
        each.state: (each.count, each.frames_total, each.frames_done, each.frames_failed)
        for each in figures.shards
    }
    assert counted == {ShardState.DONE: (2, 5, 4, 1), ShardState.PENDING: (2, 7, 0, 0)}


def test_the_age_of_a_queue_is_how_long_its_oldest_shard_could_have_been_done(
    desk: Desk, database: Database
) -> None:
    job = begin(desk)
    set_back(database, not_before=database_now() - 100)
    begin(desk, "up-b")
    assert look(database).oldest_seconds[INGEST] == pytest.approx(100, abs=20)
    claim(desk, job.id, 0)
    assert look(database).oldest_seconds[INGEST] < 50, "only what waits has an age"
    set_back(database, not_before=database_now() + 100)
    assert look(database).oldest_seconds[INGEST] == 0, "nobody could do it yet"


def test_a_shard_that_comes_back_waits_from_then_on(desk: Desk, database: Database) -> None:
    job = begin(desk)
    shard = claim(desk, job.id, 0)
    set_back(database, not_before=0.0)
    desk.leases.release(shard, "worker stopped")
    assert look(database).oldest_seconds[INGEST] < 50


def test_what_has_ended_is_nobody_s_work(desk: Desk, database: Database) -> None:
    job = begin(desk)
    desk.jobs.fail(job.id, "code", "message")
    figures = look(database)
    assert (figures.shards, figures.oldest_seconds[INGEST]) == ((), 0.0)
    assert figures.jobs == {(JobKind.INGEST, JobState.FAILED): 1}


def test_images_a_second_are_those_of_the_jobs_at_work(desk: Desk, database: Database) -> None:
    job = begin(desk)
    desk.leases.finish_plan(claim(desk, job.id, 0), [ShardPlan(0, 1, 0, 500), ShardPlan(1, 2, 500, 500)], {})
    desk.leases.finish_work(claim(desk, job.id, 1), 500, 0, [])
    with database.writing() as connection:
        connection.execute(update(jobs).values(work_started_at=database_now() - 100))
    assert look(database).images_per_second == {JobKind.INGEST: pytest.approx(5.0, rel=0.3)}


def test_figures_cost_the_same_however_much_lies_behind(desk: Desk, database: Database) -> None:
    """The shards of jobs that ended are not read."""
    with database.reading() as connection:
        explained = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT count(*) FROM jobs JOIN shards ON shards.job_id = jobs.id "
            "WHERE jobs.state IN ('queued', 'running', 'publishing')"
        ).all()
    plan = " ".join(str(row) for row in explained)
    assert "SCAN" not in plan


def test_they_are_read_over_http_with_the_scope_operator_alone(client: TestClient, desk: Desk) -> None:
    begin(desk)
    assert value(client, "jobs", kind="ingest", state="queued") == 1
    assert value(client, "queue_unread", queue="ingest") == 0
    assert value(client, "database_up") == value(client, "broker_up") == 1
    other = bearer(new_key(client, scopes=ALL_SCOPES - {Scope.OPERATOR}))
    assert client.get("/metrics", headers=other).status_code == 403
    assert client.get("/metrics", headers={"Authorization": ""}).status_code == 401


def test_requests_are_counted_by_the_template_of_their_route(client: TestClient) -> None:
    for job_id in ("job-a", "job-b"):
        client.get(f"/v1/jobs/{job_id}")
    client.get("/v1/jobs", headers={"Authorization": "Bearer wrong"})
    client.get("/nowhere/at/all")
    client.request("BREW", "/v1/jobs")
    assert value(client, "requests_total", method="GET", route="/v1/jobs/{job_id}", status="404") == 2
    assert value(client, "requests_total", method="GET", route="none", status="401") == 1
    assert value(client, "requests_total", method="GET", route="none", status="404") == 1
    assert value(client, "request_seconds_count", route="/v1/jobs/{job_id}") == 2
    assert {
        dict(labels)["method"] for name, labels in read(client) if name == "nightshift_requests_total"
    } == {"GET", "other"}


def test_the_bytes_of_uploads_are_counted(client: TestClient) -> None:
    assert client.put("/v1/uploads", content=b"x" * 1234).status_code == 201
    assert value(client, "request_body_bytes_total", route="/v1/uploads") == 1234


def test_no_label_holds_what_a_client_or_a_tenant_chose(client: TestClient, desk: Desk) -> None:
    job = begin(desk, "up-hostile")
    client.get(f"/v1/jobs/{job.id}")
    client.get("/v1/<script>/secret-name", headers=bearer(new_key(client, tenant="acme")))
    text = client.get("/metrics").text
    for word in (job.id, "up-hostile", "acme", "local", "script", "secret-name"):
        assert not re.search(rf"[\"{{/]{re.escape(word)}", text), word


def test_a_broker_or_database_that_is_away_is_told_and_the_rest_still_is(
    client: TestClient, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> int:
        raise Unavailable("broker")

    monkeypatch.setattr(queue, "unread", away)
    assert (value(client, "broker_up"), value(client, "database_up")) == (0, 1)
    assert value(client, "queue_unread", queue="ingest") is None

    from sqlalchemy.exc import OperationalError

    def gone(_database: Database) -> Any:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr("service.api.metrics.look", gone)
    assert value(client, "database_up") == 0
    assert value(client, "requests_total", method="GET", route="/metrics", status="200") is not None


def test_a_port_of_their_own_needs_no_key(serving: Serving, tmp_path: Path) -> None:
    import httpx

    port = free_port()
    serving(Settings(data_dir=tmp_path, metrics_port=port))
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert "nightshift_queue_oldest_seconds" in text
    assert "process_resident_memory_bytes" in text


def test_a_port_that_is_taken_stops_nobody(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Counter("some", "thing", registry=registry)
    settings = Settings(data_dir=tmp_path, metrics_port=free_port())
    stop = serve_metrics(settings, registry)
    serve_metrics(settings, registry)()
    stop()
    again = serve_metrics(settings, registry)  # it was given back
    again()


def test_every_shard_is_free_from_a_moment_that_is_known(desk: Desk, database: Database) -> None:
    job = begin(desk)
    desk.leases.finish_plan(claim(desk, job.id, 0), [ShardPlan(0, 1, 0, 5)], {})
    desk.leases.finish_work(claim(desk, job.id, 1), 5, 0, [])
    with database.reading() as connection:
        assert all(each > 0 for each in connection.scalars(select(shards.c.not_before)))
        assert connection.scalar(select(shards.c.index).order_by(shards.c.index.desc()).limit(1)) == 2
