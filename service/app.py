"""The HTTP service: `uvicorn --factory service.app:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from service.api import datasets, experiments, generators, health, jobs, quality, trainings, uploads
from service.api.dependencies import Services
from service.api.errors import add_error_handlers
from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.queue import CeleryQueue, Queue
from service.jobs.store import JobStore
from service.jobs.submit import Desk
from service.logs import set_up_logs
from service.settings import Settings
from service.storage.object_store import open_store

DESCRIPTION = "Turns a labelled daytime dataset into a labelled night dataset."


def create_app(settings: Settings | None = None, queue: Queue | None = None) -> FastAPI:
    """`settings` and `queue` are given by tests; a server reads them from its environment."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        set_up_logs(settings.log_level)
        app.state.services = open_services(settings, queue)
        yield
        app.state.services.database.close()

    # FastAPI's pages of documentation load scripts from another host; the document itself is ours.
    app = FastAPI(
        title="Nightshift",
        version=version("nightshift"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    add_error_handlers(app)
    app.include_router(health.router)
    for part in (uploads, datasets, jobs, generators, trainings, quality, experiments):
        app.include_router(part.router, prefix="/v1")
    return app


def open_services(settings: Settings, queue: Queue | None = None) -> Services:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    database.migrate()
    leases = LeaseStore(database, settings.lease_seconds, settings.shard_attempts)
    desk = Desk(JobStore(database), Library(database), leases, queue or CeleryQueue(settings))
    return Services(settings, database, desk, open_store(settings))
