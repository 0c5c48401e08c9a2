"""Answers kept by `Idempotency-Key`: a request that is sent again makes nothing twice."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from service.errors import IdempotencyInProgress, IdempotencyMismatch
from service.jobs.database import Database, database_now
from service.jobs.tables import LOCAL_TENANT
from service.jobs.tables import idempotency_keys as table

KEPT_SECONDS = 24 * 3600
# A server that was killed in mid-request leaves its key behind; afterwards the request may be made again.
GIVEN_UP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    status: int
    body: str


class IdempotencyStore:
    """The answers of one tenant; two tenants may use the same key."""

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        self._database = database
        self._tenant = tenant or LOCAL_TENANT

    def begin(self, key: str, path: str, body: bytes) -> KeptAnswer | None:
        """The answer that was given before, or None: then the caller is the one to make it.

        Raises:
            IdempotencyMismatch: the key was used with another body.
            IdempotencyInProgress: the first request with the key has not been answered yet.
        """
        digest = hashlib.sha256(body).hexdigest()
        try:
            with self._database.writing() as connection:
                self._forget_old(connection)
                row = {
                    "tenant": self._tenant,
                    "key": key,
                    "path": path,
                    "body_sha256": digest,
                    "created_at": database_now(),
                }
                connection.execute(insert(table).values(**row))
            return None
        except IntegrityError:
            return self._earlier(key, path, digest)

    def finish(self, key: str, path: str, answer: KeptAnswer) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(table).where(*self._at(key, path)).values(status=answer.status, answer=answer.body)
            )

    def abandon(self, key: str, path: str) -> None:
        """The request failed and made nothing; it may be made again."""
        with self._database.writing() as connection:
            connection.execute(delete(table).where(*self._at(key, path)))

    def _earlier(self, key: str, path: str, digest: str) -> KeptAnswer:
        with self._database.reading() as connection:
            row = connection.execute(select(table).where(*self._at(key, path))).first()
        if row is not None and row.body_sha256 != digest:
            raise IdempotencyMismatch(key)
        if row is None or row.status is None:
            raise IdempotencyInProgress(key)
        return KeptAnswer(row.status, row.answer)

    def _at(self, key: str, path: str) -> tuple[ColumnElement[bool], ...]:
        return table.c.tenant == self._tenant, table.c.key == key, table.c.path == path

    def _forget_old(self, connection: Connection) -> None:
        connection.execute(
            delete(table).where(
                (table.c.created_at < database_now() - KEPT_SECONDS)
                | (table.c.status.is_(None) & (table.c.created_at < database_now() - GIVEN_UP_SECONDS))
            )
        )
