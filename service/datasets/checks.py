"""Is a raw box fit to learn from? The one place that clips or drops."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from service.datasets.dataset import Finding, Severity
from service.errors import LabelUnreadable
from service.wording import cut

XYXY = tuple[float, float, float, float]

# Six decimals of a normalised coordinate are off by this much at most, even in a wide image. Such an overhang
# is no fault, and clipping it would change labels that are right.
ROUNDING_PX = 0.01
CARELESS_PX = 2.0
MIN_SIDE_PX = 1.0
MAX_BOXES = 10_000


class TooManyBoxes(LabelUnreadable):
    """No street shows as much; an image with such a label is left out."""

    code = "too-many-boxes"

    def __init__(self, where: str) -> None:
        problem = f"the image has more than {MAX_BOXES:,} labels"
        super().__init__(cut(where), problem, "Check what wrote the label file.")


def refuse_too_many(count: int, where: str) -> None:
    if count > MAX_BOXES:
        raise TooManyBoxes(where)


def check_box(
    raw: Sequence[Any], width_px: int, height_px: int, path: str, pointer: str
) -> tuple[XYXY | None, Finding | None]:
    """The box to keep, if any, and what to say about it, if anything.

    Args:
        raw: x1, y1, x2, y2 in pixels, as read: anything JSON can hold.
        path: the file, and `pointer` the label in it, that a finding names.
    """
    if not (len(raw) == 4 and all(map(is_number, raw))):
        return None, _bad_number(raw, path, pointer)
    x1, y1, x2, y2 = map(float, raw)
    if x1 > x2 or y1 > y2:
        return None, _inverted(raw, path, pointer)
    if _is_degenerate(x1, y1, x2, y2):
        return None, _degenerate(raw, path, pointer)
    overhang = max(-x1, -y1, x2 - width_px, y2 - height_px)
    if overhang <= ROUNDING_PX:
        return (x1, y1, x2, y2), None
    inside = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width_px)), min(y2, float(height_px)))
    return _clipped(inside, overhang, f"{list(raw)} in an image of {width_px}x{height_px}", path, pointer)


def is_number(value: Any) -> bool:
    """Whether JSON's value is a finite number; true and "12" are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_degenerate(x1: float, y1: float, x2: float, y2: float) -> bool:
    """A side of one pixel may come back a little shorter from a form that writes it as a length."""
    return min(x2 - x1, y2 - y1) < MIN_SIDE_PX - ROUNDING_PX


def _clipped(
    inside: XYXY, overhang: float, what: str, path: str, pointer: str
) -> tuple[XYXY | None, Finding | None]:
    x1, y1, x2, y2 = inside
    if _is_degenerate(x1, y1, x2, y2):
        message = f"The box lies outside its image ({what}); it is left out."
        cure = "Check that the label belongs to this image and to its size."
        return None, Finding("box-out-of-bounds", Severity.ERROR, path, message, cure, pointer)
    if overhang <= CARELESS_PX:
        message = f"The box reaches {overhang:.2f} px beyond its image ({what}); it is clipped."
        return inside, Finding("box-clipped", Severity.NOTE, path, message, "", pointer)
    message = f"The box reaches {overhang:.1f} px beyond its image ({what}); it is clipped."
    cure = "Check that the labels were drawn on an image of this size."
    return inside, Finding("box-out-of-bounds", Severity.WARNING, path, message, cure, pointer)


def _bad_number(raw: Sequence[Any], path: str, pointer: str) -> Finding:
    message = f"The box {_short(raw)} does not hold four finite numbers; it is left out."
    return Finding("bad-number", Severity.ERROR, path, message, "Write the coordinates as numbers.", pointer)


def _inverted(raw: Sequence[Any], path: str, pointer: str) -> Finding:
    message = f"The box {list(raw)} has its corners the wrong way round; it is left out."
    cure = "Write the upper left corner first; for x, y, width and height use the COCO form."
    return Finding("box-inverted", Severity.ERROR, path, message, cure, pointer)


def _degenerate(raw: Sequence[Any], path: str, pointer: str) -> Finding:
    message = f"The box {list(raw)} is less than one pixel wide or high; it is left out."
    return Finding("box-degenerate", Severity.WARNING, path, message, "Remove it, or draw it again.", pointer)


def _short(raw: Sequence[Any]) -> str:
    return cut(repr(list(raw)))
