"""Forms become the API's wishes, and are refused as the API would refuse them."""

import pytest
from fastapi.exceptions import RequestValidationError

from service.api.datasets import NewDataset
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.web.datasets.library import DatasetForm
from service.web.forms import lines, selected, wish


def test_what_is_ticked_and_what_is_written_add_up() -> None:
    chosen = selected("weather=rainy,snowy\n\n split=val ", split=["train"], timeofday=[])
    assert chosen == {"split": ["train", "val"], "weather": ["rainy", "snowy"]}


def test_a_form_that_chooses_nothing_takes_everything() -> None:
    assert selected("", split=[], timeofday=[]) == {}
    assert Selection.from_json(selected()).accepts("train", {}, [])


def test_empty_lines_mean_nothing() -> None:
    assert lines(" a=b\r\n\n  \nc=d") == ["a=b", "c=d"]


def test_what_the_api_refuses_is_refused_with_its_place() -> None:
    with pytest.raises(RequestValidationError) as refused:
        wish(NewDataset, upload_id="up-1", name=7)
    assert [fault["loc"] for fault in refused.value.errors()] == [("form", "name")]


@pytest.mark.parametrize("fields", [{"select": "rainy"}, {"category_map": "van"}, {"timeofday": ["noon"]}])
def test_a_line_that_makes_no_sense_is_named(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        DatasetForm.model_validate({"upload_id": "up-1", **fields}).wish()


def test_the_form_asks_for_what_it_says() -> None:
    form = DatasetForm(upload_id="up-1", timeofday=["night"], category_map="van=car", strict=True)
    assert form.wish() == NewDataset(
        upload_id="up-1", select={"timeofday": ["night"]}, category_map={"van": "car"}, strict=True
    )
