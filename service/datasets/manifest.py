"""The manifest of a stored dataset: one frame a line, with all that is known of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.datasets.dataset import Box, Frame, Split


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """The frame that a translated frame was made from: its dataset's id and its image's sha256."""

    dataset: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A stored frame.

    `image` is the image's key below the dataset's prefix (`images/train/x.jpg`), `sha256` that of its bytes.
    `brightness` is its mean luma from 0 to 1; `looks` is day or night where the pixels contradict the tag.
    """

    frame: Frame
    image: str
    sha256: str
    source: SourceFrame | None = None
    brightness: float | None = None
    looks: str | None = None

    def to_line(self) -> str:
        """One line of canonical JSON, without its line end: equal entries give equal bytes.

        Other line ends of Unicode may stand in it as they are, so split a manifest at `\\n` alone.
        """
        data = {"frame": frame_to_json(self.frame), "image": self.image, "sha256": self.sha256}
        if self.source:
            data["source"] = {"dataset": self.source.dataset, "sha256": self.source.sha256}
        seen = {"brightness": self.brightness, "looks": self.looks}
        return canonical_json(data | {name: value for name, value in seen.items() if value is not None})

    @classmethod
    def from_line(cls, line: str) -> "ManifestEntry":
        data = json.loads(line)
        source = SourceFrame(**data["source"]) if "source" in data else None
        frame, seen = frame_from_json(data["frame"]), (data.get("brightness"), data.get("looks"))
        return cls(frame, data["image"], data["sha256"], source, *seen)


def canonical_json(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_labels(frame: Frame) -> dict[str, Any]:
    """What translation must not change: the size and every label. Frame attributes (timeofday) may."""
    data = frame_to_json(frame)
    return {key: data.get(key, []) for key in ("width_px", "height_px", "boxes", "other_labels")}


def frame_to_json(frame: Frame) -> dict[str, Any]:
    """What is empty is left out."""
    data: dict[str, Any] = {
        "name": frame.name,
        "id": frame.id,
        "split": str(frame.split),
        "width_px": frame.width_px,
        "height_px": frame.height_px,
        "boxes": [_box_to_json(box) for box in frame.boxes],
    }
    optional = {
        "attributes": dict(frame.attributes),
        "other_labels": [dict(label) for label in frame.other_labels],
        "extra": dict(frame.extra),
    }
    return data | {key: value for key, value in optional.items() if value}


def frame_from_json(data: Mapping[str, Any]) -> Frame:
    return Frame(
        name=data["name"],
        id=data["id"],
        split=Split(data["split"]),
        width_px=data["width_px"],
        height_px=data["height_px"],
        boxes=tuple(map(_box_from_json, data["boxes"])),
        attributes=data.get("attributes", {}),
        other_labels=tuple(data.get("other_labels", ())),
        extra=data.get("extra", {}),
    )


def _box_to_json(box: Box) -> dict[str, Any]:
    data: dict[str, Any] = {"xyxy": [float(value) for value in box.xyxy], "category": box.category}
    if box.id is not None:
        data["id"] = box.id
    if box.is_ignored:
        data["is_ignored"] = True
    optional = {"attributes": dict(box.attributes), "extra": dict(box.extra)}
    return data | {key: value for key, value in optional.items() if value}


def _box_from_json(data: Mapping[str, Any]) -> Box:
    x1, y1, x2, y2 = data["xyxy"]
    return Box(
        xyxy=(x1, y1, x2, y2),
        category=data["category"],
        id=data.get("id"),
        is_ignored=data.get("is_ignored", False),
        attributes=data.get("attributes", {}),
        extra=data.get("extra", {}),
    )
