"""A database that is away for a moment costs a worker that moment, and not its shard."""

import pytest
from sqlalchemy.exc import OperationalError

from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from tests.servers.postgres import PostgresServer
from workers import patience
from workers.patience import patient


class Flaky:
    """Fails so often, then answers."""

    name = "flaky"

    def __init__(self, failures: int, error: Exception) -> None:
        self.left = failures
        self.error = error

    def look(self, word: str) -> str:
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return word


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK_EVERY_SECONDS", 0.01)


def away() -> OperationalError:
    return OperationalError("SELECT 1", {}, ConnectionError("away"))


def test_a_call_is_repeated_until_the_database_is_back() -> None:
    store = patient(Flaky(3, away()), seconds=60.0)
    assert (store.look("word"), store.name) == ("word", "flaky")


def test_after_a_lease_nobody_waits_any_more() -> None:
    with pytest.raises(OperationalError):
        patient(Flaky(10, away()), seconds=0.0).look("word")


def test_what_time_will_not_cure_is_not_repeated() -> None:
    store = Flaky(1, ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        patient(store, seconds=60.0).look("word")


@pytest.mark.servers
def test_a_restart_of_postgresql_is_not_noticed(postgres_server: PostgresServer) -> None:
    database = Database(postgres_server.new_database())
    database.migrate()
    leases = patient(LeaseStore(database, 30.0, 3), seconds=60.0)
    assert leases.claim("job-none", 0, "worker") is None
    postgres_server.stop()
    with pytest.raises(OperationalError):
        LeaseStore(database, 30.0, 3).claim("job-none", 0, "worker")
    postgres_server.start()
    assert leases.claim("job-none", 0, "worker") is None
    database.close()
