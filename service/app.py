"""The HTTP service. `service.server` runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from service.access.cursors import Cursors
from service.access.rate_limits import RateLimits
from service.access.server_secrets import CURSORS, SESSIONS, server_secret
from service.access.sessions import Sessions
from service.api import (
    datasets,
    experiments,
    generators,
    health,
    jobs,
    keys,
    limits,
    previews,
    quality,
    trainings,
    uploads,
    webhooks,
)
from service.api.authentication import Authentication
from service.api.dependencies import NOBODY, Services
from service.api.edge.layers import add_edge
from service.api.errors import add_error_handlers
from service.api.metrics import add_metrics, served_metrics
from service.api.openapi import describe_problems
from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.queue import CeleryQueue, Queue
from service.jobs.store import JobStore
from service.jobs.submit import Desk
from service.logs import set_up_logs
from service.settings import Settings
from service.storage.import_uris import check_registrations
from service.storage.object_store import open_store
from service.thumbnails.thumbnails import Thumbnails
from service.tracing import trace_requests
from service.uploads.desk import open_upload_desk
from service.web.router import FORMS, add_pages

# Somebody waits for the answer, and can ask again; a worker has more patience.
STORE_ATTEMPTS = 2
DESCRIPTION = "Turns a labelled daytime dataset into a labelled night dataset."


def create_app(settings: Settings | None = None, queue: Queue | None = None) -> FastAPI:
    """`settings` and `queue` are given by tests; a server reads them from its environment."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        set_up_logs(settings)
        app.state.services = open_services(settings, queue)
        app.state.rate_limits = RateLimits(settings)
        with served_metrics(app, app.state.services):
            yield
        app.state.services.thumbnails.close()
        app.state.services.database.close()

    # FastAPI's pages of documentation load scripts from another host; the document itself is ours.
    app = FastAPI(
        title="Nightshift",
        version=version("nightshift"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would answer with the name in the request's Host header
    )
    add_error_handlers(app)
    app.add_middleware(Authentication)
    add_edge(app, settings, FORMS)  # around all the others: the last one added is the first one passed
    add_metrics(app)  # counts what those refuse, too
    app.include_router(health.router)
    parts = (
        uploads,
        datasets,
        jobs,
        previews,
        generators,
        trainings,
        quality,
        experiments,
        webhooks,
        keys,
        limits,
    )
    for part in parts:
        app.include_router(part.router, prefix="/v1")
    add_pages(app)
    describe_problems(app)
    trace_requests(app, settings)
    return app


def open_services(settings: Settings, queue: Queue | None = None) -> Services:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    check_registrations(settings.import_buckets)
    database = Database.of(settings)
    database.migrate()
    leases = LeaseStore.of(database, settings)
    desk = Desk(JobStore(database), Library(database), leases, queue or CeleryQueue(settings))
    cursors = Cursors(server_secret(database, CURSORS), NOBODY.tenant)
    sessions = Sessions(server_secret(database, SESSIONS))
    store = open_store(settings, STORE_ATTEMPTS)
    uploads = open_upload_desk(settings, database, store)
    return Services(settings, database, desk, store, cursors, uploads, sessions, Thumbnails(store))
