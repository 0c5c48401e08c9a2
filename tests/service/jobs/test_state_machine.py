"""The moves of jobs, shards and datasets: the code's table, the database's table and its triggers agree."""

from contextlib import nullcontext
from itertools import permutations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError

from service.jobs.database import Database
from service.jobs.job import MOVES
from service.jobs.settling import complete_shard_row
from service.jobs.tables import datasets, jobs, legal_moves, metadata, shards

TABLES = {"job": jobs, "shard": shards, "dataset": datasets}
ID_COLUMNS = {"job": jobs.c.id, "shard": shards.c.job_id, "dataset": datasets.c.id}


def add_row(database: Database, machine: str, name: str, state: str) -> None:
    job = {"id": name, "kind": "ingest", "version": 1, "spec": {}, "outcome": {}, "created_at": 0.0}
    shard = {"job_id": name, "index": 0, "stage": "work", "state": state, "plan_key": "", "result_key": ""}
    dataset = {
        "id": name, "name": "", "state": state, "version": 1, "job_id": name, "source": {}, "categories": [],
        "counts": {}, "created_at": 0.0,
    }  # fmt: skip
    with database.writing() as connection:
        connection.execute(insert(jobs).values(**job, state=state if machine == "job" else "queued"))
        if machine == "shard":
            connection.execute(insert(shards), [complete_shard_row(shard)])
        if machine == "dataset":
            connection.execute(insert(datasets).values(**dataset))


@pytest.mark.parametrize("machine", TABLES)
def test_the_database_makes_the_legal_moves_and_refuses_all_others(database: Database, machine: str) -> None:
    for before, after in permutations(MOVES[machine], 2):
        name = f"{before}-{after}"
        add_row(database, machine, name, before)
        is_legal = after in MOVES[machine][before]
        with nullcontext() if is_legal else pytest.raises(DBAPIError, match="illegal move"):
            move(database, machine, name, after)
        with database.reading() as connection:
            state = connection.scalar(select(TABLES[machine].c.state).where(ID_COLUMNS[machine] == name))
        assert state == (after if is_legal else before), name


def move(database: Database, machine: str, name: str, state: str) -> None:
    with database.writing() as connection:
        connection.execute(update(TABLES[machine]).where(ID_COLUMNS[machine] == name).values(state=state))


def test_the_migrations_make_the_tables_that_the_code_describes(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_the_database_knows_the_moves_of_the_code(database: Database) -> None:
    with database.reading() as connection:
        stored = {tuple(row) for row in connection.execute(select(legal_moves))}
    wanted = {
        (machine, str(before), str(after))
        for machine, moves in MOVES.items()
        for before, following in moves.items()
        for after in following
    }
    assert stored == wanted


def test_migrating_twice_changes_nothing(database: Database) -> None:
    database.migrate()
