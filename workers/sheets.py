"""The pictures beside the bundled generators' cards: drawn streets, and what each generator makes of them.

    python -m workers.sheets [--only NAME …]

Writes `service/web/static/generators/<name>.webp`: the frames above, translated below. Run it after a bundled
generator has changed. Nothing of it is measured: a drawn street is no photo, but it is ours to show.
"""

import argparse
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from models.generators.interface import Scene, SceneObject
from models.inference import Translator
from models.registry import load_generator
from service.catalogue import BUNDLED, GeneratorCard
from service.demo.streets import DrawnBox, Street, draw_street
from service.web.assets import FOLDER
from workers.images import Pixels

SHEETS = FOLDER / "generators"
SEEDS = (3, 11, 14)
CELL_PX = (320, 180)
QUALITY = 72
MAX_BYTES = 60_000


def sheet(card: GeneratorCard) -> bytes:
    """A WebP picture of two rows: the frames that fit the generator's direction, and its translations."""
    streets = [draw_street(seed, is_night=card.direction == "night2day") for seed in SEEDS]
    sources = [np.asarray(street.image) for street in streets]
    scenes = [_scene(number, street) for number, street in enumerate(streets)]
    # Floats on one core: the same picture on every machine, as far as that goes.
    translator = Translator(load_generator(card.name), device="cpu", precision="float32", batch_size=1)
    results = [
        translator.translate([source], [scene])[0] for source, scene in zip(sources, scenes, strict=True)
    ]
    return _picture([sources, results])


def _scene(number: int, street: Street) -> Scene:
    return Scene(number, objects=tuple(_object(box) for box in street.boxes))


def _object(box: DrawnBox) -> SceneObject:
    x1, y1, x2, y2 = map(float, box.xyxy)
    return SceneObject((x1, y1, x2, y2), box.category, box.attributes)


def _picture(rows: Sequence[Sequence[Pixels]]) -> bytes:
    width_px, height_px = CELL_PX
    picture = Image.new("RGB", (width_px * len(rows[0]), height_px * len(rows)))
    for row, images in enumerate(rows):
        for column, pixels in enumerate(images):
            cell = Image.fromarray(pixels).resize(CELL_PX, Image.Resampling.LANCZOS)
            picture.paste(cell, (column * width_px, row * height_px))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def main(arguments: Sequence[str] | None = None) -> None:
    names = [card.name for card in BUNDLED]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    wanted = parser.parse_args(arguments).only
    SHEETS.mkdir(exist_ok=True)
    for card in BUNDLED:
        if card.name not in wanted:
            continue
        data = sheet(card)
        if len(data) > MAX_BYTES:
            raise SystemExit(f"{card.name}: {len(data):,} bytes are too many for a page; lower the quality.")
        (SHEETS / f"{card.name}.webp").write_bytes(data)
        print(f"{card.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
