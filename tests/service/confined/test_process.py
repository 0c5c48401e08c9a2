"""A confined child answers what it is asked; what the workers' decoders withstand is in tests/bad_input."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.confined.process import ChildDied, ConfinedProcess

ECHO = (str(Path(__file__).with_name("echo.py")),)
MOST_BYTES = 1000


@pytest.fixture(scope="module")
def echo() -> Iterator[ConfinedProcess]:
    process = ConfinedProcess(ECHO, (MOST_BYTES, MOST_BYTES))
    yield process
    process.close()


def as_said(facts: Any, first: bytes, second: bytes) -> tuple[str, bytes, bytes]:
    return facts["word"], first, second


@given(data=st.binary(max_size=MOST_BYTES))
@settings(max_examples=30, deadline=None)
def test_facts_and_both_blocks_come_back(echo: ConfinedProcess, data: bytes) -> None:
    assert echo.ask(b"SAY " + data, as_said) == ("SAY", data, data[::-1])
    assert echo.is_fit


def test_more_bytes_than_agreed_are_not_read() -> None:
    process = ConfinedProcess(ECHO, (MOST_BYTES, MOST_BYTES))
    with pytest.raises(ChildDied):
        process.ask(b"SAY " + bytes(MOST_BYTES + 1), as_said)
    assert not process.is_fit


def test_facts_that_make_no_sense_end_the_child() -> None:
    process = ConfinedProcess(ECHO, (MOST_BYTES, MOST_BYTES))
    with pytest.raises(ChildDied):
        process.ask(b"SAY it", lambda facts, _first, _second: facts["something else"])
    assert not process.is_fit


def test_the_end_of_a_child_is_told_with_its_status() -> None:
    process = ConfinedProcess(ECHO, (MOST_BYTES, MOST_BYTES))
    with pytest.raises(ChildDied, match="-9") as death:
        process.ask(b"END", as_said)
    assert not death.value.is_late
