"""COCO's instance files."""

import json
from typing import Any

import pytest

from service.datasets import coco
from service.datasets.categories import declared_meaning
from service.datasets.dataset import Box, Finding, Frame, Split

EMPTY = Frame("a.jpg", "a", Split.TRAIN, 1280, 720)


def read(image: dict[str, Any], *named: Any) -> tuple[Frame, list[Finding]]:
    record = {"image": {"file_name": "a.jpg", **image}, "annotations": list(named)}
    return coco.read_record(record, EMPTY, declared_meaning({"lorry": "truck"}), "a.jpg")


def written(*frames: Frame) -> dict[str, Any]:
    text = "".join(coco.write(lambda: [(frame, f"train/{frame.name}") for frame in frames], ["car", "truck"]))
    document: dict[str, Any] = json.loads(text)
    return document


def frame(*boxes: Box, **extra: Any) -> Frame:
    return Frame("a.jpg", "a", Split.TRAIN, 1280, 720, boxes, extra=extra)


def test_everything_in_a_record_has_its_place() -> None:
    annotation = {
        **{"id": 9, "image_id": 1, "category_id": 4, "bbox": [10, 20, 20, 30], "area": 311.5, "iscrowd": 1},
        **{"segmentation": {"counts": "abc", "size": [720, 1280]}, "keypoints": [1, 2, 2]},
        "attributes": {"occluded": False},
    }
    image = {"id": 1, "width": 1280, "height": 720, "coco_url": "u", "attributes": {"timeofday": "night"}}
    filled, findings = read(image, ["lorry", annotation])
    extra = {key: annotation[key] for key in ("area", "segmentation", "keypoints")}
    assert filled.boxes == (Box((10, 20, 30, 50), "truck", 9, True, {"occluded": False}, extra),)
    assert (filled.extra, filled.timeofday, findings) == ({"id": 1, "coco_url": "u"}, "night", [])


@pytest.mark.parametrize(
    ("bbox", "code"),
    [
        (None, "bad-number"),
        ([], "bad-number"),
        ([1, 2, 3], "bad-number"),
        ([1, 2, 3, "4"], "bad-number"),
        ([1, 2, True, 4], "bad-number"),
        ([10, 10, -5, 5], "box-inverted"),
        ([10, 10, 0, 5], "box-degenerate"),
        ([2000, 10, 5, 5], "box-out-of-bounds"),
    ],
)
def test_a_bad_box_is_left_out_and_pointed_at(bbox: Any, code: str) -> None:
    filled, findings = read({}, ["car", {"id": 1, "bbox": bbox}])
    assert filled.boxes == ()
    assert [(one.code, one.pointer) for one in findings] == [(code, "annotations/0")]


def test_a_written_document_is_what_cocos_tools_expect() -> None:
    document = written(frame(Box((10, 20, 30.5, 40), "truck", "x", True)), frame())
    assert document["categories"] == [
        {"id": 1, "name": "car", "supercategory": ""},
        {"id": 2, "name": "truck", "supercategory": ""},
    ]
    assert [(one["id"], one["file_name"], one["width"], one["height"]) for one in document["images"]] == [
        (1, "train/a.jpg", 1280, 720),
        (2, "train/a.jpg", 1280, 720),
    ]
    (annotation,) = document["annotations"]
    assert annotation == {
        **{"id": 1, "source_id": "x", "image_id": 1, "category_id": 2},
        **{"bbox": [10, 20, 20.5, 20], "area": 410.0, "iscrowd": 1},
    }


def test_ids_are_kept_only_if_all_are_numbers_and_differ() -> None:
    kept = written(frame(Box((1, 2, 3, 4), "car", 70), id=5), frame(Box((1, 2, 3, 4), "car", 60), id=3))
    assert [one["id"] for one in kept["images"]] == [5, 3]
    assert [(one["id"], one["image_id"]) for one in kept["annotations"]] == [(70, 5), (60, 3)]
    twice = written(frame(Box((1, 2, 3, 4), "car", 7), id=5), frame(Box((1, 2, 3, 4), "car", 7), id=5))
    assert [(one["id"], one["source_id"]) for one in twice["images"]] == [(1, 5), (2, 5)]
    assert [(one["id"], one["image_id"]) for one in twice["annotations"]] == [(1, 1), (2, 2)]


def test_an_empty_dataset_is_a_document_too() -> None:
    assert written()["images"] == []


def test_widths_have_few_digits_where_those_of_the_source_do() -> None:
    source = [473.07, 395.93, 38.65, 28.67]
    filled, _ = read({}, ["car", {"id": 1, "bbox": source}])
    assert written(filled)["annotations"][0]["bbox"] == source
