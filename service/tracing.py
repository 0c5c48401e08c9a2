"""OpenTelemetry, for whoever has installed the extra `tracing` and says where spans are to go.

A span for each request, and one for each shard with the id of its job, by which they are found. Nothing of
OpenTelemetry is imported unless `NIGHTSHIFT_OTLP_ENDPOINT` is set.
"""

from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI

from service.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = structlog.get_logger(__name__)
# What probes and scrapers call all day long.
UNTOLD = "healthz,readyz,metrics"
_trace: Any = None


def trace_requests(app: FastAPI, settings: Settings, exporter: "SpanExporter | None" = None) -> None:
    """Of the API. `exporter`: given by tests."""
    provider = _provider("nightshift-api", settings, exporter)
    if provider is None:
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415

    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls=UNTOLD, exclude_spans=["receive", "send"]
    )


def trace_shards(settings: Settings, exporter: "SpanExporter | None" = None) -> None:
    """Of a worker: each Celery task is one shard, if it is still to be had."""
    provider = _provider("nightshift-worker", settings, exporter)
    if provider is None:
        return
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415

    CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]


def describe_span(**facts: str | int) -> None:
    """Adds facts to the span under way; nothing where there is no tracing."""
    if _trace is not None:
        _trace.get_current_span().set_attributes({f"nightshift.{name}": fact for name, fact in facts.items()})


def _provider(name: str, settings: Settings, exporter: "SpanExporter | None") -> "TracerProvider | None":
    global _trace  # noqa: PLW0603 - OpenTelemetry itself is one for the whole process
    if not settings.otlp_endpoint and exporter is None:
        return None
    try:
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.error("not traced: the extra is not installed", cure="pip install 'nightshift[tracing]'")
        return None
    _trace = trace
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    if exporter is not None:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    else:
        spans = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=spans)))
    return provider
