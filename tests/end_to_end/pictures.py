"""A small labelled set of drawn pictures on the disk, as a user has one."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, number: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(number)
    width, height = size
    sky = np.linspace(230, 120, height, dtype=np.float32)[:, None, None] * np.array(
        [0.8, 0.9, 1.0], np.float32
    )
    pixels = np.broadcast_to(sky, (height, width, 3)) + rng.normal(0, 6, (height, width, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def write_bdd100k(root: Path, frames: int, size: tuple[int, int] = (320, 180)) -> Path:
    """A small labelled set in BDD100K's own layout; the last frame is tagged night, one is damaged."""
    records = []
    for number in range(frames):
        name = f"{number:08x}-{number * 7:08x}.jpg"
        draw(root / "images/100k/train" / name, number, size)
        box = {"x1": 10.25 + number, "y1": 90.0, "x2": 60.5 + number, "y2": 120.125}
        light = {"x1": 200, "y1": 20, "x2": 208, "y2": 40}
        attributes = {"occluded": False, "truncated": True, "trafficLightColor": "NA"}
        records.append(
            {
                "name": name,
                "attributes": {
                    "weather": "clear",
                    "scene": "city street",
                    "timeofday": "night" if number == frames - 1 else "daytime",
                },
                "timestamp": 10000,
                "labels": [
                    {"id": f"{number}-1", "category": "car", "attributes": attributes, "box2d": box},
                    {
                        "id": f"{number}-2",
                        "category": "traffic light",
                        "attributes": {**attributes, "trafficLightColor": "R"},
                        "box2d": light,
                    },
                ],
            }
        )
    broken = root / "images/100k/train" / records[3]["name"]
    broken.write_bytes(broken.read_bytes()[:400])
    labels = root / "labels/det_20/det_train.json"
    labels.parent.mkdir(parents=True)
    labels.write_text(json.dumps(records))
    return root
