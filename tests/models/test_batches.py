from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.batches import group_by_size

items = st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=60)


@settings(deadline=None)
@given(items, st.integers(1, 8), st.integers(1, 20))
def test_every_item_is_in_exactly_one_batch_of_its_size(
    sequence: list[tuple[str, int]], batch_size: int, look_ahead: int
) -> None:
    numbered = list(enumerate(sequence))
    batches = list(group_by_size(numbered, lambda item: item[1][0], batch_size, look_ahead))
    assert sorted(item for batch in batches for item in batch) == numbered
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert all(len({item[1][0] for item in batch}) == 1 for batch in batches)
    # within a batch, and of the batches by their first items, the order is that of the sequence
    assert all(batch == sorted(batch) for batch in batches)
    firsts = [batch[0][0] for batch in batches]
    assert firsts == sorted(firsts)
    assert batches == list(group_by_size(iter(numbered), lambda item: item[1][0], batch_size, look_ahead))


@settings(deadline=None)
@given(items, st.integers(1, 8), st.integers(1, 20))
def test_no_more_than_the_look_ahead_waits(
    sequence: list[tuple[str, int]], batch_size: int, look_ahead: int
) -> None:
    taken = 0

    def stream() -> Iterator[tuple[str, int]]:
        nonlocal taken
        for item in sequence:
            taken += 1
            yield item

    given_out = 0
    for batch in group_by_size(stream(), lambda item: item[0], batch_size, look_ahead):
        assert taken - given_out <= look_ahead
        given_out += len(batch)


def test_partners_are_found_behind_others() -> None:
    assert list(group_by_size("abacabb", str, 2)) == [["a", "a"], ["b", "b"], ["c"], ["a"], ["b"]]


@pytest.mark.parametrize(("batch_size", "look_ahead"), [(0, 1), (1, 0)])
def test_batches_and_look_ahead_hold_something(batch_size: int, look_ahead: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        list(group_by_size("ab", str, batch_size, look_ahead))
