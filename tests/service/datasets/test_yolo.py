"""YOLO label rows and data.yaml."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.datasets import yolo
from service.datasets.categories import declared_meaning, name_fault
from service.datasets.dataset import Box, Finding, Frame, Split

NAMES = ("car", "bus")


def read(text: str, **category_map: str) -> tuple[tuple[Box, ...], list[Finding]]:
    frame = Frame("a.jpg", "a", Split.TRAIN, 200, 100)
    filled, findings = yolo.read_label(text, frame, NAMES, declared_meaning(category_map), "labels/a.txt")
    return filled.boxes, findings


def test_a_row_becomes_a_box_in_pixels() -> None:
    boxes, findings = read("1 0.5 0.5 0.25 0.5\n\n0 .25 0.25 0.5 5e-1\r\n")
    assert boxes == (Box((75, 25, 125, 75), "bus"), Box((0, 0, 100, 50), "car"))
    assert findings == []


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2 0.5 0.5 0.1 0.1", "yolo-syntax"),
        ("-1 0.5 0.5 0.1 0.1", "yolo-syntax"),
        ("1.5 0.5 0.5 0.1 0.1", "yolo-syntax"),
        ("car 0.5 0.5 0.1 0.1", "yolo-syntax"),
        ("nan 0.5 0.5 0.1 0.1", "yolo-syntax"),
        ("0", "yolo-syntax"),
        ("0 0.5 0.5 0.1", "yolo-syntax"),
        ("0 0.5 0.5 0.1 0.1 0.9", "yolo-syntax"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.1", "yolo-syntax"),
        ("0 100 50 20 20", "yolo-syntax"),
        ("0 0.5 0.5 1.2 0.1", "yolo-syntax"),
        ("0 -0.5 0.5 0.1 0.1", "yolo-syntax"),
        ("0,0.5,0.5,0.1,0.1", "yolo-syntax"),
        ("0 nan 0.5 0.1 0.1", "bad-number"),
        ("0 inf 0.5 0.1 0.1", "bad-number"),
        ("0 x 0.5 0.1 0.1", "bad-number"),
        ("0 0.5 0.5 0 0.1", "box-degenerate"),
        ("0 0.5 0.5 0.004 0.1", "box-degenerate"),
    ],
)
def test_a_bad_row_is_left_out_and_named(row: str, code: str) -> None:
    boxes, findings = read(f"0 0.5 0.5 0.1 0.1\n{row}\n")
    assert len(boxes) == 1
    assert [(one.code, one.path, one.pointer) for one in findings] == [(code, "labels/a.txt", "line 2")]
    assert findings[0].cure


def test_a_class_printed_as_a_float_is_its_whole_number() -> None:
    assert read("1.0 0.5 0.5 0.25 0.5")[0][0].category == "bus"


def test_a_polygon_keeps_its_hull_with_a_note() -> None:
    boxes, findings = read("0 0.1 0.1 0.2 0.1 0.15 0.3\n")
    assert boxes[0].xyxy == pytest.approx((20, 10, 40, 30))
    assert [(one.code, one.pointer) for one in findings] == [("yolo-polygon", "line 1")]


def test_an_overhang_of_rounding_is_kept_and_of_pixels_is_clipped() -> None:
    boxes, findings = read("0 0.05 0.5 0.10001 0.5\n0 0.05 0.5 0.11 0.5\n0 0.9 0.5 0.3 0.5\n")
    assert boxes[0].xyxy[0] == pytest.approx(-0.001)
    assert [box.xyxy[0] for box in boxes[1:]] == [0, pytest.approx(150)]
    assert [one.code for one in findings] == ["box-clipped", "box-out-of-bounds"]


def test_a_category_map_renames() -> None:
    assert [box.category for box in read("0 0.5 0.5 0.1 0.1\n", car="vehicle")[0]] == ["vehicle"]


def test_ignore_regions_are_not_written_and_numbers_are_short() -> None:
    boxes = (Box((75, 25, 125, 75), "bus"), Box((0, 0, 9, 9), "car", is_ignored=True))
    frame = Frame("a.jpg", "a", Split.TRAIN, 200, 100, boxes)
    assert yolo.write_label(frame, NAMES) == "1 0.5 0.5 0.25 0.5\n"
    assert yolo.write_label(Frame("a.jpg", "a", Split.TRAIN, 200, 100), NAMES) == ""


@pytest.mark.parametrize(
    ("splits", "train", "val", "comments"),
    [
        (["train", "val", "test"], "images/train", "images/val", 0),
        (["train"], "images/train", "images/train", 1),
        (["val"], "images/val", "images/val", 1),
        (["test"], "images/test", "images/test", 2),
        (["train", "test"], "images/train", "images/train", 1),
    ],
)
def test_data_yaml_always_has_train_and_val(splits: list[str], train: str, val: str, comments: int) -> None:
    text = yolo.write_data_yaml(NAMES, [Split(split) for split in splits])
    content = yaml.safe_load(text)
    assert (content["train"], content["val"]) == (train, val)
    assert content.get("test") == ("images/test" if "test" in splits else None)
    assert content["names"] == {0: "car", 1: "bus"}
    assert "path" not in content
    assert text.count("#") == comments


category_names = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"], include_characters=" "), max_size=128
).filter(lambda name: name_fault(name) is None)


@given(st.lists(category_names, max_size=4))
def test_any_category_name_survives_data_yaml(names: list[str]) -> None:
    content = yaml.safe_load(yolo.write_data_yaml(names, [Split.TRAIN]))
    assert content["names"] == dict(enumerate(names))


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=1>", "=HYPERLINK(1)", "{{7*7}}", "a: b", "*x", "yes", "# no"]
)
def test_hostile_category_names_are_quoted(name: str) -> None:
    assert yaml.safe_load(yolo.write_data_yaml([name], [Split.TRAIN]))["names"] == {0: name}


def test_the_classes_of_a_text_are_those_of_its_sound_rows() -> None:
    assert yolo.class_indices("3 a b\nx\n\n5\n-1 0\n") == [3, 5]


def test_a_frame_with_an_unknown_category_cannot_be_written() -> None:
    frame = Frame("a.jpg", "a", Split.TRAIN, 200, 100, (Box((1, 1, 9, 9), "tram"),))
    with pytest.raises(KeyError):
        yolo.write_label(frame, NAMES)
