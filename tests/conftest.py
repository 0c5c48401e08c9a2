"""Fixtures for the whole suite: a service's parts on a temporary folder, without any server."""

import os
import shutil

# Before torch is loaded: on a machine that others use too, threads that spin make everything slow.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# A terminal's width is for whoever looks at one: the commands under test are told theirs.
os.environ.pop("COLUMNS", None)
# What Starlette's TestClient calls the server.
os.environ.setdefault("NIGHTSHIFT_ALLOWED_HOSTS", "testserver")

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.store import JobStore
from service.jobs.submit import Desk
from service.settings import SQLITE_FILE, Settings
from service.storage.object_store import ObjectStore, open_store

pytest_plugins = ["tests.servers.fixtures", "tests.serving"]


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


@pytest.fixture(autouse=True, scope="session")
def no_keys_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys of whoever runs the tests are neither used nor overwritten."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("NIGHTSHIFT_KEY", raising=False)
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", requests_per_second=0)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file as all migrations leave it: a copy is quicker than another migration, and hundreds are
    made.
    """
    settings = Settings(data_dir=tmp_path_factory.mktemp("migrated"))
    database = Database.of(settings)
    database.migrate()
    database.close()
    return settings.data_dir / SQLITE_FILE


@pytest.fixture
def database(settings: Settings, migrated: Path) -> Iterator[Database]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated, settings.data_dir / SQLITE_FILE)
    database = Database.of(settings)
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
