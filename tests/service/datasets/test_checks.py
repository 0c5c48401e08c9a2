"""Boxes are kept, clipped or dropped, and never mended silently."""

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.checks import check_box
from service.datasets.dataset import Severity

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@pytest.mark.parametrize(
    ("raw", "kept", "code", "severity"),
    [
        ((30, 20, 10, 40), None, "box-inverted", ERROR),
        ((10, 40, 30, 20), None, "box-inverted", ERROR),
        ((10, 20, 10, 40), None, "box-degenerate", WARNING),
        ((10, 20, 30, 20.9), None, "box-degenerate", WARNING),
        ((-2, 10, 30, 40), (0, 10, 30, 40), "box-clipped", NOTE),
        ((50, 10, 101.5, 50.5), (50, 10, 100, 50), "box-clipped", NOTE),
        ((-2.1, 10, 30, 40), (0, 10, 30, 40), "box-out-of-bounds", WARNING),
        ((50, 10, 5000, 40), (50, 10, 100, 40), "box-out-of-bounds", WARNING),
        ((100, 10, 130, 40), None, "box-out-of-bounds", ERROR),
        ((-30, 10, -1, 40), None, "box-out-of-bounds", ERROR),
        ((99.5, 10, 130, 40), None, "box-out-of-bounds", ERROR),
        ((nan, 1, 9, 9), None, "bad-number", ERROR),
        ((1, 1, inf, 9), None, "bad-number", ERROR),
        ((1, 1, "9", 9), None, "bad-number", ERROR),
        ((True, 1, 9, 9), None, "bad-number", ERROR),
        ((None, 1, 9, 9), None, "bad-number", ERROR),
        ((1, 9, 9), None, "bad-number", ERROR),
        (("x" * 1000, 1, 9, 9), None, "bad-number", ERROR),
    ],
)
def test_a_fault_is_named_with_its_place(raw: Any, kept: Any, code: str, severity: Severity) -> None:
    box, finding = check_box(raw, 100, 50, "a.json", "labels/3")
    assert box == kept
    assert finding
    assert (finding.code, finding.severity, finding.path) == (code, severity, "a.json")
    assert finding.pointer == "labels/3"
    assert finding.cure or severity is NOTE
    assert len(finding.message) < 400


def test_a_box_of_one_pixel_written_as_corner_and_length_is_kept() -> None:
    y1 = 0.13
    assert (y1 + 1.0) - y1 < 1.0
    assert check_box((0.0, y1, 1.0, y1 + 1.0), 64, 64, "a", "") == ((0.0, y1, 1.0, y1 + 1.0), None)


@given(st.tuples(*[st.floats() | st.integers(-500, 500)] * 4))
def test_a_kept_box_lies_in_its_image_to_a_rounding_slip(raw: tuple[Any, ...]) -> None:
    box, finding = check_box(raw, 100, 50, "a.json", "labels/3")
    assert box or finding
    if box:
        x1, y1, x2, y2 = box
        assert -0.01 <= x1 <= x2 - 0.99 < 100
        assert -0.01 <= y1 <= y2 - 0.99 < 50
        assert x2 <= 100.01
        assert y2 <= 50.01
    if finding is None:
        assert box == raw
