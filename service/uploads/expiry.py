"""The chore of uploads: pieces that nobody waits for, uploads that have served, ends left by dead servers."""

from collections.abc import Sequence
from contextlib import suppress

import structlog
from sqlalchemy import ColumnElement, delete, select, update

from service.errors import NightshiftError, NotFound
from service.jobs.database import Database, database_now
from service.jobs.records import UploadState
from service.jobs.tables import incoming_uploads as table
from service.storage import keys
from service.storage.object_store import ObjectStore
from service.uploads.finish import Finisher
from service.uploads.incoming import Incoming, as_incoming
from service.uploads.refusals import UploadLocked
from service.uploads.removal import remove_served
from service.uploads.staging import Staging

log = structlog.get_logger(__name__)
# So long a client that asks after an upload that is gone is told so, and not that there never was one.
REMEMBERED_SECONDS = 7 * 24 * 3600.0
MOST_AT_ONCE = 100
TO_SWEEP = (UploadState.TERMINATED, UploadState.EXPIRED, UploadState.CORRUPT)


class Sweeper:
    def __init__(self, database: Database, store: ObjectStore, staging: Staging, finisher: Finisher) -> None:
        self._database = database
        self._store = store
        self._staging = staging
        self._finisher = finisher

    def __call__(self, kept_seconds: float) -> None:
        """`kept_seconds`: so long a complete upload is kept that no job works on."""
        self._expire()
        self._finish_left()
        for upload_id in remove_served(self._database, kept_seconds):
            log.info("upload removed after its time", upload=upload_id)
        for row in self._rows(table.c.state.in_(list(TO_SWEEP))):
            self.sweep(row)
        self._forget()

    def sweep(self, row: Incoming) -> None:
        """Remove what is left of an upload that is closed; later, if somebody is still writing to it."""
        with self._database.reading() as connection:
            is_free = connection.scalar(select(table.c.id).where(table.c.id == row.id, _is_unlocked()))
        if is_free is None:
            return
        self._staging.discard(row)
        self._store.delete(keys.upload(row.id))
        with self._database.writing() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == row.id, table.c.state.in_(list(TO_SWEEP)))
                .values(state=UploadState.REMOVED, expires_at=database_now() + REMEMBERED_SECONDS, staging={})
            )

    def _expire(self) -> None:
        is_late = (table.c.state == UploadState.RECEIVING) & (table.c.expires_at < database_now())
        with self._database.writing() as connection:
            connection.execute(update(table).where(is_late, _is_unlocked()).values(state=UploadState.EXPIRED))

    def _finish_left(self) -> None:
        """A client that was not answered may never come back to ask."""
        for row in self._rows((table.c.state == UploadState.FINISHING) & _is_unlocked()):
            with suppress(UploadLocked, NotFound):
                try:
                    self._finisher.resume(row.id)
                except NightshiftError as error:
                    log.warning("upload could not be finished", upload=row.id, error=str(error))

    def _forget(self) -> None:
        is_past = (table.c.state == UploadState.REMOVED) & (table.c.expires_at < database_now())
        with self._database.writing() as connection:
            connection.execute(delete(table).where(is_past))

    def _rows(self, condition: ColumnElement[bool]) -> Sequence[Incoming]:
        query = select(table).where(condition).order_by(table.c.created_at).limit(MOST_AT_ONCE)
        with self._database.reading() as connection:
            return [as_incoming(row) for row in connection.execute(query).mappings()]


def _is_unlocked() -> ColumnElement[bool]:
    return table.c.lock_owner.is_(None) | (table.c.locked_until < database_now())
