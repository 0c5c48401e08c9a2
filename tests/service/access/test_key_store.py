"""Keys in SQL: what lets a request in, and what ends that."""

import threading

import pytest
from sqlalchemy import select, update

from service.access.key_store import KeyStore
from service.access.keys import mint
from service.access.local_key import FILE, local_key
from service.access.scopes import ALL_SCOPES, Scope
from service.access.server_secrets import server_secret
from service.errors import IllegalTransition, InvalidRequest, NotFound, Unauthorized
from service.jobs.database import Database, database_now
from service.jobs.tables import api_keys
from service.settings import Settings

READS = frozenset({Scope.JOBS_READ})


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database, "acme")


def test_a_key_lets_its_tenant_in_with_its_scopes(keys: KeyStore) -> None:
    new = keys.create("ci", READS)
    caller = keys.caller(new.text)
    assert (caller.key_id, caller.tenant, caller.scopes) == (new.key.id, "acme", READS)


def test_the_secret_is_nowhere_in_the_database(keys: KeyStore, database: Database) -> None:
    new = keys.create("ci", READS)
    secret = new.text.removeprefix(f"ns_{new.key.id}_")[:43]
    with database.reading() as connection:
        assert secret not in str(connection.execute(select(api_keys)).all())


def test_another_secret_under_a_known_id_does_not_let_in(keys: KeyStore) -> None:
    known, other = keys.create("ci", READS), mint()
    forged = str(type(other)(known.key.id, other.secret))
    with pytest.raises(Unauthorized) as wrong_secret:
        keys.caller(forged)
    with pytest.raises(Unauthorized) as unknown:
        keys.caller(str(other))
    assert wrong_secret.value.message == unknown.value.message


def test_a_revoked_key_never_lets_in_again(keys: KeyStore) -> None:
    new = keys.create("ci", READS)
    revoked = keys.revoke(new.key.id)
    assert keys.revoke(new.key.id).revoked_at == revoked.revoked_at is not None
    with pytest.raises(Unauthorized):
        keys.caller(new.text)
    with pytest.raises(IllegalTransition):
        keys.rotate(new.key.id, 60)


def test_an_expired_key_does_not_let_in(keys: KeyStore) -> None:
    assert keys.caller(keys.create("soon", READS, 60).text)
    with pytest.raises(Unauthorized):
        keys.caller(keys.create("late", READS, -1).text)


def test_after_a_rotation_both_keys_let_in_until_the_grace_period_ends(
    keys: KeyStore, database: Database
) -> None:
    old = keys.create("ci", READS)
    new = keys.rotate(old.key.id, 3600)
    assert (new.key.name, new.key.scopes, new.key.tenant) == ("ci", READS, "acme")
    assert {keys.caller(text).scopes for text in (old.text, new.text)} == {READS}
    with database.writing() as connection:  # an hour later
        an_hour_ago = database_now() - 1
        connection.execute(update(api_keys).where(api_keys.c.id == old.key.id).values(expires_at=an_hour_ago))
    assert keys.caller(new.text)
    with pytest.raises(Unauthorized):
        keys.caller(old.text)


def test_a_rotation_never_lengthens_a_keys_life(keys: KeyStore) -> None:
    old = keys.create("ci", READS, 60)
    new = keys.rotate(old.key.id, 3600)
    assert keys.key(old.key.id).expires_at == old.key.expires_at
    assert old.key.expires_at is not None
    assert new.key.expires_at is not None
    assert new.key.expires_at - new.key.created_at == pytest.approx(60, abs=0.1)


def test_the_use_of_a_key_is_noted_once_a_minute(keys: KeyStore, database: Database) -> None:
    new = keys.create("ci", READS)
    assert new.key.last_used_at is None
    keys.caller(new.text)
    first = keys.key(new.key.id).last_used_at
    keys.caller(new.text)
    assert keys.key(new.key.id).last_used_at == first is not None
    with database.writing() as connection:
        connection.execute(update(api_keys).values(last_used_at=database_now() - 61))
    keys.caller(new.text)
    again = keys.key(new.key.id).last_used_at
    assert again is not None
    assert again >= first


def test_the_keys_of_another_tenant_are_not_there(keys: KeyStore, database: Database) -> None:
    theirs = KeyStore(database, "other").create("theirs", READS)
    assert keys.all() == []
    for ask in (keys.key, keys.revoke, lambda key_id: keys.rotate(key_id, 1)):
        with pytest.raises(NotFound):
            ask(theirs.key.id)
    assert keys.caller(theirs.text).tenant == "other"


def test_a_scope_of_a_newer_version_allows_nothing_here(keys: KeyStore, database: Database) -> None:
    new = keys.create("ci", READS)
    with database.writing() as connection:
        connection.execute(update(api_keys).values(scopes=["jobs:read", "moon:write"]))
    assert keys.caller(new.text).scopes == READS


def test_a_tenant_needs_a_plain_name(database: Database) -> None:
    with pytest.raises(InvalidRequest):
        KeyStore(database, "a b").create("x", READS)


def test_the_local_key_is_found_again_and_replaced_when_it_is_refused(settings: Settings) -> None:
    first = local_key(settings)
    file = settings.data_dir / FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert local_key(settings) == first
    database = Database(settings.database)
    store = KeyStore(database, "local")
    assert store.caller(first).scopes == ALL_SCOPES
    store.revoke(store.caller(first).key_id)
    second = local_key(settings)
    assert second != first
    assert store.caller(second).tenant == "local"
    for broken in ("", "{}", '{"key": "ns_no"}', "[]"):
        file.write_text(broken)
        assert store.caller(local_key(settings)).tenant == "local"
    database.close()


def test_servers_that_start_at_once_agree_on_a_secret(database: Database) -> None:
    ready, found = threading.Barrier(4), []

    def ask() -> None:
        own = Database(database.url)
        ready.wait(10)
        found.append(server_secret(own, "cursors"))
        own.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 4
    assert set(found) == {server_secret(database, "cursors")}
    assert server_secret(database, "another") not in found
