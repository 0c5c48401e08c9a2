"""Cursors: read back by whom they were made for, and by nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.cursors import Cursors
from service.errors import BrokenCursor, ForeignCursor

OURS = Cursors("a secret", "acme")


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=40))
def test_a_cursor_is_read_back(age: float, last_id: str) -> None:
    assert OURS.decode("jobs", OURS.encode("jobs", [age, last_id]), float, str) == [age, last_id]


def test_a_cursor_of_another_tenant_or_listing_is_foreign() -> None:
    theirs = Cursors("a secret", "other").encode("jobs", [1.0, "job-1"])
    for cursor in (theirs, OURS.encode("datasets", [1.0, "ds-1"])):
        with pytest.raises(ForeignCursor):
            OURS.decode("jobs", cursor, float, str)


@given(st.text(max_size=80))
def test_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(BrokenCursor):
        OURS.decode("jobs", text, float, str)


def test_a_cursor_that_was_changed_or_signed_elsewhere_is_broken() -> None:
    cursor = OURS.encode("jobs", [1.0, "job-1"])
    forged = Cursors("another secret", "acme").encode("jobs", [1.0, "job-1"])
    for broken in (cursor[1:], cursor[:-1], "A" + cursor[1:], forged):
        with pytest.raises(BrokenCursor):
            OURS.decode("jobs", broken, float, str)
    with pytest.raises(BrokenCursor):
        OURS.decode("jobs", cursor, int)
