"""The words of a labelled dataset: frames, boxes, findings. Values that check themselves once, at birth."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

Attributes = Mapping[str, Any]


class Split(StrEnum):
    """The part of a dataset that a frame belongs to."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class TimeOfDay(StrEnum):
    """BDD100K's values of the frame attribute `timeofday`."""

    DAYTIME = "daytime"
    NIGHT = "night"
    DAWN_DUSK = "dawn/dusk"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Box:
    """One labelled object.

    `xyxy` is in pixels of the displayed image, origin top-left, x2 and y2 exclusive (width is x2 - x1).
    `attributes` holds what the format says about the object (occluded, truncated, trafficLightColor, …);
    `extra` holds every other key of the source record, carried through unread.
    An `is_ignored` box marks a region that is neither object nor background (BDD100K's "other vehicle",
    COCO's crowds): it is kept, but never written to a YOLO label file.
    """

    xyxy: tuple[float, float, float, float]
    category: str
    id: str | int | None = None
    is_ignored: bool = False
    attributes: Attributes = field(default_factory=dict)
    extra: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.xyxy
        if not (x1 < x2 and y1 < y2):
            raise ValueError(f"a box must have x1 < x2 and y1 < y2, got {self.xyxy}")


@dataclass(frozen=True, slots=True)
class Frame:
    """One image with its boxes and attributes.

    `name` is the file name that the source gave (posix, relative to the split's folder); it is never used as
    a path. `id` is made from it, safe as a file stem and unique within the split. `attributes` holds weather,
    scene, timeofday and whatever else the source says of the frame; `other_labels` the labels that are not
    boxes (lanes, drivable areas), unread; `extra` every other key of the source record.
    """

    name: str
    id: str
    split: Split
    width_px: int
    height_px: int
    boxes: tuple[Box, ...] = ()
    attributes: Attributes = field(default_factory=dict)
    other_labels: tuple[Attributes, ...] = ()
    extra: Attributes = field(default_factory=dict)

    @property
    def timeofday(self) -> str | None:
        value = self.attributes.get("timeofday")
        return value if isinstance(value, str) else None

    def with_attributes(self, **attributes: Any) -> "Frame":
        """The same frame with some frame attributes set."""
        return replace(self, attributes={**self.attributes, **attributes})


class Severity(StrEnum):
    """What became of the thing that a finding names."""

    ERROR = "error"  # it is left out
    WARNING = "warning"  # it is kept, a person should look
    NOTE = "note"  # it was changed or counted, nothing to do


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report: what is wrong with which file, where in it, and what to do."""

    code: str
    severity: Severity
    path: str
    message: str
    cure: str = ""
    pointer: str = ""
