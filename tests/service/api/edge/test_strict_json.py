"""JSON that is accepted means the same to every reader; what is not is pointed at."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.api.edge.strict_json import MOST_DIGITS, MOST_LEVELS, fault_in

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers(-(10**60), 10**60) | st.floats(allow_nan=False) | TEXT
DOCUMENTS = st.recursive(
    LEAVES.filter(lambda leaf: leaf not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def at(document: Any, pointer: str) -> Any:
    """As RFC 6901 says."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901
        document = document[int(step) if isinstance(document, list) else step]
    return document


@given(DOCUMENTS)
def test_what_a_library_writes_is_accepted(document: Any) -> None:
    assert fault_in(json.dumps(document).encode()) is None
    assert fault_in(json.dumps(document, ensure_ascii=False, indent=1).encode()) is None


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_whatever_comes_is_either_accepted_or_has_a_fault(body: bytes) -> None:
    if fault_in(body) is None:
        json.dumps(json.loads(body), allow_nan=False).encode()


@given(DOCUMENTS, st.data())
def test_a_bad_value_is_found_where_it_is(document: Any, data: st.DataObject) -> None:
    places: list[tuple[Any, Any]] = []

    def look(value: Any) -> None:
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((value, key))
            if isinstance(each, dict | list):
                look(each)

    document = {"": document}
    look(document)
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = "MARK"
    bad = data.draw(
        st.sampled_from(["NaN", "-Infinity", "1e999", "9" * (MOST_DIGITS + 1), '"\\u0000"', '"\\udc00"'])
    )
    fault = fault_in(json.dumps(document).replace('"MARK"', bad).encode())
    assert fault is not None
    assert at(document, fault.pointer) == "MARK"


def test_the_deepest_that_is_accepted() -> None:
    for open_, close in (("[", "]"), ('{"a":', "}")):
        middle = "0"
        assert fault_in((open_ * MOST_LEVELS + middle + close * MOST_LEVELS).encode()) is None
        deeper = (open_ * (MOST_LEVELS + 1) + middle + close * (MOST_LEVELS + 1)).encode()
        fault = fault_in(deeper)
        assert fault is not None
        assert fault.code == "too-deep"


def test_brackets_in_text_are_no_levels() -> None:
    assert fault_in(json.dumps({"a": '[{"\\' * 100}).encode()) is None
