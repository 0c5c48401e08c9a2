"""Datasets that speak of different things are shown beside each other, with what to write."""

import pytest

from service.errors import InvalidRequest
from service.experiments.categories import check_categories


def test_the_same_categories_in_any_order_are_one_list() -> None:
    check_categories({"day": ["car", "bus"], "night": ["bus", "car"]}, ["car", "bus"], {}, None)


def test_a_map_can_make_lists_equal() -> None:
    check_categories(
        {"day": ["car", "van", "bike"]}, ["car", "bicycle"], {"van": "car", "bike": "bicycle"}, None
    )


def test_chosen_categories_need_only_be_learnt_somewhere_and_tested() -> None:
    check_categories({"day": ["car", "tram"], "night": ["bus"]}, ["car", "bus", "dog"], {}, ["bus", "car"])


@pytest.mark.parametrize(
    ("training", "test", "category_map", "wanted", "said"),
    [
        (
            {"day": ["car", "bike"]}, ["car", "bicycle"], {}, None,
            ["day: car, bike.", "test: car, bicycle.", "Only in some: bicycle, bike.",
             "--map-category bike=bicycle", "--categories car"],
        ),
        (
            {"day": ["car", "motorbikes"]}, ["car", "motorbike"], {}, None,
            ["--map-category motorbike=motorbikes"],
        ),
        (
            # "car" and "cart" look alike, but one dataset has both
            {"day": ["car", "cart"]}, ["car"], {}, None,
            ["Only in some: cart.", "--map-category FROM=TO", "--categories car"],
        ),
        ({"day": ["car"]}, ["dog"], {}, None, ["no category in common", "FROM=TO"]),
        ({"day": []}, ["dog"], {}, None, ["no category in common", "day: none."]),
        ({"day": ["car"]}, ["car"], {"vann": "car"}, None, ["No dataset has the category 'vann'"]),
        ({"day": ["car"]}, ["car"], {"car": " "}, None, ["'car' maps to is empty"]),
        ({"day": ["car"]}, ["car"], {}, ["cars"],
         ["'cars' is not in the training data", "Did you mean 'car'?"]),
        ({"day": ["car", "bus"]}, ["car"], {}, ["bus"], ["'bus' is not in the test set"]),
        ({"day": ["car"]}, ["car"], {}, [], ["list of categories is empty"]),
    ],
)  # fmt: skip
def test_what_differs_is_shown_with_the_cure(
    training: dict[str, list[str]],
    test: list[str],
    category_map: dict[str, str],
    wanted: list[str] | None,
    said: list[str],
) -> None:
    with pytest.raises(InvalidRequest) as error:
        check_categories(training, test, category_map, wanted)
    assert [words for words in said if words not in str(error.value)] == []


def test_a_long_list_is_cut_where_it_is_shown() -> None:
    with pytest.raises(InvalidRequest, match="and 88 more"):
        check_categories({"day": [f"c{number}" for number in range(100)]}, ["c1"], {}, None)
