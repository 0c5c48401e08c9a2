"""What goes through a format and back is what it was."""

import io
import json
from dataclasses import replace
from math import ulp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.datasets import bdd100k, coco, yolo
from service.datasets.categories import BDD100K, bdd100k_meaning, declared_meaning
from service.datasets.coco_file import CocoFile
from service.datasets.dataset import Box, Frame, Split
from service.datasets.manifest import ManifestEntry, SourceFrame, canonical_json, canonical_labels

WIDTH, HEIGHT = 1280, 720
OWN_KEYS = {
    *("id", "category", "attributes", "box2d", "name", "labels", "frames", "objects", "ignored"),
    *("image_id", "category_id", "bbox", "iscrowd", "area", "file_name", "width", "height", "source_id"),
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
keys = texts.filter(lambda key: key not in OWN_KEYS)
numbers = st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9).map(lambda value: round(value, 6))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
mappings = st.dictionaries(keys, values, max_size=3)
ids = st.none() | st.integers(0, 2**40) | texts


@st.composite
def corners(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x1, y1 = draw(st.floats(0, WIDTH - 2)), draw(st.floats(0, HEIGHT - 2))
    return x1, y1, draw(st.floats(x1 + 1, WIDTH)), draw(st.floats(y1 + 1, HEIGHT))


boxes = st.builds(
    Box,
    xyxy=corners().filter(lambda xyxy: xyxy[2] - xyxy[0] >= 1 and xyxy[3] - xyxy[1] >= 1),
    category=st.sampled_from(BDD100K),
    id=ids,
    is_ignored=st.booleans(),
    attributes=mappings,
    extra=mappings,
)
other_labels = st.builds(lambda extra: {**extra, "category": "lane", "poly2d": [[1.5, 2, "L"]]}, mappings)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    return Frame(
        name="a.jpg",
        id="a",
        split=Split.TRAIN,
        width_px=WIDTH,
        height_px=HEIGHT,
        boxes=tuple(draw(st.lists(boxes, max_size=3))),
        attributes=draw(mappings),
        other_labels=tuple(draw(st.lists(other_labels, max_size=2))),
        extra=draw(mappings),
    )


def empty(frame: Frame) -> Frame:
    """The frame as the plan knows it: identity and size."""
    return Frame(frame.name, frame.id, frame.split, frame.width_px, frame.height_px)


def same(one: Frame, other: Frame) -> bool:
    """Equality that also tells 1 from 1.0 and True."""
    return one == other and ManifestEntry(one, "", "").to_line() == ManifestEntry(other, "", "").to_line()


def with_corners_of(frame: Frame, other: Frame) -> Frame:
    """COCO says a corner and a length: of some corners no length gives the last bit."""
    pairs = zip(frame.boxes, other.boxes, strict=True)
    return replace(frame, boxes=tuple(replace(box, xyxy=its.xyxy) for box, its in pairs))


def read_bdd100k(record: dict[str, Any], frame: Frame) -> Frame:
    read, findings = bdd100k.read_record(record, empty(frame), bdd100k_meaning({}), "x")
    assert findings == []
    return read


@pytest.mark.parametrize("write", [bdd100k.write_det20, bdd100k.write_2018])
@given(frame=frames())
@settings(max_examples=40, deadline=None)
def test_a_frame_survives_a_bdd100k_list(write: Any, frame: Frame) -> None:
    text = "".join(write([frame, frame]))
    records = list(bdd100k.records(io.BytesIO(text.encode())))
    assert len(records) == 2
    assert all(same(read_bdd100k(record, frame), frame) for record in records)


@given(frame=frames())
@settings(max_examples=40, deadline=None)
def test_a_frame_survives_a_2018_file_per_image(frame: Frame) -> None:
    record = bdd100k.image_record(io.BytesIO(bdd100k.write_2018_frame(frame).encode()))
    assert record["name"] == "a"
    assert same(read_bdd100k(record, frame), frame)


def read_coco(text: str, frame: Frame) -> list[Frame]:
    document = CocoFile(io.BytesIO(text.encode()), "x")
    records = list(document.records())
    assert list(document.findings()) == []
    document.close()
    read = [coco.read_record(record, empty(frame), declared_meaning({}), "x") for record in records]
    assert all(findings == [] for _, findings in read)
    return [frame for frame, _ in read]


@given(frame=frames(), image_ids=st.lists(st.none() | ids, min_size=2, max_size=2))
@settings(max_examples=60, deadline=None)
def test_frames_survive_coco_with_all_but_labels_that_are_not_boxes(
    frame: Frame, image_ids: list[Any]
) -> None:
    both = [
        replace(
            frame, extra={**frame.extra, **({} if image_id is None else {"id": image_id})}, other_labels=()
        )
        for image_id in image_ids
    ]
    text = "".join(coco.write(lambda: [(one, one.name) for one in both], BDD100K))
    for read, written in zip(read_coco(text, frame), both, strict=True):
        assert all(
            abs(one - other) <= ulp(other)
            for pair in zip(read.boxes, written.boxes, strict=True)
            for one, other in zip(pair[0].xyxy, pair[1].xyxy, strict=True)
        )
        assert same(with_corners_of(read, written), written)


def test_corners_survive_coco_to_the_last_bit_where_a_length_can_say_them() -> None:
    assert coco._side(0.1, 1.3) + 0.1 == 1.3
    assert coco._side(10.25, 60.5) == 50.25


def is_larger_than_a_pixel(box: Box) -> bool:
    x1, y1, x2, y2 = box.xyxy
    return min(x2 - x1, y2 - y1) > 1.001


@given(frame=frames())
@settings(max_examples=40, deadline=None)
def test_boxes_survive_yolo_to_a_billionth_of_the_image(frame: Frame) -> None:
    frame = replace(frame, boxes=tuple(filter(is_larger_than_a_pixel, frame.boxes)))
    text = yolo.write_label(frame, BDD100K)
    read, findings = yolo.read_label(text, empty(frame), BDD100K, declared_meaning({}), "x")
    wanted = [box for box in frame.boxes if not box.is_ignored]
    assert findings == []
    assert [box.category for box in read.boxes] == [box.category for box in wanted]
    for found, box in zip(read.boxes, wanted, strict=True):
        assert found.xyxy == pytest.approx(box.xyxy, abs=1e-9 * HEIGHT)


@st.composite
def yolo_rows(draw: st.DrawFn) -> str:
    digits = draw(st.integers(3, 9))
    unit = 10**digits
    width, height = draw(st.integers(unit // 100, unit)), draw(st.integers(unit // 100, unit))
    # Any half unit that overhangs is the source's rounding, as in real files.
    x = draw(st.integers(-(-width // 2), unit - width // 2)) if width < unit else unit // 2
    y = draw(st.integers(-(-height // 2), unit - height // 2)) if height < unit else unit // 2
    shown = [f"{value / unit:.{digits}f}".rstrip("0").rstrip(".") for value in (x, y, width, height)]
    return " ".join([str(draw(st.integers(0, 9))), *shown])


@given(rows=st.lists(yolo_rows(), max_size=4), width=st.integers(320, 4000), height=st.integers(240, 3000))
@settings(max_examples=100, deadline=None)
def test_yolo_text_is_stable_to_the_last_digit(rows: list[str], width: int, height: int) -> None:
    text = "".join(f"{row}\n" for row in rows)
    frame, findings = yolo.read_label(
        text, Frame("a.jpg", "a", Split.TRAIN, width, height), BDD100K, declared_meaning({}), "x"
    )
    rounded = {finding.code for finding in findings}
    if not rounded:
        assert yolo.write_label(frame, BDD100K) == text
    assert rounded <= {"box-clipped"}  # three digits of a wide image are more than a rounding slip


@given(frame=frames(), source=st.none() | st.builds(SourceFrame, texts, texts))
@settings(max_examples=60, deadline=None)
def test_a_manifest_line_gives_back_the_entry_and_itself(frame: Frame, source: SourceFrame | None) -> None:
    entry = ManifestEntry(frame, "images/train/a.jpg", "0" * 64, source)
    line = entry.to_line()
    assert "\n" not in line
    again = ManifestEntry.from_line(line)
    assert again == entry
    assert again.to_line() == line
    assert same(again.frame, frame)


@given(frame=frames())
@settings(max_examples=20, deadline=None)
def test_canonical_labels_ignore_the_time_of_day_but_no_label(frame: Frame) -> None:
    night = frame.with_attributes(timeofday="night")
    assert canonical_json(canonical_labels(night)) == canonical_json(canonical_labels(frame))
    changed = replace(frame, boxes=(*frame.boxes, Box((1, 2, 3, 4), "car", id=1)))
    as_text = replace(frame, boxes=(*frame.boxes, Box((1, 2, 3, 4), "car", id="1")))
    labels = [json.dumps(canonical_labels(one), sort_keys=True) for one in (frame, changed, as_text)]
    assert len(set(labels)) == 3
