"""A key and what is made for it are written together: however many ask, and whoever dies, it is made once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from sqlalchemy import update

from service.errors import IdempotencyInProgress, IdempotencyMismatch
from service.jobs import idempotency
from service.jobs.database import Database
from service.jobs.idempotency import Claim, IdempotencyStore, KeptAnswer, Made
from service.jobs.job import JobKind
from service.jobs.store import JobStore
from service.jobs.submit import new_job
from service.jobs.tables import idempotency_keys

WISH = ("key", "/v1/quality", b"{}")


@pytest.fixture
def store(database: Database) -> IdempotencyStore:
    return IdempotencyStore(database)


def claimed(store: IdempotencyStore) -> Claim:
    begun = store.begin(*WISH)
    assert isinstance(begun, Claim)
    return begun


def make(database: Database, claim: Claim) -> str:
    job = new_job(JobKind.QUALITY, {})
    with claim.held():
        JobStore(database).add([job])
    return job.id


def made(database: Database) -> list[str]:
    return [job.id for job in JobStore(database).jobs(100, None)]


def let_time_pass(database: Database, seconds: float = idempotency.GIVEN_UP_SECONDS + 1) -> None:
    late = idempotency_keys.c.created_at - seconds
    with database.writing() as connection:
        connection.execute(update(idempotency_keys).values(created_at=late))


def test_what_was_made_is_found_by_whoever_asks_again(store: IdempotencyStore, database: Database) -> None:
    claim = claimed(store)
    with pytest.raises(IdempotencyInProgress):
        store.begin(*WISH)
    job_id = make(database, claim)
    assert store.begin(*WISH) == Made(job_id), "at once: the first may have ended without a word"
    let_time_pass(database)
    assert store.begin(*WISH) == Made(job_id)
    store.abandon(claim)
    assert store.begin(*WISH) == Made(job_id)
    store.finish(claim, KeptAnswer(202, "{}"))
    assert store.begin(*WISH) == KeptAnswer(202, "{}")
    with pytest.raises(IdempotencyMismatch):
        store.begin(*WISH[:2], b"[]")


def test_one_that_was_so_slow_that_its_key_was_given_away_makes_nothing(
    store: IdempotencyStore, database: Database
) -> None:
    slow = claimed(store)
    let_time_pass(database)
    repeat = claimed(store)
    with pytest.raises(IdempotencyInProgress):
        make(database, slow)
    assert made(database) == []
    store.abandon(slow)
    store.finish(slow, KeptAnswer(202, "late"))
    job_id = make(database, repeat)
    assert (made(database), store.begin(*WISH)) == ([job_id], Made(job_id))
    with pytest.raises(IdempotencyInProgress):
        make(database, slow)
    assert made(database) == [job_id]


def test_a_request_makes_one_thing(store: IdempotencyStore, database: Database) -> None:
    claim = claimed(store)
    job_id = make(database, claim)
    with pytest.raises(IdempotencyInProgress):
        make(database, claim)
    assert made(database) == [job_id]


def test_one_that_made_nothing_may_be_made_again_at_once(store: IdempotencyStore, database: Database) -> None:
    store.abandon(claimed(store))
    make(database, claimed(store))
    assert len(made(database)) == 1


def test_a_day_later_the_key_is_forgotten(store: IdempotencyStore, database: Database) -> None:
    make(database, claimed(store))
    let_time_pass(database, idempotency.KEPT_SECONDS + 1)
    assert isinstance(store.begin(*WISH), Claim)


def test_without_a_key_as_many_are_made_as_are_asked_for(database: Database) -> None:
    for _ in range(2):
        JobStore(database).add([new_job(JobKind.QUALITY, {})])
    assert len(made(database)) == 2


@pytest.mark.parametrize("seed", range(3))
def test_of_many_who_ask_at_once_and_die_on_the_way_one_makes_it(
    empty_database: Callable[[], Database], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are given up at once here, so that each takes them from the others in the middle of their work."""
    monkeypatch.setattr(idempotency, "GIVEN_UP_SECONDS", -1)
    database = empty_database()

    def ask(number: int) -> str:
        dice, store = Random(f"{seed} {number}"), IdempotencyStore(database)
        while True:
            try:
                begun = store.begin(*WISH)
                if isinstance(begun, KeptAnswer):
                    return begun.body
                if isinstance(begun, Made):
                    return begun.id
                if dice.random() < 0.4:
                    continue  # it dies before it makes anything
                job_id = make(database, begun)
                if dice.random() < 0.5:
                    continue  # it dies before it has kept its answer
                store.finish(begun, KeptAnswer(202, job_id))
                return job_id
            except IdempotencyInProgress:
                continue

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(ask, range(6), timeout=60))
    assert list(answers) == made(database)
