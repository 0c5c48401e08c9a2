"""The stores of jobs work on SQLite and on PostgreSQL: every test of this folder runs on both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import delete

from service.jobs.database import Database
from service.jobs.tables import legal_moves, metadata
from service.settings import Settings
from tests.servers.postgres import PostgresServer

EmptyDatabase = Callable[[], Database]


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> Iterator[Database]:
    with closing(Database(postgres_server.new_database())) as database:
        database.migrate()
        yield database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def empty_database(request: pytest.FixtureRequest, settings: Settings) -> Iterator[EmptyDatabase]:
    """Makes databases that are migrated and empty; on PostgreSQL each takes the place of the one before."""
    numbers = iter(range(1000))
    with ExitStack() as made:

        def on_sqlite() -> Database:
            database = made.enter_context(closing(Database(f"{settings.database}-{next(numbers)}")))
            database.migrate()
            return database

        def on_postgres() -> Database:
            database: Database = request.getfixturevalue("postgres_database")
            with database.writing() as connection:
                for table in reversed(metadata.sorted_tables):
                    if table is not legal_moves:
                        connection.execute(delete(table))
            return database

        yield on_sqlite if request.param == "sqlite" else on_postgres


@pytest.fixture
def database(empty_database: EmptyDatabase) -> Database:
    return empty_database()
