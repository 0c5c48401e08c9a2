"""The form of a new translation: what an address and a form may say, and what is asked of the API."""

import pytest
from fastapi.datastructures import QueryParams
from fastapi.exceptions import RequestValidationError

from service.errors import InvalidRequest
from service.web.translations.estimates import frames_of
from service.web.translations.form import TranslationForm, form_of_address


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("strength=2", "strength"),
        ("strength=nan", "strength"),
        ("seed=-1", "seed"),
        ("seed=much", "seed"),
        ("frames=9", "frames"),
        ("ratio=1000", "ratio"),
        ("jpeg_quality=0", "jpeg_quality"),
    ],
)
def test_what_an_address_says_wrong_is_told_and_the_rest_kept(address: str, fault: str) -> None:
    form, faults = form_of_address(QueryParams(f"dataset=ds-1&generator=a&generator=b&{address}&unknown=1"))
    assert [each.partition(":")[0] for each in faults] == [fault]
    assert form == TranslationForm(dataset="ds-1", generator=["a", "b"])


def test_there_is_a_wish_for_each_generator_and_a_ratio_where_it_counts() -> None:
    form = TranslationForm(
        dataset="ds-1", generator=["kind", "camera-night"], ratio=0.4, name="Mine", split=["train"],
        error_percent=2, strength=0.5,
    )  # fmt: skip
    first, second = form.wishes({"kind"})
    assert (first.generator, first.ratio, second.generator, second.ratio) == (
        "kind",
        0.4,
        "camera-night",
        None,
    )
    assert (first.name, first.error_budget, first.strength, first.preview) == ("Mine", 0.02, 0.5, 0)
    assert first.selection.to_json() == {"split": ["train"]}
    looked_at, _ = form.wishes({"kind"}, preview=6)
    assert (looked_at.preview, looked_at.name) == (6, "")


def test_without_a_generator_there_is_nothing_to_do() -> None:
    with pytest.raises(InvalidRequest, match="No generator"):
        TranslationForm(dataset="ds-1").wishes(set())


def test_the_api_has_the_last_word() -> None:
    form = TranslationForm.model_construct(dataset="ds-1", generator=["a"], strength=2.0)
    with pytest.raises(RequestValidationError):
        form.wishes(set())


def test_an_empty_ratio_leaves_it_to_the_generator() -> None:
    assert TranslationForm.model_validate({"ratio": ""}).ratio is None


@pytest.mark.parametrize(
    ("timeofday", "splits", "frames"),
    [
        ([], [], 100),
        (["daytime"], [], 60),
        ([], ["val"], 20),
        (["daytime", "night"], ["val"], 18),
        (["x"], [], 0),
    ],
)
def test_frames_are_counted_by_what_is_ticked(timeofday: list[str], splits: list[str], frames: int) -> None:
    counts = {
        "frames": 100,
        "timeofday": {"daytime": 60, "night": 30, "untagged": 10},
        "splits": {"train": 80, "val": 20},
    }
    assert frames_of(counts, timeofday, splits) == frames
    assert frames_of({}, timeofday, splits) == 0
