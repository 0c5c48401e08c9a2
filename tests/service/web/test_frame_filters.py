"""Filters in the address of a page."""

from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from service.datasets.dataset import Split
from service.frames.filter import FrameFilter
from service.web.frames.filters import FilterForm, asked_filter, query_of

words = st.none() | st.text(min_size=1, max_size=20).filter(lambda text: text == text.strip())


@given(
    wanted=st.builds(
        FrameFilter,
        timeofday=words,
        category=words,
        split=st.none() | st.sampled_from(Split),
        suspect=st.none() | st.booleans(),
        text=words,
    )
)
def test_an_address_leads_to_the_same_filter_again(wanted: FrameFilter) -> None:
    query = dict(parse_qsl(query_of(wanted).removeprefix("?")))
    assert asked_filter(FilterForm.model_validate(query)) == wanted


def test_empty_fields_of_a_form_ask_for_nothing() -> None:
    empty = FilterForm.model_validate(
        dict.fromkeys(("timeofday", "category", "split", "suspect", "text"), "")
    )
    assert asked_filter(empty).takes_all
    assert query_of(asked_filter(empty)) == ""
