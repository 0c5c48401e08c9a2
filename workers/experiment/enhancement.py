"""Night test frames brightened by a generator before a day detector sees them."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.detection.orders import LabelledFile
from models.generators.interface import Scene
from service.storage import keys
from workers.artifacts import stored_pixels
from workers.context import Bench
from workers.experiment.frames import ExperimentFrame
from workers.resident_generator import resident_translator


def enhanced(
    frames: Sequence[ExperimentFrame],
    arm: int,
    card: Mapping[str, Any],
    plan_key: str,
    bench: Bench,
    room: Path,
) -> list[LabelledFile]:
    """The frames after the generator of a card, as files. They are made once and kept in the store, as
    lossless images: the next seed, and whoever takes up a lost training, finds them there.
    """
    folder = room / f"enhanced-{arm:03d}"
    folder.mkdir(exist_ok=True)
    files = []
    for number, frame in enumerate(frames):
        key = keys.experiment(plan_key, "enhanced", f"{arm:03d}", f"{number:06d}.png")
        if not bench.store.exists(key):
            bench.store.write(key, _brightened(frame, number, card, bench))
        file = folder / f"{number:06d}.png"
        if not file.is_symlink():
            bench.store.fetch(key, file)
        files.append(LabelledFile(file, (frame.height_px, frame.width_px)))
    return files


def _brightened(frame: ExperimentFrame, number: int, card: Mapping[str, Any], bench: Bench) -> bytes:
    translator = resident_translator(dict(card), 1, bench.settings, bench.store)
    (pixels,) = translator.translate([stored_pixels(bench.store, frame.image)], [Scene(number)])
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "PNG", compress_level=1)
    return data.getvalue()
