"""Ultralytics YOLO: one text file of boxes per image, and the data.yaml beside them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import isfinite

import yaml

from service.datasets.categories import Meaning
from service.datasets.checks import check_box, refuse_too_many
from service.datasets.dataset import Box, Finding, Frame, Severity, Split

# Ultralytics refuses a file with a value above 1; a little more is a rounding slip that the box checks clip.
_SLIP = 0.01
# Beyond any dataset; without names, as many would be made up.
_MAX_CLASSES = 10_000
_CURE = "Write: class x-centre y-centre width height, the last four divided by the image's size."


class _BadRowError(Exception):
    """A row that is no box: the code and text of its finding."""

    def __init__(self, problem: str, code: str = "yolo-syntax") -> None:
        super().__init__(problem)
        self.code = code


def read_label(
    text: str, frame: Frame, names: Sequence[str], meaning: Meaning, path: str
) -> tuple[Frame, list[Finding]]:
    """`frame` (identity and size) with the boxes of its label file.

    A row of a class and three points or more is a polygon, of which the hull is kept.

    Args:
        names: the class names, before any mapping.
        path: what the findings name; their pointer is the line.
    """
    boxes, findings = [], []
    rows = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    refuse_too_many(len(rows), path)
    for number, line in rows:
        box, finding = _read_row(line, frame, names, meaning, (path, f"line {number}"))
        if box:
            boxes.append(box)
        if finding:
            findings.append(finding)
    return replace(frame, boxes=tuple(boxes)), findings


def class_indices(text: str) -> list[int]:
    """The class of every row that has one."""
    firsts = (line.split()[0] for line in text.splitlines() if line.strip())
    return [int(float(first)) for first in firsts if _is_index(first)]


def write_label(frame: Frame, categories: Sequence[str]) -> str:
    """The label file of a frame, without its ignore regions: YOLO has no word for them."""
    classes = {name: number for number, name in enumerate(categories)}
    rows = (_row(box, classes, frame) for box in frame.boxes if not box.is_ignored)
    return "".join(rows)


def write_data_yaml(categories: Sequence[str], splits: Collection[str]) -> str:
    """The data.yaml beside `images/<split>`; without `path`, so that the folder may be moved.

    Ultralytics demands both `train` and `val`, so a missing one is pointed at the images there are.
    """
    present = [split for split in Split if split in splits]
    lines = [f"{split}: images/{split}" for split in present]
    for needed, stand_ins in ((Split.TRAIN, (Split.VAL, Split.TEST)), (Split.VAL, (Split.TRAIN, Split.TEST))):
        other = next((split for split in stand_ins if split in present), None)
        if needed not in present and other:
            lines.append(f"# This dataset has no {needed} images; Ultralytics demands the key.")
            lines.append(f"{needed}: images/{other}")
    # The names are other people's text: YAML's own writer quotes them.
    names = yaml.safe_dump({"names": dict(enumerate(categories))}, sort_keys=False, allow_unicode=True)
    return "\n".join(lines) + "\n" + names


def _read_row(
    line: str, frame: Frame, names: Sequence[str], meaning: Meaning, where: tuple[str, str]
) -> tuple[Box | None, Finding | None]:
    (path, pointer), columns = where, line.split()
    try:
        name, values = _name(columns[0], names), _values(columns[1:])
    except _BadRowError as fault:
        message = f"{fault}; the row is left out."
        return None, Finding(fault.code, Severity.ERROR, path, message, _CURE, pointer)
    is_polygon = len(values) > 4
    corners = _hull(values) if is_polygon else _corners(values)
    sizes = (frame.width_px, frame.height_px) * 2
    pixels = [value * size for value, size in zip(corners, sizes, strict=True)]
    xyxy, finding = check_box(pixels, frame.width_px, frame.height_px, path, pointer)
    if xyxy is None or (known := meaning(name)) is None:
        return None, finding
    if is_polygon and finding is None:
        message = f"The row is a polygon of {len(values) // 2} points; the box around it is kept."
        finding = Finding("yolo-polygon", Severity.NOTE, path, message, "", pointer)
    return Box(xyxy, known[0], is_ignored=known[1]), finding


def _name(column: str, names: Sequence[str]) -> str:
    if not _is_index(column):
        raise _BadRowError(f"The class {column[:40]!r} is not a whole number from 0 up to {_MAX_CLASSES - 1}")
    if (index := int(float(column))) >= len(names):
        raise _BadRowError(f"There is no class {index}: the dataset names {len(names)}, counted from 0")
    return names[index]


def _is_index(column: str) -> bool:
    # Training tools write "3.0" when they print a row of floats.
    try:
        value = float(column)
    except ValueError:
        return False
    return isfinite(value) and 0 <= value < _MAX_CLASSES and value.is_integer()


def _values(columns: list[str]) -> list[float]:
    if len(columns) != 4 and (len(columns) < 6 or len(columns) % 2):
        raise _BadRowError(f"The row has {len(columns) + 1} columns, not 5")
    try:
        values = [float(column) for column in columns]
    except ValueError:
        raise _BadRowError("The row holds something that is not a number", "bad-number") from None
    if not all(map(isfinite, values)):
        raise _BadRowError("The row holds a number that is not finite", "bad-number")
    if max(values) > 1 + _SLIP or min(values) < -_SLIP:
        raise _BadRowError("The row has a value outside 0 to 1")
    return values


def _corners(values: Sequence[float]) -> list[float]:
    x, y, width, height = values
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def _hull(values: Sequence[float]) -> list[float]:
    xs, ys = values[0::2], values[1::2]
    return [min(xs), min(ys), max(xs), max(ys)]


def _row(box: Box, classes: Mapping[str, int], frame: Frame) -> str:
    x1, y1, x2, y2 = box.xyxy
    width, height = frame.width_px, frame.height_px
    values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return f"{classes[box.category]} {' '.join(map(_decimal, values))}\n"


def _decimal(value: float) -> str:
    """Ten decimals, of which no source has more, without trailing zeros."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
