"""Uploads are swept beside the reconciler's rounds, one sweep at a time."""

import threading

import pytest

from service.jobs.database import Database
from service.jobs.library import Library
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore
from service.uploads.expiry import Sweeper
from workers.chores import Aside, Chore
from workers.upload_sweeping import upload_chore


def do(chore: Chore) -> None:
    """To its end."""
    chore.do()
    assert isinstance(chore.do, Aside)
    assert chore.do.thread is not None
    chore.do.thread.join()


def test_an_upload_is_removed_after_the_time_of_the_settings(
    settings: Settings, database: Database, store: ObjectStore
) -> None:
    store.write(keys.upload("up-old"), b"zip")
    Library(database).add_upload("up-old", "day.zip", 3, "0" * 64)
    do(upload_chore(settings.model_copy(update={"upload_kept_seconds": 1e-6}), database, store))
    assert not store.exists(keys.upload("up-old"))


def test_a_sweep_that_takes_long_delays_nothing_and_is_not_begun_twice(
    settings: Settings, database: Database, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = [], threading.Event()

    def sweep(_self: Sweeper, _kept_seconds: float) -> None:
        begun.append(threading.current_thread())
        may_end.wait()

    monkeypatch.setattr(Sweeper, "__call__", sweep)
    chore = upload_chore(settings, database, store)
    for _ in range(3):
        chore.do()
    may_end.set()
    begun[0].join()
    assert len(begun) == 1
    do(chore)
    assert len(begun) == 2


def test_a_database_that_is_away_is_no_end(
    settings: Settings, database: Database, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Sweeper, _kept_seconds: float) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(Sweeper, "__call__", fail)
    chore = upload_chore(settings, database, store)
    for _ in range(2):
        do(chore)
