"""Which frames are wanted, said in a line of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.categories import name_fault, parse_category_map
from service.datasets.selection import Selection
from service.errors import InvalidRequest


def test_an_empty_selection_accepts_everything() -> None:
    assert Selection().accepts("train", {}, ())
    assert Selection.parse([]) == Selection()


def test_every_key_must_fit_with_one_of_its_values() -> None:
    selection = Selection.parse(["timeofday=daytime, dawn/dusk", "split=train", "category=car"])
    assert selection.accepts("train", {"timeofday": "dawn/dusk"}, {"car", "bus"})
    assert not selection.accepts("val", {"timeofday": "daytime"}, {"car"})
    assert not selection.accepts("train", {"timeofday": "night"}, {"car"})
    assert not selection.accepts("train", {}, {"car"})
    assert not selection.accepts("train", {"timeofday": "daytime"}, set())


def test_the_values_of_a_repeated_key_add_up() -> None:
    assert Selection.parse(["split=train", "split=val"]) == Selection.parse(["split=val,train"])


def test_values_that_are_not_text_are_compared_as_json_spells_them() -> None:
    attributes = {"clean": True, "lanes": 3, "tags": ["rain", "dark"]}
    for expression in ("clean=true", "lanes=3", "tags=dark"):
        assert Selection.parse([expression]).accepts("train", attributes, ())
    assert not Selection.parse(["clean=True"]).accepts("train", attributes, ())


@pytest.mark.parametrize(
    "expression", ["", "daytime", "timeofday=", "=night", "split=train,,val", "weather= "]
)
def test_a_malformed_expression_is_named_with_the_form_to_write(expression: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a selection") as caught:
        Selection.parse([expression])
    assert repr(expression) in caught.value.message
    assert "KEY=VALUE" in caught.value.cure


@pytest.mark.parametrize(
    ("expression", "hint"),
    [("timeofday=day", "'daytime'"), ("split=training", "'train'"), ("timeofday=dawn", "'dawn/dusk'")],
)
def test_a_slip_in_a_known_value_is_answered_with_the_right_one(expression: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Selection.parse([expression])
    assert expression in caught.value.message
    assert f"Did you mean {hint}?" in caught.value.cure
    assert "There are:" in caught.value.cure


@given(
    st.dictionaries(
        st.sampled_from(["weather", "scene", "category"]), st.sets(st.text(min_size=1), min_size=1)
    )
)
def test_a_selection_survives_json(allowed: dict[str, set[str]]) -> None:
    selection = Selection({key: frozenset(values) for key, values in allowed.items()})
    assert Selection.from_json(selection.to_json()) == selection


def test_a_selection_from_json_is_checked_too() -> None:
    with pytest.raises(InvalidRequest):
        Selection.from_json({"split": []})
    with pytest.raises(InvalidRequest):
        Selection.from_json({"split": ["everything"]})


def test_a_selection_reads_like_what_was_typed() -> None:
    assert str(Selection.parse(["weather=foggy", "split=val,train"])) == "split=train,val weather=foggy"


def test_a_category_map_is_read_from_expressions() -> None:
    assert parse_category_map(["bike = bicycle", "a=b=c"]) == {"bike": "bicycle", "a": "b=c"}


@pytest.mark.parametrize(
    "expressions", [["bike"], ["=x"], ["bike="], ["a=b", "a=c"], ["a=" + "x" * 129], ["a=b\tc"]]
)
def test_a_bad_category_map_is_refused(expressions: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_category_map(expressions)
    assert caught.value.cure


@pytest.mark.parametrize("name", ["traffic light", "<img src=x onerror=…>", "自転車", "=HYPERLINK()", "🚗"])
def test_any_printable_text_can_name_a_category(name: str) -> None:
    assert name_fault(name) is None
