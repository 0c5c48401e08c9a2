"""Where numbers lie in a drawing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.learning.plots import Scale, lines

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(numbers))
def test_every_number_lies_inside_and_in_order(found: list[float]) -> None:
    scale = Scale.over(found)
    places = [scale.at(number) for number in sorted([0.0, *found])]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)


@given(st.lists(st.floats(0, 1), min_size=1))
def test_what_is_never_below_zero_begins_at_the_left(found: list[float]) -> None:
    assert Scale.over(found).at(0.0) == 0


def test_lines_share_their_scales() -> None:
    drawn, top = lines([("a", 0, [(1, 0.2), (4, 0.4)]), ("b", 1, [(2, 0.1)]), ("none", 2, [])])
    assert top == pytest.approx(0.4)
    assert [line.name for line in drawn] == ["a", "b"]
    assert drawn[0].points.startswith("25,")
    assert drawn[1].points.startswith("0,")  # a single point is drawn as a flat line
    assert drawn[1].last == 0.1
