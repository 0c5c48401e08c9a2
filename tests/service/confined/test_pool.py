"""Who is asked in a pool of children, and what their deaths lead to."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from service.confined.pool import TRIALS, Pool
from service.confined.process import ChildDied


class Stand:
    """A child that remembers for whom it has worked."""

    numbers = count()

    def __init__(self) -> None:
        self.number = next(self.numbers)
        self.is_fit = True
        self.is_closed = False
        self.owners: set[str] = set()

    def close(self) -> None:
        self.is_closed = True

    def work(self, owner: str) -> int:
        self.owners.add(owner)
        return self.number

    def die(self, is_late: bool = False) -> int:
        self.is_fit = False
        raise ChildDied(None, is_late)


class Nursery:
    def __init__(self, most: int | None = None) -> None:
        self.born: list[Stand] = []
        self.pool: Pool[Stand] = Pool(self._start, most)

    def _start(self) -> Stand:
        self.born.append(Stand())
        return self.born[-1]

    @property
    def alive(self) -> list[Stand]:
        return [child for child in self.born if not child.is_closed]


def test_one_child_serves_one_thread_for_long() -> None:
    nursery = Nursery()
    assert len({nursery.pool.ask(lambda child: child.work("")) for _ in range(5)}) == 1
    assert len(nursery.born) == 1


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_child_ever_works_for_two_owners(most: int) -> None:
    nursery = Nursery(most)
    for owner in "abacbcaabbcc":
        nursery.pool.ask(lambda child, owner=owner: child.work(owner), owner)  # type: ignore[misc]
        assert len(nursery.alive) <= most
    assert all(len(child.owners) == 1 for child in nursery.born)


def test_two_owners_by_turns_keep_their_children_where_there_is_room() -> None:
    nursery = Nursery(2)
    for owner in "abababab":
        nursery.pool.ask(lambda child, owner=owner: child.work(owner), owner)  # type: ignore[misc]
    assert len(nursery.born) == 2


def test_threads_at_once_have_a_child_each() -> None:
    nursery, together = Nursery(), threading.Barrier(3, timeout=30)

    def work(child: Stand) -> int:
        together.wait()
        return child.number

    with ThreadPoolExecutor(3) as threads:
        numbers = list(threads.map(lambda _: nursery.pool.ask(work), range(3)))
    assert len(set(numbers)) == 3
    nursery.pool.close()
    assert nursery.alive == []


def test_one_death_is_no_evidence() -> None:
    nursery = Nursery()
    assert nursery.pool.ask(lambda child: child.die() if child is nursery.born[0] else 7) == 7
    assert nursery.alive == nursery.born[1:]


def test_a_request_that_ends_every_child_is_given_up() -> None:
    nursery = Nursery()
    with pytest.raises(ChildDied):
        nursery.pool.ask(Stand.die)
    assert len(nursery.born) == TRIALS
    assert nursery.alive == []


def test_what_takes_too_long_is_not_tried_again() -> None:
    nursery = Nursery()
    with pytest.raises(ChildDied):
        nursery.pool.ask(lambda child: child.die(is_late=True))
    assert len(nursery.born) == 1


def test_a_child_that_cannot_start_takes_no_room() -> None:
    is_broken = True
    nursery = Nursery()

    def start() -> Stand:
        if is_broken:
            raise RuntimeError("does not start")
        return nursery._start()

    pool: Pool[Stand] = Pool(start, most=2)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            pool.warm_up()
    is_broken = False
    for owner in "abab":
        pool.ask(lambda child, owner=owner: child.work(owner), owner)  # type: ignore[misc]
    assert len(nursery.born) == 2
