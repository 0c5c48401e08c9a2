"""Work done at once is handed out in order, and never runs far ahead of its consumer."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.progress import in_order


@settings(max_examples=40, deadline=None)
@given(items=st.lists(st.integers(), max_size=30), ahead=st.integers(0, 8), threads=st.integers(1, 4))
def test_results_come_in_the_order_of_their_items(items: list[int], ahead: int, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        assert list(in_order(pool, lambda item: item * 2, items, ahead)) == [item * 2 for item in items]


def test_an_item_that_takes_long_comes_before_those_that_overtook_it() -> None:
    others_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert others_done.wait(10)
        elif item == 3:
            others_done.set()
        return item

    with ThreadPoolExecutor(2) as pool:
        assert list(in_order(pool, work, range(4), ahead=4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_no_more_than_ahead_results_wait_for_a_slow_consumer(ahead: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(20):
            taken += 1
            yield item

    waiting = []
    with ThreadPoolExecutor(2) as pool:
        for received, _ in enumerate(in_order(pool, str, items(), ahead), start=1):
            waiting.append(taken - received)
    assert max(waiting) == ahead
    assert waiting[-1] == 0


def test_an_error_comes_through_in_its_turn() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("item 2 is bad")
        time.sleep(0.002 * (3 - item))
        return item

    received = []
    with ThreadPoolExecutor(3) as pool:
        results = in_order(pool, work, range(6), ahead=5)
        with pytest.raises(ValueError, match="item 2 is bad"):
            received.extend(results)
    assert received == [0, 1]


def test_an_error_of_the_items_themselves_comes_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="the disk is gone"):
        list(in_order(pool, str, items(), ahead=3))
