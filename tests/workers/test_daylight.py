"""The judge of day and night on drawn streets and on real frames."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.demo.streets import draw_street
from workers.daylight import NIGHT_FROM, REDUCED_WIDTH_PX, Pixels, looks_like_night

REAL = Path(__file__).parents[3] / "shared" / "data"


def reduced(image: Image.Image) -> Pixels:
    height = round(image.height * REDUCED_WIDTH_PX / image.width)
    return np.asarray(image.convert("RGB").resize((REDUCED_WIDTH_PX, height), Image.Resampling.BOX))


@pytest.mark.parametrize("seed", range(4))
def test_drawn_days_pass_and_drawn_nights_are_found(seed: int) -> None:
    assert looks_like_night(reduced(draw_street(seed).image)) < 0.5
    assert looks_like_night(reduced(draw_street(seed, is_night=True).image)) >= NIGHT_FROM


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 5, 3), (90, 160, 3)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_score_is_a_share_for_any_image(shape: tuple[int, int, int], level: int) -> None:
    score = looks_like_night(np.full(shape, level, np.uint8))
    assert isinstance(score, float)
    assert 0 <= score <= 1


def test_white_and_grey_are_day() -> None:
    for level in (150, 255):
        assert looks_like_night(np.full((90, 160, 3), level, np.uint8)) < 0.1


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared development data is not beside this checkout")
@pytest.mark.parametrize(
    ("folder", "least", "most"),
    [
        ("street/images/day_val", 0.0, 0.02),
        ("motorway/images/day_val", 0.0, 0.02),
        ("street/images/night_test", 0.5, 1.0),
        ("motorway/images/night_test", 0.8, 1.0),
    ],
)
def test_held_out_frames_are_judged_as_the_docstring_says(folder: str, least: float, most: float) -> None:
    verdicts = []
    for path in sorted((REAL / folder).iterdir()):
        with Image.open(path) as image:
            verdicts.append(looks_like_night(reduced(image)) >= NIGHT_FROM)
    assert least <= np.mean(verdicts) <= most
