"""The pictures of generators are drawn frames above and translations below."""

import io

import numpy as np
from PIL import Image

from service.catalogue import find_generator
from workers.sheets import CELL_PX, SEEDS, sheet


def test_a_picture_has_the_frames_above_and_the_translations_below() -> None:
    width_px, height_px = CELL_PX
    with Image.open(io.BytesIO(sheet(find_generator("identity", ())))) as picture:
        assert picture.size == (width_px * len(SEEDS), 2 * height_px)
        rows = np.asarray(picture.convert("RGB"), dtype=float)
    above, below = rows[:height_px], rows[height_px:]
    # Identity changes nothing but what the packing changes; upside down is another picture.
    assert np.abs(above - below).mean() < 5
    assert np.abs(above - below[::-1]).mean() > 20
