"""BDD100K's label files: the 2018 list, the 2018 file per image, and det_20 (Scalabel list or dict)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from service.datasets.categories import (
    BDD100K_2018_NAMES,
    BDD100K_ALIASES,
    BDD100K_IGNORED_NAMES,
    Meaning,
)
from service.datasets.checks import check_box, refuse_too_many
from service.datasets.dataset import Attributes, Box, Finding, Frame, Severity
from service.datasets.streams import items, pieces
from service.errors import LabelUnreadable

CORNERS = ("x1", "y1", "x2", "y2")
# In the file per image these stand beside `objects`, not beside `name`.
_INNER_KEYS = ("timestamp",)
_NO_NAMES: Mapping[str, str] = {}


def records(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """The frames of a list file, or of a Scalabel dict with `frames`, one at a time.

    Raises:
        LabelUnreadable: if it is not JSON, or a frame is not an object with a name.
    """
    source = pieces(stream)
    head = next(source)
    prefix = "frames.item" if head.lstrip().startswith(b"{") else "item"
    for number, (_, record) in enumerate(items(chain([head], source), prefix)):
        if not (isinstance(record, dict) and isinstance(record.get("name"), str)):
            raise LabelUnreadable(f"frame {number}", "this is not an object with a name", "Mend the file.")
        yield record


def image_record(stream: BinaryIO) -> dict[str, Any]:
    """The one frame of a 2018 file per image, in the shape that `records` gives; its name has no suffix.

    Raises:
        LabelUnreadable: if it is not such a file.
    """
    whole = next((item for _, item in items(pieces(stream), "")), None)
    if not (isinstance(whole, dict) and isinstance(whole.get("name"), str)):
        raise LabelUnreadable("the file", "this is not an object with a name", "Mend the file.")
    frames = whole.get("frames") or []
    if not (isinstance(frames, list) and len(frames) <= 1 and all(isinstance(one, dict) for one in frames)):
        raise LabelUnreadable(
            "frames", "this does not hold the labels of one image", "Use one file an image."
        )
    inner = dict(frames[0]) if frames else {}
    labels = inner.pop("objects", None)
    outer = {key: value for key, value in whole.items() if key != "frames"}
    return {**outer, **inner, "labels": labels}


def looks_2018(record: Mapping[str, Any]) -> bool:
    """Whether a frame's labels are spelt as in the 2018 release: numeric ids, or categories since renamed."""
    return any(
        isinstance(label.get("id"), int) or "manualShape" in label or label.get("category") in BDD100K_ALIASES
        for label in _labels(record)
    )


def box_categories(record: Mapping[str, Any]) -> Iterator[str]:
    """The raw category of every label that has a box."""
    for label in _labels(record):
        if label.get("box2d") is not None and isinstance(label.get("category"), str):
            yield label["category"]


def frame_attributes(record: Mapping[str, Any]) -> Attributes:
    attributes = record.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def read_record(
    record: Mapping[str, Any], frame: Frame, meaning: Meaning, path: str
) -> tuple[Frame, list[Finding]]:
    """`frame` (identity and size) with everything the record says.

    Args:
        path: what the findings name; their pointer is the place in `labels`.
    """
    boxes, others, findings = [], [], []
    refuse_too_many(len(_raw_labels(record)), path)
    for number, label in enumerate(_raw_labels(record)):
        pointer = f"labels/{number}"
        if isinstance(label, dict) and label.get("box2d") is None:
            others.append(label)
            continue
        box, finding = _read_box(label, frame, meaning, path, pointer)
        if box:
            boxes.append(box)
        if finding:
            findings.append(finding)
    filled = replace(
        frame,
        boxes=tuple(boxes),
        attributes=frame_attributes(record),
        other_labels=tuple(others),
        extra=_without(record, "name", "attributes", "labels"),
    )
    return filled, findings


def write_det20(frames: Iterable[Frame]) -> Iterator[str]:
    """A Scalabel list, in pieces of one frame."""
    yield from _write_list(_record(frame, _NO_NAMES) for frame in frames)


def write_2018(frames: Iterable[Frame]) -> Iterator[str]:
    """A 2018 list, in pieces of one frame, with the category names of that time."""
    yield from _write_list(_record(frame, BDD100K_2018_NAMES) for frame in frames)


def write_2018_frame(frame: Frame) -> str:
    """The 2018 file of one image."""
    record = _record(frame, BDD100K_2018_NAMES)
    inner = {key: record.pop(key) for key in _INNER_KEYS if key in record}
    inner["objects"] = record.pop("labels")
    record["name"] = str(PurePosixPath(frame.name).with_suffix(""))
    return json.dumps({**record, "frames": [inner]})


def _raw_labels(record: Mapping[str, Any]) -> list[Any]:
    labels = record.get("labels")
    return labels if isinstance(labels, list) else []


def _labels(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [label for label in _raw_labels(record) if isinstance(label, dict)]


def _read_box(
    label: Any, frame: Frame, meaning: Meaning, path: str, pointer: str
) -> tuple[Box | None, Finding | None]:
    name = label.get("category") if isinstance(label, dict) else None
    if not isinstance(name, str):
        message = "The label is not an object with a category; it is left out."
        return None, Finding("label-syntax", Severity.ERROR, path, message, "Name its category.", pointer)
    # An unknown name that got this far was ignored on request; the plan has counted it.
    if (known := meaning(name)) is None:
        return None, None
    box2d = label["box2d"] if isinstance(label["box2d"], dict) else {}
    corners = [box2d.get(corner) for corner in CORNERS]
    xyxy, finding = check_box(corners, frame.width_px, frame.height_px, path, pointer)
    if xyxy is None:
        return None, finding
    attributes = dict(frame_attributes(label))
    is_ignored = known[1] or attributes.get("ignored") is True
    if attributes.get("ignored") is True:
        del attributes["ignored"]
    extra = _without(label, "id", "category", "attributes", "box2d")
    return Box(xyxy, known[0], label_id(label.get("id")), is_ignored, attributes, extra), finding


def label_id(raw: Any) -> str | int | None:
    """An id as read; what is neither text nor a whole number becomes text."""
    if raw is None or (isinstance(raw, str | int) and not isinstance(raw, bool)):
        return raw
    return json.dumps(raw)


def _without(record: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}


def _record(frame: Frame, names: Mapping[str, str]) -> dict[str, Any]:
    labels = [_label(box, names) for box in frame.boxes]
    labels += [dict(label) for label in frame.other_labels]
    return {**frame.extra, "name": frame.name, "attributes": dict(frame.attributes), "labels": labels}


def _label(box: Box, names: Mapping[str, str]) -> dict[str, Any]:
    category, attributes = names.get(box.category, box.category), dict(box.attributes)
    if box.is_ignored and box.category in BDD100K_IGNORED_NAMES:
        category = BDD100K_IGNORED_NAMES[box.category]
    elif box.is_ignored:
        attributes["ignored"] = True
    label = {**box.extra, "category": category, "attributes": attributes}
    label["box2d"] = dict(zip(CORNERS, box.xyxy, strict=True))
    return label if box.id is None else {**label, "id": box.id}


def _write_list(frame_records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    opening = "[\n"
    for record in frame_records:
        yield opening + json.dumps(record)
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"
