"""What a browser sends becomes the API's wish, or a message that says what to write."""

from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError

from service.errors import InvalidRequest
from service.web.learning.experiment_form import ExperimentForm
from service.web.learning.trainings import TrainingForm


def form(**changes: Any) -> ExperimentForm:
    rows = {"data_name": ["day", "night", "synthetic"], "data_id": ["ds-1", "", "ds-2"]}
    return ExperimentForm(**{**rows, "data_select": ["split=train", "", ""], "test_id": "ds-3", **changes})


def test_rows_without_a_dataset_are_none() -> None:
    wish = form().wish()
    assert {name: chosen.dataset_id for name, chosen in wish.data.items()} == {
        "day": "ds-1",
        "synthetic": "ds-2",
    }
    assert wish.data["day"].select == {"split": ["train"]}


@pytest.mark.parametrize(("text", "seeds"), [("3", 3), ("3,", [3]), (" 0, 4 ,7", [0, 4, 7])])
def test_seeds_are_a_number_or_a_list(text: str, seeds: object) -> None:
    assert form(seeds=text).wish().seeds == seeds


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": "some"}, "says no seeds"),
        ({"seeds": "-1"}, "says no seeds"),
        ({"test_id": ""}, "nothing to test on"),
        ({"data_id": ["", "", ""]}, "nothing to train on"),
        ({"data_name": ["day", "night", "day "]}, "Two datasets are called 'day'"),
        ({"category_map": "bike"}, "names no category and its new name"),
        ({"data_select": ["split=trian", "", ""]}, "Did you mean 'train'"),
    ],
    ids=["seeds", "negative-seed", "test", "data", "names", "map", "selection"],
)
def test_what_cannot_be_read_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        form(**changes).wish()
    assert said in str(refusal.value)


def test_what_the_api_refuses_the_form_refuses() -> None:
    with pytest.raises(RequestValidationError):
        form(image_px=33).wish()
    with pytest.raises(RequestValidationError):
        form(data_name=["Day!", "", "x"]).wish()


def test_empty_arms_are_left_out_and_lines_become_lists() -> None:
    wish = form(
        arm=["day ", "", "day+synthetic"], categories="car\n\n bus ", category_map="bike = bicycle"
    ).wish()
    assert wish.arms == ["day", "day+synthetic"]
    assert (wish.categories, wish.category_map) == (["car", "bus"], {"bike": "bicycle"})


def test_a_recipe_of_ones_own_is_for_the_chosen_paper() -> None:
    wish = TrainingForm(recipe="cut/fast", recipe_toml="seed = 1\r\n", day="ds-1", night="ds-2").wish()
    assert (wish.architecture, wish.recipe, wish.recipe_toml) == ("cut", "fast", "seed = 1\n")
    assert (wish.name, wish.seed, wish.steps) == (None, None, 0)
