"""COCO's instance files: one JSON document with `images`, `annotations` and `categories`."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from math import inf, nextafter
from typing import Any

from service.datasets.bdd100k import label_id
from service.datasets.categories import Meaning
from service.datasets.checks import check_box, is_number, refuse_too_many
from service.datasets.dataset import Attributes, Box, Finding, Frame, Severity
from service.wording import cut

_IMAGE_KEYS = ("file_name", "width", "height", "attributes")
_ANNOTATION_KEYS = ("id", "image_id", "category_id", "bbox", "iscrowd", "attributes", "source_id")

NamedFrames = Callable[[], Iterable[tuple[Frame, str]]]


def read_record(
    record: Mapping[str, Any], frame: Frame, meaning: Meaning, path: str
) -> tuple[Frame, list[Finding]]:
    """`frame` (identity and size) with everything one record of `coco_file` says.

    The image's own keys go to `Frame.extra`, its id among them, those of an annotation (segmentation,
    keypoints, …) to `Box.extra`.
    """
    boxes, findings = [], []
    refuse_too_many(len(record["annotations"]), path)
    for number, named in enumerate(record["annotations"]):
        box, finding = _read_box(named, frame, meaning, path, f"annotations/{number}")
        if box:
            boxes.append(box)
        if finding:
            findings.append(finding)
    image = record["image"]
    extra = {key: value for key, value in image.items() if key not in _IMAGE_KEYS}
    if "source_id" in extra and (source_id := extra.pop("source_id")) is None:
        del extra["id"]  # the writer made it up
    elif "source_id" in image:
        extra["id"] = source_id
    filled = replace(frame, boxes=tuple(boxes), attributes=attributes_of(image), extra=extra)
    return filled, findings


def attributes_of(raw: Mapping[str, Any]) -> Attributes:
    """The `attributes` of an image or annotation, a widespread addition to the format (CVAT, Datumaro)."""
    attributes = raw.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def write(read_frames: NamedFrames, categories: Sequence[str]) -> Iterator[str]:
    """A COCO document in pieces.

    The frames are read four times, so that none are held. Labels that are not boxes are left out. Ids of
    the source are kept if they are whole numbers and no two are equal; else images or annotations are
    numbered anew and `source_id` holds the old id.

    Args:
        read_frames: gives the frames, always in the same order, each with its `file_name`.
    """
    keeps_images = _are_unique(_image_id(frame) for frame, _ in read_frames())
    keeps_boxes = _are_unique(box.id for frame, _ in read_frames() for box in frame.boxes)
    numbers = {name: number for number, name in enumerate(categories, start=1)}
    listed = [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()]
    yield f'{{"info": {{}}, "licenses": [],\n"categories": {json.dumps(listed)},\n"images": ['
    yield from _lines(_image_records(read_frames, keeps_images))
    yield '],\n"annotations": ['
    yield from _lines(_annotation_records(read_frames, numbers, keeps_images, keeps_boxes))
    yield "]}\n"


def _read_box(
    named: tuple[str | None, Mapping[str, Any]], frame: Frame, meaning: Meaning, path: str, pointer: str
) -> tuple[Box | None, Finding | None]:
    name, annotation = named
    known = meaning(name) if name is not None else None
    if known is None:
        message = f"No category has the id {cut(repr(annotation.get('category_id')))}; the box is left out."
        cure = "Add the category to the file's `categories`."
        return None, Finding("dangling-id", Severity.ERROR, path, message, cure, pointer)
    xyxy, finding = check_box(
        _corners(annotation.get("bbox")), frame.width_px, frame.height_px, path, pointer
    )
    if xyxy is None:
        return None, finding
    extra = {key: value for key, value in annotation.items() if key not in _ANNOTATION_KEYS}
    if extra.get("area") == _area(xyxy):
        del extra["area"]  # the writer computes it again
    identity = annotation["source_id"] if "source_id" in annotation else annotation.get("id")
    is_crowd = bool(annotation.get("iscrowd"))
    return Box(xyxy, known[0], label_id(identity), is_crowd, attributes_of(annotation), extra), finding


def _corners(bbox: Any) -> list[Any]:
    if not isinstance(bbox, list):
        return [bbox]
    if not (len(bbox) == 4 and all(map(is_number, bbox))):
        return bbox
    x, y, width, height = bbox
    return [x, y, x + width, y + height]


def _area(xyxy: tuple[float, float, float, float]) -> float:
    x1, y1, x2, y2 = xyxy
    return round((x2 - x1) * (y2 - y1), 4)


def _side(start: float, end: float) -> float:
    """The width with which `start + width` is `end`, with few digits where those do. Of some ends there is
    no such width: they come back with another last bit.
    """
    exact = end - start
    for width in (round(exact, 6), exact, nextafter(exact, inf), nextafter(exact, -inf)):
        if start + width == end:
            return width
    return exact


def _are_unique(ids: Iterable[Any]) -> bool:
    """Whether all are whole numbers and differ; a table that spills to disk holds those seen."""
    with closing(sqlite3.connect("")) as table:
        table.execute("CREATE TABLE seen (id INTEGER PRIMARY KEY)")
        for identity in ids:
            if not isinstance(identity, int) or isinstance(identity, bool) or not 0 <= identity < 1 << 63:
                return False
            try:
                table.execute("INSERT INTO seen VALUES (?)", (identity,))
            except sqlite3.IntegrityError:
                return False
    return True


def _image_id(frame: Frame) -> Any:
    return frame.extra.get("id")


def _image_records(read_frames: NamedFrames, keeps_ids: bool) -> Iterator[dict[str, Any]]:
    for number, (frame, file_name) in enumerate(read_frames(), start=1):
        record = {**frame.extra, "id": _image_id(frame) if keeps_ids else number, "file_name": file_name}
        record |= {"width": frame.width_px, "height": frame.height_px}
        if frame.attributes:
            record["attributes"] = dict(frame.attributes)
        if not keeps_ids:
            record["source_id"] = _image_id(frame)
        yield record


def _annotation_records(
    read_frames: NamedFrames, numbers: Mapping[str, int], keeps_images: bool, keeps_boxes: bool
) -> Iterator[dict[str, Any]]:
    count = 0
    for place, (frame, _) in enumerate(read_frames(), start=1):
        image_id = _image_id(frame) if keeps_images else place
        for box in frame.boxes:
            count += 1
            record = {**box.extra, "image_id": image_id, "category_id": numbers[box.category]}
            yield record | _annotation(box, count, keeps_boxes)


def _annotation(box: Box, number: int, keeps_id: bool) -> dict[str, Any]:
    x1, y1, x2, y2 = box.xyxy
    annotation: dict[str, Any] = {
        "id": box.id if keeps_id else number,
        "bbox": [x1, y1, _side(x1, x2), _side(y1, y2)],
        "area": box.extra.get("area", _area(box.xyxy)),
        "iscrowd": int(box.is_ignored),
    }
    if not keeps_id:
        annotation["source_id"] = box.id
    return annotation | ({"attributes": dict(box.attributes)} if box.attributes else {})


def _lines(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    separator = "\n"
    for record in records:
        yield separator + json.dumps(record)
        separator = ",\n"
