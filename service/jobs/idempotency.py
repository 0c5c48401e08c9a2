"""Answers kept by `Idempotency-Key`: a request that is sent again makes nothing twice.

A request begins by taking the key: a row, with a claim that nobody else has. The transaction that writes what
the request makes (a job, a key, a webhook, an upload) also writes the id of it into that row, under that
claim. So either both are there or neither, wherever the server ends: a repeat finds the id and answers with
what was made, or finds none and may make it. A request that was so slow that its key was given to a repeat
finds its claim gone, and makes nothing.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from service.errors import IdempotencyInProgress, IdempotencyMismatch
from service.jobs.database import Database, database_now
from service.jobs.tables import LOCAL_TENANT
from service.jobs.tables import idempotency_keys as table

KEPT_SECONDS = 24 * 3600
# A server that was killed before it made anything leaves its key behind; afterwards a repeat may make it.
GIVEN_UP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Made:
    """The first request made this, and its server ended before it had kept the answer."""

    id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make, once, what a request with a key asks for."""

    tenant: str
    key: str
    path: str
    secret: str

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is made in this block, threads that it starts included, is made for the request."""
        token = _held.set(self)
        try:
            yield
        finally:
            _held.reset(token)

    @property
    def is_mine(self) -> ColumnElement[bool]:
        return and_(_is_at(self.tenant, self.key, self.path), table.c.claim == self.secret)


# The request that this thread works for: the stores that make something are many calls below the route.
_held: ContextVar[Claim | None] = ContextVar("claim", default=None)


def note_made(connection: Connection, made_id: str) -> None:
    """To be called in the transaction that makes it. Without a key there is nothing to note.

    Raises:
        IdempotencyInProgress: the key has been given to a repeat, or something was made for it already.
    """
    claim = _held.get()
    if claim is None:
        return
    is_first = claim.is_mine & table.c.made_id.is_(None)
    if connection.execute(update(table).where(is_first).values(made_id=made_id)).rowcount != 1:
        raise IdempotencyInProgress(claim.key)


class IdempotencyStore:
    """The answers of one tenant; two tenants may use the same key."""

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        self._database = database
        self._tenant = tenant or LOCAL_TENANT

    def begin(self, key: str, path: str, body: bytes) -> Claim | Made | KeptAnswer:
        """The answer that was given before, or what was made; else a claim: the caller is to make it.

        Raises:
            IdempotencyMismatch: the key was used with another body.
            IdempotencyInProgress: the first request with the key has not made anything yet.
        """
        claim = Claim(self._tenant, key, path, secrets.token_hex(16))
        digest = hashlib.sha256(body).hexdigest()
        try:
            with self._database.writing() as connection:
                self._forget_old(connection)
                row = {
                    "tenant": self._tenant,
                    "key": key,
                    "path": path,
                    "body_sha256": digest,
                    "claim": claim.secret,
                    "created_at": database_now(),
                }
                connection.execute(insert(table).values(**row))
            return claim
        except IntegrityError:
            return self._earlier(key, path, digest)

    def finish(self, claim: Claim, answer: KeptAnswer) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(table).where(claim.is_mine).values(status=answer.status, answer=answer.body)
            )

    def abandon(self, claim: Claim) -> None:
        """The request failed. It may be made again, unless it failed after it had made something."""
        with self._database.writing() as connection:
            connection.execute(delete(table).where(claim.is_mine, table.c.made_id.is_(None)))

    def _earlier(self, key: str, path: str, digest: str) -> Made | KeptAnswer:
        with self._database.reading() as connection:
            row = connection.execute(select(table).where(_is_at(self._tenant, key, path))).first()
        if row is not None and row.body_sha256 != digest:
            raise IdempotencyMismatch(key)
        if row is not None and row.status is not None:
            return KeptAnswer(row.status, row.answer)
        if row is None or row.made_id is None:
            raise IdempotencyInProgress(key)
        return Made(row.made_id)

    def _forget_old(self, connection: Connection) -> None:
        has_made_nothing = table.c.status.is_(None) & table.c.made_id.is_(None)
        is_old = (table.c.created_at < database_now() - KEPT_SECONDS) | (
            has_made_nothing & (table.c.created_at < database_now() - GIVEN_UP_SECONDS)
        )
        # PostgreSQL: two that forget at once do not wait for each other, nor for one that makes something.
        old = select(*table.primary_key).where(is_old).with_for_update(skip_locked=True)
        connection.execute(delete(table).where(tuple_(*table.primary_key).in_(old)))


def _is_at(tenant: str, key: str, path: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c.key == key, table.c.path == path)
