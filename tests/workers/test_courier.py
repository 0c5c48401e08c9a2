"""Webhooks are sent beside the rounds, if the operator allows them."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from service.jobs.database import Database
from service.settings import Settings
from service.webhooks.delivery import Courier
from workers.courier import start_courier


class Calls:
    """Stands in for a courier's deliveries; `awaited` is set when there were four."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.count = 0
        self.awaited = threading.Event()

    def __call__(self, *_: object) -> int:
        self.count += 1
        if self.count >= 4:
            self.awaited.set()
        if self.failures:
            raise self.failures.pop(0)
        return 1


@pytest.fixture
def stopping() -> Any:
    event = threading.Event()
    yield event
    event.set()


def couriers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "courier"]


def test_nothing_is_sent_unless_it_is_allowed(settings: Settings, database: Database, stopping: Any) -> None:
    (chore,) = start_courier(settings, database, stopping)
    assert couriers() == []
    chore.do()


def test_it_goes_on_after_every_error_and_ends_when_told(
    tmp_path: Path, database: Database, stopping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = OperationalError("SELECT", {}, Exception("gone"))
    calls = Calls(away, ExceptionGroup("of one delivery", [away]), RuntimeError("unforeseen"))
    monkeypatch.setattr(Courier, "deliver_due", calls)
    monkeypatch.setattr("workers.courier.LOOK_EVERY_SECONDS", 0.01)
    start_courier(Settings(data_dir=tmp_path, webhooks_allowed=True), database, stopping)
    (thread,) = couriers()
    assert calls.awaited.wait(10)
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()
