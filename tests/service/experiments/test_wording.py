"""Numbers are written the same everywhere, and names are harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiments.wording import counted, percent, point_range, points, printable, share, with_spread


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (0.0312, "+3.1"),
        (-0.0312, "−3.1"),
        (0.0004, "+0.04"),
        (-0.0004, "−0.04"),
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (-0.00001, "0.0"),
        (0.0005, "+0.1"),
        (1.0, "+100.0"),
    ],
)
def test_a_difference_is_written_in_points(difference: float, text: str) -> None:
    assert points(difference) == text


def test_numbers_are_written_as_people_read_them() -> None:
    assert [percent(0.2234), percent(None), percent(1.0)] == ["22.3", "–", "100.0"]
    assert with_spread({"mean": 0.2234, "sd": 0.01}) == "22.3 ± 1.0"
    assert with_spread({"mean": 0.2234, "sd": None}) == "22.3"
    assert with_spread({"mean": None, "sd": None}) == with_spread(None) == "–"
    assert point_range([-0.012, 0.049]) == "−1.2 to +4.9"
    assert [share(0.63), share(-0.2), share(-0.001), share(1.1)] == ["63 %", "−20 %", "0 %", "110 %"]
    assert [counted(1, "seed"), counted(1234, "box"), counted(0, "frame")] == [
        "1 seed",
        "1,234 boxes",
        "0 frames",
    ]


@given(st.text(st.characters(codec=None)))
def test_what_is_printed_can_be_written_as_utf8_and_turns_nothing_around(text: str) -> None:
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert len(shown) == len(text)
    assert not set(shown) & {"\u202e", "\x1b", "\x00", "\r"}
