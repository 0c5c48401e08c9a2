"""Writes a small labelled day set of drawn streets in BDD100K's layout: a demo without other people's data.

The layout is that of the 100K images with the detection 2020 labels (a Scalabel list of frames):
`images/100k/{train,val}/<name>.jpg` and `labels/det_20/det_{train,val}.json`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from service.demo.streets import DrawnBox, Street, draw_street

JPEG_QUALITY = 90
# The rarer categories come by in turn, so that a handful of frames holds all ten.
_GUESTS = (
    ("train", "motorcycle"),
    ("bus", "bicycle"),
    ("truck", "motorcycle"),
    ("bicycle", "truck"),
    ("bus",),
)


def write_demo_dataset(
    root: Path, train: int = 16, val: int = 4, seed: int = 0, mislabelled: int = 0
) -> Path:
    """Draw `train` + `val` frames under `root`, made if missing, and return it.

    Args:
        mislabelled: how many frames (the last ones of train) are drawn by night and yet tagged daytime, as
            some of BDD100K are.
    """
    if mislabelled > train:
        raise ValueError(f"mislabelled frames are part of train: {mislabelled} of {train} is too many")
    first = 0
    for split, count in (("train", train), ("val", val)):
        images = root / "images" / "100k" / split
        images.mkdir(parents=True, exist_ok=True)
        frames = []
        for number in range(count):
            is_night = split == "train" and number >= count - mislabelled
            own_seed = seed * 1_000_003 + first + number
            street = draw_street(own_seed, _GUESTS[number % len(_GUESTS)], is_night)
            name = frame_name(own_seed)
            street.image.save(images / name, quality=JPEG_QUALITY)
            frames.append(_record(name, street))
        labels = root / "labels" / "det_20" / f"det_{split}.json"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(json.dumps(frames, indent=1), encoding="utf-8")
        first += count
    return root


def frame_name(seed: int) -> str:
    """Two groups of eight hexadecimal digits, as BDD100K names its frames."""
    left, right = np.random.default_rng((seed, 0x5EED)).integers(0, 2**32, size=2)
    return f"{left:08x}-{right:08x}.jpg"


def _record(name: str, street: Street) -> dict[str, Any]:
    return {
        "name": name,
        "attributes": {"weather": street.weather, "scene": street.scene, "timeofday": "daytime"},
        "timestamp": 10000,
        "labels": [_label(number, box) for number, box in enumerate(street.boxes)],
    }


def _label(number: int, box: DrawnBox) -> dict[str, Any]:
    x1, y1, x2, y2 = box.xyxy
    return {
        "id": str(number),
        "category": box.category,
        "attributes": box.attributes,
        "box2d": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
    }
