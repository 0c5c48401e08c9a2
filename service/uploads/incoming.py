"""The rows of uploads that come in pieces: how far each is, who writes to it, until when it is kept.

What a row says of the offset is true whatever happens to servers and clients: it is moved only after the
bytes are durable, and only by whoever holds the lock of the row.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, true, update

from service.errors import NotFound
from service.jobs.database import Database, database_now
from service.jobs.idempotency import note_made
from service.jobs.quotas import take_bytes
from service.jobs.records import OPEN_UPLOAD_STATES, Upload, UploadState
from service.jobs.tables import LOCAL_TENANT, uploads
from service.jobs.tables import incoming_uploads as table
from service.uploads.metadata import Metadata
from service.uploads.refusals import (
    DigestMismatch,
    OffsetMismatch,
    UploadGone,
    UploadIsComplete,
    UploadLocked,
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """`staging` says how the pieces are found again; only `service.uploads.staging` reads it."""

    id: str
    tenant: str
    filename: str
    metadata: str
    state: UploadState
    size_bytes: int
    offset_bytes: int
    expected_sha256: str | None
    staging: dict[str, Any]
    lock_owner: str | None
    locked_until: float | None
    created_at: float
    expires_at: float


class IncomingUploads:
    """Of one tenant, whose uploads alone it knows; or of the machinery (None), which sees those of all.

    `lock_seconds`: so long a lock is respected whose holder says nothing more; `kept_seconds`: so long an
    upload waits for its next piece.
    """

    def __init__(
        self, database: Database, lock_seconds: float, kept_seconds: float, tenant: str | None = None
    ) -> None:
        self.database = database
        self.lock_seconds = lock_seconds
        self._kept_seconds = kept_seconds
        self._tenant = tenant

    def create(self, upload_id: str, size_bytes: int, metadata: Metadata, most_bytes: int = 0) -> Incoming:
        """`most_bytes`: what the tenant may keep; 0 for any number.

        Raises:
            StorageQuotaExceeded: it is more than that with this one.
        """
        # One without any bytes has all of them.
        state = UploadState.RECEIVING if size_bytes else UploadState.FINISHING
        tenant = self._tenant or LOCAL_TENANT
        with self.database.writing() as connection:
            take_bytes(connection, tenant, size_bytes, most_bytes)
            connection.execute(
                insert(table).values(
                    id=upload_id, tenant=tenant, filename=metadata.filename,
                    metadata=metadata.text, state=state, size_bytes=size_bytes, offset_bytes=0,
                    expected_sha256=metadata.sha256, staging={}, created_at=database_now(),
                    expires_at=database_now() + self._kept_seconds,
                )
            )  # fmt: skip
            note_made(connection, upload_id)
        return self.get(upload_id)

    def get(self, upload_id: str) -> Incoming:
        with self.database.reading() as connection:
            return self._row(connection, upload_id)

    def find(self, upload_id: str) -> UploadState | None:
        """None of an upload that did not come in pieces, or not at all."""
        with self.database.reading() as connection:
            found = connection.scalar(select(table.c.state).where(table.c.id == upload_id, self._is_mine()))
        return None if found is None else UploadState(found)

    def now(self) -> float:
        with self.database.reading() as connection:
            return _now(connection)

    def lock(
        self, upload_id: str, owner: str, state: UploadState, *, is_holder_dead: bool = False
    ) -> Incoming:
        """Take the right to write to an upload in this state. `is_holder_dead`: an earlier lock is known to
        be of a process that has ended.

        Raises:
            UploadLocked: somebody else holds it.
            UploadIsComplete, UploadGone, DigestMismatch: nothing more can be done with it.
        """
        with self.database.writing() as connection:
            row = self._row(connection, upload_id, is_for_update=True)
            now = _now(connection)
            if row.state is not state or row.expires_at <= now:
                refuse_closed(row, now)
                raise UploadLocked  # somebody else has just moved it on
            if row.lock_owner is not None and (row.locked_until or 0.0) > now and not is_holder_dead:
                raise UploadLocked
            fenced = {**row.staging, "fence": row.staging.get("fence", 0) + 1}
            locked_until = now + self.lock_seconds
            connection.execute(
                update(table)
                .where(table.c.id == upload_id)
                .values(lock_owner=owner, locked_until=locked_until, staging=fenced)
            )
            return self._row(connection, upload_id)

    def advance(
        self, held: Incoming, offset_bytes: int, staging: dict[str, Any], state: UploadState | None = None
    ) -> Incoming:
        """More bytes are durable; with the last of them the state becomes `finishing`.

        Raises:
            UploadLocked: the lock was lost, as its holder said nothing for too long.
            UploadGone: the upload was terminated meanwhile.
        """
        return self._move(
            held,
            offset_bytes=offset_bytes,
            staging=staging,
            state=state or held.state,
            expires_at=database_now() + self._kept_seconds,
        )

    def renew(self, held: Incoming) -> None:
        """Say that we are still there."""
        self._move(held)

    def release(self, held: Incoming) -> None:
        with self.database.writing() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == held.id, table.c.lock_owner == held.lock_owner)
                .values(lock_owner=None, locked_until=None)
            )

    def complete(self, held: Incoming, sha256: str) -> Upload:
        """The object is there: the upload appears, and its incoming row is closed, in one transaction."""
        with self.database.writing() as connection:
            self._close(connection, held, UploadState.COMPLETE)
            row = {
                "id": held.id,
                "tenant": held.tenant,
                "filename": held.filename,
                "size_bytes": held.size_bytes,
                "sha256": sha256,
            }
            connection.execute(insert(uploads).values(**row, created_at=database_now()))
            found = connection.execute(select(uploads).where(uploads.c.id == held.id)).mappings().one()
            return Upload(**found)

    def reject(self, held: Incoming) -> None:
        """It is not what its client announced."""
        with self.database.writing() as connection:
            self._close(connection, held, UploadState.CORRUPT)

    def give_up(self, held: Incoming) -> None:
        """What had come of it is lost."""
        with self.database.writing() as connection:
            self._close(connection, held, UploadState.EXPIRED)

    def terminate(self, upload_id: str) -> Incoming:
        """At once, whoever is writing to it: that one's next word finds it gone.

        Raises:
            UploadGone: it is gone already.
        """
        with self.database.writing() as connection:
            row = self._row(connection, upload_id, is_for_update=True)
            if row.state not in (*OPEN_UPLOAD_STATES, UploadState.CORRUPT):
                refuse_closed(row)
            connection.execute(
                update(table).where(table.c.id == upload_id).values(state=UploadState.TERMINATED)
            )
        return row

    def reserved_bytes(self) -> int:
        """What the uploads under way have announced and not yet sent."""
        query = select(func.sum(table.c.size_bytes - table.c.offset_bytes)).where(
            table.c.state.in_(list(OPEN_UPLOAD_STATES)), table.c.expires_at > database_now()
        )
        with self.database.reading() as connection:
            return int(connection.scalar(query) or 0)

    def _close(self, connection: Connection, held: Incoming, state: UploadState) -> None:
        done = connection.execute(
            update(table).where(*_is_held(held)).values(state=state, lock_owner=None, locked_until=None)
        )
        if done.rowcount != 1:
            self._explain(connection, held)

    def _move(self, held: Incoming, **values: Any) -> Incoming:
        locked_until = database_now() + self.lock_seconds
        with self.database.writing() as connection:
            done = connection.execute(
                update(table).where(*_is_held(held)).values(locked_until=locked_until, **values)
            )
            if done.rowcount != 1:
                self._explain(connection, held)
            return self._row(connection, held.id)

    def _explain(self, connection: Connection, held: Incoming) -> None:
        """Why an upload that was ours is not ours any more."""
        refuse_closed(self._row(connection, held.id))
        raise UploadLocked

    def _row(self, connection: Connection, upload_id: str, *, is_for_update: bool = False) -> Incoming:
        query = select(table).where(table.c.id == upload_id, self._is_mine())
        query = query.with_for_update() if is_for_update else query
        row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("upload", upload_id)
        return as_incoming(row)

    def _is_mine(self) -> ColumnElement[bool]:
        return true() if self._tenant is None else table.c.tenant == self._tenant


def as_incoming(row: RowMapping) -> Incoming:
    return Incoming(**{**row, "state": UploadState(row["state"])})


def refuse_closed(row: Incoming, now: float | None = None) -> None:
    """Raises:
    UploadIsComplete, DigestMismatch, UploadGone: nothing can be added to it, and why.
    """
    if row.state is UploadState.COMPLETE:
        raise UploadIsComplete
    if row.state is UploadState.CORRUPT:
        raise DigestMismatch
    if row.state not in OPEN_UPLOAD_STATES:
        raise UploadGone(row.state)
    if now is not None and row.state is UploadState.RECEIVING and row.expires_at <= now:
        raise UploadGone(UploadState.EXPIRED)


def _now(connection: Connection) -> float:
    return float(connection.scalar(select(database_now())) or 0.0)


def refuse_offset(row: Incoming, offset_bytes: int) -> None:
    if row.offset_bytes != offset_bytes:
        raise OffsetMismatch(row.offset_bytes)


def _is_held(held: Incoming) -> tuple[ColumnElement[bool], ...]:
    """Compare and set: only the holder of the lock moves a row, and only from where it saw it."""
    return (
        table.c.id == held.id,
        table.c.state == held.state,
        table.c.lock_owner == held.lock_owner,
        table.c.offset_bytes == held.offset_bytes,
    )
