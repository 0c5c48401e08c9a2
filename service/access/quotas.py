"""What a tenant uses of its quotas, and whether there is room for an upload at all.

Bytes count from the moment an upload is announced. That no two requests take the same room is seen to in the
transactions that take it: see `service.jobs.quotas`.
"""

from dataclasses import dataclass

from sqlalchemy import func, select

from service.errors import StorageQuotaExceeded, UploadTooLarge
from service.jobs.database import Database
from service.jobs.job import ACTIVE_JOB_STATES
from service.jobs.quotas import stored_bytes
from service.jobs.tables import jobs
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Usage:
    stored_bytes: int
    active_jobs: int


def usage(database: Database, tenant: str) -> Usage:
    active = select(func.count()).where(jobs.c.tenant == tenant, jobs.c.state.in_(list(ACTIVE_JOB_STATES)))
    with database.reading() as connection:
        return Usage(stored_bytes(connection, tenant), int(connection.scalar(active) or 0))


def check_upload_quota(database: Database, settings: Settings, tenant: str, size_bytes: int) -> None:
    """Before the first byte is taken; `size_bytes` is 0 if it was not announced.

    Raises:
        UploadTooLarge: more than any upload may have.
        StorageQuotaExceeded: more than the tenant has left.
    """
    if size_bytes > settings.max_upload_bytes:
        raise UploadTooLarge(settings.max_upload_bytes)
    used = usage(database, tenant).stored_bytes
    if used + size_bytes > settings.max_stored_bytes:
        raise StorageQuotaExceeded(settings.max_stored_bytes, used)
