"""What a tenant has used up of its quotas, counted in the transaction that uses more of it."""

from sqlalchemy import Column, Connection, Select, Table, func, select

from service.errors import StorageQuotaExceeded
from service.jobs.job import DatasetState
from service.jobs.records import OPEN_UPLOAD_STATES
from service.jobs.tables import datasets, incoming_uploads, uploads


def hold_quota(connection: Connection, tenant: str, of: str) -> None:
    """Until this transaction ends nobody else uses up this quota of the tenant: requests that are sent at
    once cannot all find the same room.
    """
    if connection.dialect.name == "postgresql":  # SQLite's writers wait for each other anyway
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"{of} of {tenant}"))))


def take_bytes(connection: Connection, tenant: str, size_bytes: int, most_bytes: int) -> None:
    """For so many bytes that the tenant is about to keep; `most_bytes` 0: it may keep any number.

    Raises:
        StorageQuotaExceeded: they are more than it has left.
    """
    if most_bytes == 0:
        return
    hold_quota(connection, tenant, "bytes")
    used = stored_bytes(connection, tenant)
    if used + size_bytes > most_bytes:
        raise StorageQuotaExceeded(most_bytes, used)


def stored_bytes(connection: Connection, tenant: str) -> int:
    """Of datasets, of complete uploads, and of those that are under way with all they have announced."""
    ready = _sum(datasets, datasets.c.size_bytes, tenant).where(datasets.c.state == DatasetState.READY)
    complete = _sum(uploads, uploads.c.size_bytes, tenant)
    arriving = _sum(incoming_uploads, incoming_uploads.c.size_bytes, tenant).where(
        incoming_uploads.c.state.in_(list(OPEN_UPLOAD_STATES))
    )
    return sum(int(connection.scalar(query) or 0) for query in (ready, complete, arriving))


def _sum(table: Table, column: "Column[int]", tenant: str) -> "Select[int]":
    return select(func.sum(column)).select_from(table).where(table.c.tenant == tenant)
