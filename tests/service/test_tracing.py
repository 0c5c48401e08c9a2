"""Spans of requests and shards, for those who want them; nothing of OpenTelemetry for those who do not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from service import tracing
from service.app import create_app
from service.settings import Settings
from tests.serving import Serving

pytest.importorskip("opentelemetry.instrumentation.celery", reason="the extra `tracing` is not installed")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def exporter() -> Any:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


@pytest.fixture(autouse=True)
def _no_tracing_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    monkeypatch.setattr(tracing, "_trace", None)
    yield
    if CeleryInstrumentor().is_instrumented_by_opentelemetry:
        CeleryInstrumentor().uninstrument()


def test_a_request_is_one_span_named_by_its_route(
    serving: Serving, exporter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "service.app.trace_requests", lambda app, settings: tracing.trace_requests(app, settings, exporter)
    )
    client = serving()
    client.get("/v1/jobs/job-a")
    client.get("/healthz")
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /v1/jobs/{job_id}"
    assert not any("ns_" in str(value) for value in span.attributes.values())


def test_a_shard_is_one_span_with_the_ids_of_its_job(exporter: Any) -> None:
    tracing.trace_shards(Settings(), exporter)
    app = Celery("test", broker="memory://", set_as_current=False)

    @app.task(name="shard.run")
    def run_shard(job_id: str, index: int) -> None:
        tracing.describe_span(worker="w", job_id=job_id, shard=index)

    run_shard.apply(args=("job-a", 3))
    (span,) = exporter.get_finished_spans()
    assert span.name == "run/shard.run"
    assert (span.attributes["nightshift.job_id"], span.attributes["nightshift.shard"]) == ("job-a", 3)


def test_without_an_endpoint_there_is_nothing_to_describe(tmp_path: Path) -> None:
    tracing.trace_requests(create_app(Settings(data_dir=tmp_path)), Settings())
    tracing.describe_span(job_id="job-a")
    assert tracing._trace is None


def test_nothing_of_it_is_imported_unless_it_is_wanted() -> None:
    code = (
        "import sys, service.app; service.app.create_app(); "
        "sys.exit(any(f'opentelemetry.{part}' in sys.modules for part in ('sdk', 'instrumentation')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_missing_extra_stops_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    settings = Settings(data_dir=tmp_path, otlp_endpoint="http://127.0.0.1:1")
    create_app(settings)
    assert tracing._trace is None
