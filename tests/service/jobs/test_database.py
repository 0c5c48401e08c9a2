"""What readers and writers may expect of each other."""

from contextlib import closing

import pytest
from sqlalchemy import insert, select

from service.jobs.database import Database, database_now
from service.jobs.tables import server_secrets
from service.settings import Settings

ROW = {"name": "one", "value": "1", "created_at": 0.0}


def test_a_reader_waits_for_no_writer_and_sees_what_is_committed(database: Database) -> None:
    query = select(server_secrets.c.value).where(server_secrets.c.name == "one")
    with database.writing() as writer:
        writer.execute(insert(server_secrets).values(**ROW))
        with database.reading() as reader:  # one that asked for the writer's lock would never get it
            assert reader.scalar(query) is None
        assert writer.scalar(query) == "1"
    with database.reading() as reader:
        assert reader.scalar(query) == "1"


def test_a_connection_that_has_read_writes_in_a_transaction(settings: Settings) -> None:
    with closing(Database(settings.database, connections=1)) as database:
        database.migrate()
        with database.reading() as reader:
            assert reader.scalar(select(database_now()))
        with pytest.raises(ZeroDivisionError):
            _write_and_fail(database)
        with database.reading() as reader:
            assert reader.scalars(select(server_secrets.c.name)).all() == []


def _write_and_fail(database: Database) -> None:
    with database.writing() as writer:
        writer.execute(insert(server_secrets).values(**ROW))
        raise ZeroDivisionError
