"""Whether the service lives, and whether it can do its work."""

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from service.api.dependencies import Opened, Services
from service.errors import Unavailable
from service.jobs.database import database_now
from service.jobs.job import QUEUES
from service.storage.outages import outage

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str
    checks: dict[str, str] = {}


@router.get("/healthz")
def healthz() -> Health:
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Health}})
def readyz(here: Opened, response: Response) -> Health:
    """The database, the store and the broker answer."""
    checks = {"database": _database(here), "store": _store(here), "broker": _broker(here)}
    is_ready = all(state == "ok" for state in checks.values())
    response.status_code = 200 if is_ready else 503
    return Health(status="ok" if is_ready else "unavailable", checks=checks)


def _database(here: Services) -> str:
    try:
        with here.database.reading() as connection:
            connection.scalar(select(database_now()))
    except SQLAlchemyError as error:
        return type(error).__name__
    return "ok"


def _store(here: Services) -> str:
    try:
        here.store.exists("readyz")
    except Exception as error:
        if outage(error) is None:
            raise
        return type(error).__name__
    return "ok"


def _broker(here: Services) -> str:
    try:
        for name in QUEUES:
            here.desk.queue.unread(name)
    except Unavailable as error:
        return type(error).__name__
    return "ok"
