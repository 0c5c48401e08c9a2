"""Chores: each at its own pace, and none stops the others."""

import pytest

from workers.chores import Chore, do_due


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("workers.chores.time.monotonic", lambda: now[0])
    return now


def test_a_chore_is_done_at_once_and_then_at_its_own_pace(clock: list[float]) -> None:
    done: list[str] = []
    chores = [
        Chore("often", 1.0, lambda: done.append("often")),
        Chore("seldom", 60.0, lambda: done.append("seldom")),
    ]
    for _ in range(3):
        do_due(chores)
        clock[0] += 1.0
    assert done == ["often", "seldom", "often", "often"]


def test_a_chore_that_fails_stops_no_other_and_waits_for_its_next_turn(clock: list[float]) -> None:
    def fail() -> None:
        raise OSError("the store is away")

    chores = [Chore("failing", 5.0, fail), Chore("other", 5.0, lambda: None)]
    assert do_due(chores) == ["other"]
    assert do_due(chores) == []
    clock[0] += 5.0
    assert do_due(chores) == ["other"]
