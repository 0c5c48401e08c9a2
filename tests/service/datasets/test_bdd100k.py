"""BDD100K's three label forms."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from service.datasets import bdd100k
from service.datasets.categories import bdd100k_meaning
from service.datasets.dataset import Box, Finding, Frame, Split
from service.errors import LabelUnreadable

SAMPLES = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "bdd_labels"
BOX = {"x1": 10.0, "y1": 20.0, "x2": 30.0, "y2": 40.0}
EMPTY = Frame("a.jpg", "a", Split.TRAIN, 1280, 720)


def read(record: dict[str, Any], **category_map: str) -> tuple[Frame, list[Finding]]:
    return bdd100k.read_record(record, EMPTY, bdd100k_meaning(category_map), "a.jpg")


def labelled(*labels: Any) -> dict[str, Any]:
    return {"name": "a.jpg", "labels": list(labels)}


@pytest.mark.parametrize(
    ("name", "category", "is_ignored", "det20", "in_2018"),
    [
        ("pedestrian", "pedestrian", False, "pedestrian", "person"),
        ("person", "pedestrian", False, "pedestrian", "person"),
        ("bike", "bicycle", False, "bicycle", "bike"),
        ("motor", "motorcycle", False, "motorcycle", "motor"),
        ("caravan", "car", False, "car", "car"),
        ("other person", "pedestrian", True, "other person", "other person"),
        ("other vehicle", "car", True, "other vehicle", "other vehicle"),
        ("trailer", "truck", True, "trailer", "trailer"),
    ],
)
def test_categories_are_translated_by_the_official_tables(
    name: str, category: str, is_ignored: bool, det20: str, in_2018: str
) -> None:
    frame, _ = read(labelled({"category": name, "box2d": BOX}))
    assert [(box.category, box.is_ignored) for box in frame.boxes] == [(category, is_ignored)]
    for write, written in ((bdd100k.write_det20, det20), (bdd100k.write_2018, in_2018)):
        assert json.loads("".join(write([frame])))[0]["labels"][0]["category"] == written


def test_an_ignore_region_that_has_no_name_carries_the_attribute_ignored() -> None:
    frame, _ = read(labelled({"category": "bus", "box2d": BOX, "attributes": {"ignored": True, "a": 1}}))
    assert (frame.boxes[0].is_ignored, frame.boxes[0].attributes) == (True, {"a": 1})
    label = json.loads("".join(bdd100k.write_det20([frame])))[0]["labels"][0]
    assert (label["category"], label["attributes"]) == ("bus", {"ignored": True, "a": 1})


def test_the_users_map_goes_before_the_official_tables() -> None:
    frame, _ = read(labelled({"category": "other vehicle", "box2d": BOX}), **{"other vehicle": "tram"})
    assert [(box.category, box.is_ignored) for box in frame.boxes] == [("tram", False)]


def test_everything_in_a_record_has_its_place() -> None:
    box = {"id": 3, "category": "car", "attributes": {"occluded": True}, "box2d": BOX, "manualShape": True}
    lane = {"id": "4", "category": "lane", "poly2d": [[1, 2, "L"]]}
    drivable = {"id": "5", "category": "drivable area", "box2d": None, "poly2d": []}
    record = {
        **labelled(box, lane, drivable),
        "attributes": {"timeofday": "night"},
        "url": "u",
        "timestamp": 7,
    }
    frame, findings = read(record)
    extra = {"manualShape": True}
    assert frame.boxes == (Box((10, 20, 30, 40), "car", 3, attributes={"occluded": True}, extra=extra),)
    assert frame.other_labels == (lane, drivable)
    assert (frame.timeofday, frame.extra, findings) == ("night", {"url": "u", "timestamp": 7}, [])


@pytest.mark.parametrize("labels", [None, [], "x", {}])
def test_a_frame_without_labels_is_empty(labels: Any) -> None:
    assert read({"name": "a.jpg", "labels": labels})[0].boxes == ()


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ({"category": "car", "box2d": {**BOX, "x1": "10"}}, "bad-number"),
        ({"category": "car", "box2d": {"x1": 1}}, "bad-number"),
        ({"category": "car", "box2d": [1, 2, 3, 4]}, "bad-number"),
        ({"category": "car", "box2d": {**BOX, "x1": 50}}, "box-inverted"),
        ({"category": None, "box2d": BOX}, "label-syntax"),
        ({"box2d": BOX}, "label-syntax"),
        (7, "label-syntax"),
    ],
)
def test_a_bad_label_is_left_out_and_pointed_at(label: Any, code: str) -> None:
    frame, findings = read(labelled({"category": "car", "box2d": BOX}, label))
    assert len(frame.boxes) == 1
    assert [(one.code, one.path, one.pointer) for one in findings] == [(code, "a.jpg", "labels/1")]


@pytest.mark.parametrize(("raw", "kept"), [(1, 1), ("1", "1"), (None, None), (1.5, "1.5"), (True, "true")])
def test_an_id_keeps_its_type(raw: Any, kept: Any) -> None:
    frame, _ = read(labelled({"id": raw, "category": "car", "box2d": BOX}))
    assert frame.boxes[0].id == kept
    assert type(frame.boxes[0].id) is type(kept)


def test_an_empty_dataset_is_an_empty_list() -> None:
    assert json.loads("".join(bdd100k.write_det20([]))) == []


def test_a_file_per_image_holds_the_time_beside_its_objects() -> None:
    frame = Frame("a.b.jpg", "a", Split.TRAIN, 9, 9, extra={"timestamp": 10000, "url": "u"})
    assert json.loads(bdd100k.write_2018_frame(frame)) == {
        "name": "a.b",
        "attributes": {},
        "url": "u",
        "frames": [{"timestamp": 10000, "objects": []}],
    }


@pytest.mark.parametrize(
    "text", ["[]", '{"frames": []}', '{"name": "a", "frames": [1]}', '{"name": "a", "frames": {}, "x"']
)
def test_a_file_per_image_of_another_shape_is_unreadable(text: str) -> None:
    with pytest.raises(LabelUnreadable):
        bdd100k.image_record(io.BytesIO(text.encode()))


needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the real label files lie beside the repository only"
)


@needs_samples
@pytest.mark.parametrize(
    ("name", "frames", "boxes", "write"),
    [
        ("scalabel_det.json", 1, 4, bdd100k.write_det20),
        ("tag_gts.json", 10, 0, bdd100k.write_det20),
        ("sample_2018_labels_images.json", 1, 1, bdd100k.write_2018),
    ],
)
def test_a_real_file_is_read_in_full_and_written_back(name: str, frames: int, boxes: int, write: Any) -> None:
    data = (SAMPLES / name).read_bytes()
    records = list(bdd100k.records(io.BytesIO(data)))
    read_frames = [
        bdd100k.read_record(
            record, Frame(record["name"], "a", Split.TRAIN, 1280, 720), bdd100k_meaning({}), ""
        )
        for record in records
    ]
    assert len(records) == frames
    assert sum(len(frame.boxes) for frame, _ in read_frames) == boxes
    assert [finding for _, findings in read_frames for finding in findings] == []
    written = json.loads("".join(write(frame for frame, _ in read_frames)))
    assert written == [{"labels": [], **record} for record in json.loads(data)]


@needs_samples
@pytest.mark.parametrize("name", ["scalabel_det.json", "tag_gts.json", "sample_2018_labels_images.json"])
def test_a_real_file_is_planned(plan: Any, name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    images = [f"images/{record['name']}" for record in json.loads(data)]
    found = plan({**dict.fromkeys(images), name: data})
    assert [frame.image for frame in found.frames] == images
    assert found.findings == []
