"""Fixtures for the whole suite: a service's parts on a temporary folder, without any server."""

import os

# Before torch is loaded: on a machine that others use too, threads that spin make everything slow.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.store import JobStore
from service.jobs.submit import Desk
from service.settings import Settings
from service.storage.object_store import ObjectStore, open_store


class SilentQueue:
    """A doorbell that only remembers who was rung for."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[tuple[str, int]]] = {}

    @property
    def hints(self) -> list[tuple[str, int]]:
        return [hint for hints in self.by_name.values() for hint in hints]

    def send(self, name: str, hints: list[tuple[str, int]]) -> None:
        self.by_name.setdefault(name, []).extend(hints)

    def unread(self, _name: str) -> int:
        return 0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return open_store(settings)


@pytest.fixture
def queue() -> SilentQueue:
    return SilentQueue()


@pytest.fixture
def desk(database: Database, queue: SilentQueue) -> Desk:
    leases = LeaseStore(database, lease_seconds=30.0, attempts=3)
    return Desk(JobStore(database), Library(database), leases, queue)
