"""The keys in SQL: made, listed, checked, rotated, revoked. A row has the hash of a secret and no more."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    func,
    insert,
    null,
    select,
    true,
    update,
)

from service.access.caller import Caller
from service.access.keys import ApiKey, KeyText, check_tenant, mint, parse
from service.access.scopes import Scope
from service.errors import IllegalTransition, NotFound, Unauthorized
from service.jobs.database import Database, database_now
from service.jobs.idempotency import note_made
from service.jobs.tables import LOCAL_TENANT
from service.jobs.tables import api_keys as table

COLUMNS = [table.c[name] for name in ApiKey.__dataclass_fields__]
# A write on every request would cost more than the request; nobody needs to know it to the second.
USE_NOTED_EVERY_SECONDS = 60.0
# What an unknown id is compared with, so that it takes as long as a wrong secret.
_NO_SECRET = "0" * 64


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its text, which is shown once and then known to its owner alone."""

    key: ApiKey
    text: str


class KeyStore:
    """Of one tenant, whose keys alone it knows; or of the machinery (None), which sees those of all."""

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        self._database = database
        self._tenant = tenant

    def create(self, name: str, scopes: Collection[Scope], valid_seconds: float | None = None) -> NewKey:
        """Raises:
        InvalidRequest: no tenant can be called so.
        """
        tenant = check_tenant(self._tenant or LOCAL_TENANT)
        with self._database.writing() as connection:
            text = _add(connection, tenant, name, scopes, valid_seconds)
        return NewKey(self.key(text.id), str(text))

    def key(self, key_id: str) -> ApiKey:
        with self._database.reading() as connection:
            query = select(*COLUMNS).where(table.c.id == key_id, self._is_mine())
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("key", key_id)
        return _as_key(row)

    def all(self) -> list[ApiKey]:
        """Newest first. A tenant has a handful."""
        newest = (table.c.created_at.desc(), table.c.id.desc())
        query = select(*COLUMNS).where(self._is_mine()).order_by(*newest)
        with self._database.reading() as connection:
            return [_as_key(row) for row in connection.execute(query).mappings()]

    def revoke(self, key_id: str) -> ApiKey:
        """At once and for ever; revoking again changes nothing."""
        self.key(key_id)
        with self._database.writing() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == key_id, table.c.revoked_at.is_(None))
                .values(revoked_at=database_now())
            )
        return self.key(key_id)

    def rotate(self, key_id: str, grace_seconds: float) -> NewKey:
        """A new key with the same name, scopes and time to live; the old one is valid for so long still.

        Raises:
            IllegalTransition: the old one is no longer valid.
        """
        old = self.key(key_id)
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        end = database_now() + grace_seconds
        is_later = table.c.expires_at.is_(None) | (table.c.expires_at > end)
        with self._database.writing() as connection:
            if connection.scalar(select(table.c.id).where(table.c.id == key_id, _is_valid())) is None:
                raise IllegalTransition(f"Key {key_id}", "no longer valid", "rotated")
            connection.execute(update(table).where(table.c.id == key_id, is_later).values(expires_at=end))
            text = _add(connection, old.tenant, old.name, old.scopes, lifetime)
        return NewKey(self.key(text.id), str(text))

    def caller(self, text: str) -> Caller:
        """Raises:
        Unauthorized: the text is no key, or none that is valid.
        """
        presented = parse(text)
        if presented is None:
            raise Unauthorized("The API key is malformed.")
        with self._database.reading() as connection:
            row = connection.execute(_PRESENTED, {"key_id": presented.id}).mappings().first()
        is_known = presented.matches(_NO_SECRET if row is None else row["secret_sha256"])
        # One answer for all of these: whoever tries keys learns nothing of them.
        if row is None or not is_known or not row["is_valid"]:
            raise Unauthorized("The API key is not valid: it is unknown, expired or revoked.")
        if row["is_to_be_noted"]:
            self._note_use(presented.id)
        return Caller(presented.id, row["tenant"], _scopes(row["scopes"]))

    def caller_by_id(self, key_id: str) -> Caller:
        """For those who have shown the key before, such as by a cookie.

        Raises:
            Unauthorized: the key is no longer valid.
        """
        with self._database.reading() as connection:
            row = connection.execute(_PRESENTED, {"key_id": key_id}).mappings().first()
        if row is None or not row["is_valid"]:
            raise Unauthorized("The API key is not valid: it is unknown, expired or revoked.")
        if row["is_to_be_noted"]:
            self._note_use(key_id)
        return Caller(key_id, row["tenant"], _scopes(row["scopes"]))

    def _note_use(self, key_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == key_id, _is_to_be_noted())
                .values(last_used_at=database_now())
            )

    def _is_mine(self) -> ColumnElement[bool]:
        return true() if self._tenant is None else table.c.tenant == self._tenant


def _add(
    connection: Connection, tenant: str, name: str, scopes: Collection[Scope], valid_seconds: float | None
) -> KeyText:
    text = mint()
    row = {
        "id": text.id,
        "tenant": tenant,
        "name": name,
        "secret_sha256": text.secret_sha256,
        "scopes": sorted(scopes),
        "created_at": database_now(),
        "expires_at": null() if valid_seconds is None else database_now() + valid_seconds,
    }
    connection.execute(insert(table).values(**row))
    note_made(connection, text.id)
    return text


def _is_valid() -> ColumnElement[bool]:
    return table.c.revoked_at.is_(None) & (func.coalesce(table.c.expires_at, 1e18) > database_now())


def _is_to_be_noted() -> ColumnElement[bool]:
    return func.coalesce(table.c.last_used_at, 0.0) < database_now() - USE_NOTED_EVERY_SECONDS


def _as_key(row: RowMapping) -> ApiKey:
    return ApiKey(**{**row, "scopes": _scopes(row["scopes"])})


def _scopes(words: list[str]) -> frozenset[Scope]:
    """A scope that this version does not know, of a key made by another, allows nothing here."""
    known = {str(scope) for scope in Scope}
    return frozenset(Scope(word) for word in words if word in known)


# Put together once: every request asks it.
_PRESENTED = select(table, _is_valid().label("is_valid"), _is_to_be_noted().label("is_to_be_noted")).where(
    table.c.id == bindparam("key_id")
)
