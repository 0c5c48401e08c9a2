"""`/metrics` for Prometheus: what there is to do, asked of SQL at each look; what was answered, counted here.

Labels are words of our own and templates of routes, never an id, a name or anything else that a client
chooses: the number of series is bounded.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.scopes import Scope as KeyScope
from service.api.authentication import needs
from service.api.dependencies import Services
from service.errors import Unavailable
from service.jobs.figures import Figures, look
from service.jobs.job import QUEUES
from service.metrics_port import serve_metrics

log = structlog.get_logger(__name__)
router = APIRouter(tags=["health"])
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE, VERSION = "none", "/v1"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[needs(KeyScope.OPERATOR)])
def metrics(request: Request) -> Response:
    """For Prometheus, over all tenants: jobs, shards, ages of queues, images a second, requests."""
    return Response(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_LATEST)


class RequestMetrics:
    """Counts every request, those included that are refused before a route sees them. Plain ASGI."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._count = prometheus_client.Counter(
            "nightshift_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "nightshift_request_seconds", "Time until an answer begins.", ["route"], buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        self._bytes = prometheus_client.Counter(
            "nightshift_request_body_bytes", "Bytes of bodies received, such as uploads.", ["route"],
            registry=registry,
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, received = time.perf_counter(), 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route, method = _route(scope), scope["method"]
                self._count.labels(method if method in METHODS else "other", route, message["status"]).inc()
                self._seconds.labels(route).observe(time.perf_counter() - started)
            await send(message)

        try:
            await self._app(scope, receive_counted, send_counted)
        finally:
            if received:
                self._bytes.labels(_route(scope)).inc(received)


class WorkFigures(Collector):
    """What SQL and the broker say, at each look anew. One that does not answer leaves its figures out."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        yield from self._database()
        yield from self._broker()

    def _database(self) -> Iterator[Metric]:
        try:
            figures = look(self._services.database)
        except SQLAlchemyError as error:
            log.warning("figures not to be had", error=type(error).__name__)
            yield _gauge("database_up", "Whether the database answers.", 0)
            return
        yield _gauge("database_up", "Whether the database answers.", 1)
        yield from _jobs(figures)
        yield from _work(figures)

    def _broker(self) -> Iterator[Metric]:
        unread = GaugeMetricFamily(
            "nightshift_queue_unread", "Messages that no worker has read.", labels=["queue"]
        )
        try:
            for name in QUEUES:
                unread.add_metric([name], self._services.desk.queue.unread(name))
        except (Unavailable, OSError):
            yield _gauge("broker_up", "Whether the broker answers.", 0)
            return
        yield _gauge("broker_up", "Whether the broker answers.", 1)
        yield unread


def add_metrics(app: FastAPI) -> None:
    """Outside of everything else: add it last."""
    app.state.metrics = CollectorRegistry()
    ProcessCollector(registry=app.state.metrics)
    app.add_middleware(RequestMetrics, registry=app.state.metrics)
    app.include_router(router)


@contextmanager
def served_metrics(app: FastAPI, services: Services) -> Iterator[None]:
    """With figures of the opened services, and on a port of its own if the operator wants one."""
    figures = WorkFigures(services)
    app.state.metrics.register(figures)
    stop = serve_metrics(services.settings, app.state.metrics)
    yield
    stop()
    app.state.metrics.unregister(figures)


def _jobs(figures: Figures) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("nightshift_jobs", "Jobs, the ended ones included.", labels=["kind", "state"])
    for (kind, state), count in figures.jobs.items():
        jobs.add_metric([kind, state], count)
    yield jobs
    rates = GaugeMetricFamily(
        "nightshift_images_per_second", "Of the jobs at work, each since its work began.", labels=["kind"]
    )
    for kind, rate in figures.images_per_second.items():
        rates.add_metric([kind], rate)
    yield rates
    yield _gauge("webhook_deliveries_due", "Ends of jobs that wait to be told.", figures.deliveries_due)


def _work(figures: Figures) -> Iterator[Metric]:
    shards = GaugeMetricFamily("nightshift_shards", "Shards of jobs under way.", labels=["kind", "state"])
    frames: Counter[tuple[str, str]] = Counter()
    for each in figures.shards:
        shards.add_metric([each.kind, each.state], each.count)
        left = each.frames_total - each.frames_done - each.frames_failed
        frames.update(
            {
                (each.kind, "done"): each.frames_done,
                (each.kind, "failed"): each.frames_failed,
                (each.kind, "left"): left,
            }
        )
    yield shards
    counted = GaugeMetricFamily("nightshift_frames", "Frames of jobs under way.", labels=["kind", "state"])
    for labels, count in frames.items():
        counted.add_metric(labels, count)
    yield counted
    ages = GaugeMetricFamily(
        "nightshift_queue_oldest_seconds",
        "How long the oldest shard has been free to be worked on; workers scale on it.",
        labels=["queue"],
    )
    for queue, seconds in figures.oldest_seconds.items():
        ages.add_metric([queue], seconds)
    yield ages


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"nightshift_{name}", what, value=value)


def _route(scope: Scope) -> str:
    """A route knows its path below the version's prefix."""
    route = scope.get("route")
    if route is None:
        return NO_ROUTE
    is_versioned = scope["path"].startswith(f"{VERSION}/") and not route.path.startswith(f"{VERSION}/")
    return f"{VERSION if is_versioned else ''}{route.path}"
