"""What a tenant may keep, and what it uses of that. Bytes count from the moment an upload is announced.

That of the jobs is kept by `JobStore` itself, in the transaction that adds them.
"""

from dataclasses import dataclass

from sqlalchemy import Column, Select, Table, func, select

from service.errors import StorageQuotaExceeded, UploadTooLarge
from service.jobs.database import Database
from service.jobs.job import ACTIVE_JOB_STATES
from service.jobs.records import OPEN_UPLOAD_STATES
from service.jobs.tables import incoming_uploads, jobs, uploads
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Usage:
    stored_bytes: int
    active_jobs: int


def usage(database: Database, tenant: str) -> Usage:
    active = select(func.count()).where(jobs.c.tenant == tenant, jobs.c.state.in_(list(ACTIVE_JOB_STATES)))
    with database.reading() as connection:
        return Usage(stored_bytes(database, tenant), int(connection.scalar(active) or 0))


def stored_bytes(database: Database, tenant: str) -> int:
    """Of complete uploads, and of those that are under way with all they have announced."""
    complete = _sum(uploads, uploads.c.size_bytes, tenant)
    arriving = _sum(incoming_uploads, incoming_uploads.c.size_bytes, tenant).where(
        incoming_uploads.c.state.in_(list(OPEN_UPLOAD_STATES))
    )
    with database.reading() as connection:
        return sum(int(connection.scalar(query) or 0) for query in (complete, arriving))


def check_upload_quota(database: Database, settings: Settings, tenant: str, size_bytes: int) -> None:
    """Before the first byte is taken; `size_bytes` is 0 if it was not announced.

    Raises:
        UploadTooLarge: more than any upload may have.
        StorageQuotaExceeded: more than the tenant has left.
    """
    if size_bytes > settings.max_upload_bytes:
        raise UploadTooLarge(settings.max_upload_bytes)
    used = stored_bytes(database, tenant)
    if used + size_bytes > settings.max_stored_bytes:
        raise StorageQuotaExceeded(settings.max_stored_bytes, used)


def _sum(table: Table, column: "Column[int]", tenant: str) -> "Select[int]":
    return select(func.sum(column)).select_from(table).where(table.c.tenant == tenant)
