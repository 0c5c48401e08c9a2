"""The moves of jobs, shards and datasets: the code's table, the database's table and its triggers agree."""

from itertools import product

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError

from service.jobs.database import Database
from service.jobs.job import DATASET_MOVES, JOB_MOVES, MOVES, SHARD_MOVES
from service.jobs.settling import complete_shard_row
from service.jobs.tables import datasets, jobs, legal_moves, metadata, shards

TABLES = {"job": jobs, "shard": shards, "dataset": datasets}
PAIRS = [
    (machine, before, after)
    for machine, moves in (("job", JOB_MOVES), ("shard", SHARD_MOVES), ("dataset", DATASET_MOVES))
    for before, after in product(moves, moves)
    if before != after
]


def add_row(database: Database, machine: str, state: str) -> None:
    job = {
        "id": "job-1",
        "kind": "ingest",
        "state": "queued",
        "version": 1,
        "spec": {},
        "outcome": {},
        "created_at": 0.0,
    }
    with database.writing() as connection:
        connection.execute(insert(jobs).values(**{**job, "state": state if machine == "job" else "queued"}))
        if machine == "shard":
            row = {
                "job_id": "job-1",
                "index": 0,
                "stage": "work",
                "state": state,
                "plan_key": "",
                "result_key": "",
            }
            connection.execute(insert(shards), [complete_shard_row(row)])
        if machine == "dataset":
            connection.execute(
                insert(datasets).values(
                    id="ds-1", name="", state=state, version=1, job_id="job-1", source={},
                    categories=[], counts={}, created_at=0.0,
                )
            )  # fmt: skip


@pytest.mark.parametrize(("machine", "before", "after"), PAIRS)
def test_the_database_makes_the_legal_moves_and_refuses_all_others(
    database: Database, machine: str, before: str, after: str
) -> None:
    add_row(database, machine, before)

    def move() -> None:
        with database.writing() as connection:
            connection.execute(update(TABLES[machine]).values(state=after))

    if after in MOVES[machine][before]:
        move()
    else:
        with pytest.raises(DBAPIError, match="illegal move"):
            move()
    with database.reading() as connection:
        state = connection.scalar(select(TABLES[machine].c.state))
    assert state == (after if after in MOVES[machine][before] else before)


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
