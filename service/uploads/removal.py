"""Uploads that nobody needs any more. The row goes first; what it stood for is swept away afterwards."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from service.errors import InUse, NotFound
from service.jobs.database import Database, database_now
from service.jobs.job import ACTIVE_JOB_STATES
from service.jobs.records import UploadState
from service.jobs.tables import incoming_uploads, jobs, uploads


def remove_upload(database: Database, upload_id: str, tenant: str | None = None) -> None:
    """Raises:
    InUse: a job that has not ended works on it, or will.
    """
    with database.writing() as connection:
        row = connection.execute(select(uploads).where(uploads.c.id == upload_id)).mappings().first()
        if row is None or tenant not in (None, row["tenant"]):
            raise NotFound("upload", upload_id)
        job_id = _used(connection).get(upload_id)
        if job_id is not None:
            raise InUse(f"Upload {upload_id}", job_id)
        connection.execute(delete(uploads).where(uploads.c.id == upload_id))
        done = connection.execute(
            update(incoming_uploads)
            .where(incoming_uploads.c.id == upload_id)
            .values(state=UploadState.TERMINATED)
        )
        if done.rowcount == 0:  # it came as one plain body
            gone = {name: row[name] for name in ("id", "tenant", "filename", "size_bytes", "created_at")}
            connection.execute(
                insert(incoming_uploads).values(
                    **gone, metadata="", state=UploadState.TERMINATED, offset_bytes=row["size_bytes"],
                    staging={}, expires_at=database_now(),
                )
            )  # fmt: skip


def remove_served(database: Database, kept_seconds: float, limit: int = 500) -> list[str]:
    """Those that are older than that and that no job works on. Returns their ids."""
    is_old = uploads.c.created_at < database_now() - kept_seconds
    with database.reading() as connection:
        used = _used(connection)
        old = connection.scalars(
            select(uploads.c.id).where(is_old).order_by(uploads.c.created_at).limit(limit)
        )
        removed = [upload_id for upload_id in old if upload_id not in used]
    for upload_id in removed:
        remove_upload(database, upload_id)
    return removed


def _used(connection: Connection) -> dict[str, str]:
    """The job that names it, of every upload that a job under way names anywhere in its wishes."""
    active = select(jobs.c.id, jobs.c.spec).where(jobs.c.state.in_(list(ACTIVE_JOB_STATES)))
    return {text: job_id for job_id, spec in connection.execute(active) for text in _texts(spec)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith("up-"):
            yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
