"""What a dataset holds, by the words that people filter by and look for in charts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from service.datasets.dataset import Box
from service.datasets.manifest import ManifestEntry

# COCO's: an object smaller than this by this many pixels is of that size, any other is large.
SIZES_PX = (("small", 32), ("medium", 96))
LARGE = "large"
BRIGHTNESS_BINS = 10
_NUMBERS = ("frames", "boxes", "ignored_boxes", "unlabelled")
_TABLES = ("splits", "categories", "timeofday", "boxes_by_split")


@dataclass(slots=True)
class Counts:
    """Of frames but for `boxes`, `categories`, `boxes_by_split` and `box_sizes`, which count objects; regions
    to ignore are none. `brightness` has a number for each tenth from dark to bright.
    """

    frames: int = 0
    boxes: int = 0
    ignored_boxes: int = 0
    unlabelled: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    timeofday: Counter[str] = field(default_factory=Counter)
    boxes_by_split: Counter[str] = field(default_factory=Counter)
    box_sizes: Counter[str] = field(default_factory=Counter)
    brightness: list[int] = field(default_factory=lambda: [0] * BRIGHTNESS_BINS)

    def add(self, entry: ManifestEntry) -> None:
        frame = entry.frame
        objects = [box for box in frame.boxes if not box.is_ignored]
        self.frames += 1
        self.boxes += len(objects)
        self.ignored_boxes += len(frame.boxes) - len(objects)
        self.unlabelled += not frame.boxes
        self.splits[str(frame.split)] += 1
        self.categories.update(box.category for box in objects)
        self.timeofday[frame.timeofday or "untagged"] += 1
        self.boxes_by_split[str(frame.split)] += len(objects)
        self.box_sizes.update(map(size_of, objects))
        if entry.brightness is not None:
            self.brightness[brightness_bin(entry.brightness)] += 1

    def to_json(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        tables = {name: dict(sorted(getattr(self, name).items())) for name in _TABLES}
        sizes = {name: self.box_sizes[name] for name in (*dict(SIZES_PX), LARGE)}
        return {**numbers, **tables, "box_sizes": sizes, "brightness": self.brightness}


def size_of(box: Box) -> str:
    """As COCO's evaluation tells small, medium and large objects: by the pixels they cover in their image."""
    x1, y1, x2, y2 = box.xyxy
    area = (x2 - x1) * (y2 - y1)
    return next((name for name, side in SIZES_PX if area < side**2), LARGE)


def brightness_bin(brightness: float) -> int:
    """Which tenth a mean luma from 0 to 1 falls into; white is of the last one."""
    return min(BRIGHTNESS_BINS - 1, int(brightness * BRIGHTNESS_BINS))
