"""What routes are given: the stores opened at start, as far as the caller may see, and pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Query, Request

from service.access.caller import Caller
from service.access.cursors import Cursors
from service.access.sessions import Sessions
from service.errors import Unauthorized
from service.jobs.database import Database
from service.jobs.job import Job
from service.jobs.library import Library
from service.jobs.records import Dataset
from service.jobs.store import JobStore
from service.jobs.submit import Desk
from service.settings import Settings
from service.storage.object_store import ObjectStore
from service.thumbnails.thumbnails import Thumbnails
from service.uploads.desk import UploadDesk
from service.webhooks.records import Delivery

# Whoever opened the services; not one of the tenants, and without any scope.
NOBODY = Caller(key_id="", tenant="", scopes=frozenset())


@dataclass(frozen=True, slots=True)
class Services:
    """As they were opened they see the rows of all tenants; routes are given those `for_caller`."""

    settings: Settings
    database: Database
    desk: Desk
    store: ObjectStore
    cursors: Cursors
    uploads: UploadDesk
    sessions: Sessions
    thumbnails: Thumbnails
    caller: Caller = NOBODY

    def for_caller(self, caller: Caller) -> "Services":
        tenant, settings = caller.tenant, self.settings
        jobs = JobStore(self.database, tenant, settings.max_active_jobs, settings.max_stored_bytes)
        library = Library(self.database, tenant)
        return replace(
            self,
            desk=replace(self.desk, jobs=jobs, library=library),
            cursors=replace(self.cursors, tenant=tenant),
            uploads=self.uploads.of(tenant),
            caller=caller,
        )


def opened(request: Request) -> Services:
    """Of the whole installation: for what belongs to no tenant, such as its health."""
    found: Services = request.app.state.services
    return found


def caller_of(request: Request) -> Caller:
    """Raises:
    Unauthorized: nobody has checked a key, so that a route outside of the guarded paths stays shut.
    """
    caller = request.scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        raise Unauthorized
    return caller


def services(request: Request) -> Services:
    return opened(request).for_caller(caller_of(request))


# What is not async is called in a thread. These wait for nothing, and a thread costs more than they do.
async def _opened(request: Request) -> Services:
    return opened(request)


async def _services(request: Request) -> Services:
    return services(request)


Opened = Annotated[Services, Depends(_opened)]
Here = Annotated[Services, Depends(_services)]
Limit = Annotated[int, Query(ge=1, le=500, description="how many items at most")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]


def following(
    here: Services, listing: str, found: Sequence[Job | Dataset | Delivery], limit: int
) -> str | None:
    """The cursor of the next page of rows that are listed by age; one more than `limit` was looked for."""
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return here.cursors.encode(listing, [last.created_at, last.id])


def age_cursor(here: Services, listing: str, cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    created_at, last_id = here.cursors.decode(listing, cursor, float, str)
    return created_at, last_id
