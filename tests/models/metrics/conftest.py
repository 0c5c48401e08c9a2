"""Measurements made up from dice, drawn images, and the real frames where they are at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from models.metrics.frame import BRIGHTNESS_BINS, FrameMeasurement, Image
from models.metrics.measurements import Measurements, Yardstick

DIM = 5
YARDSTICK = Yardstick("made up", "0" * 64, DIM, "1" * 64)
Fill = Callable[..., Measurements]


def drawn_row(seed: int, dim: int = DIM, shift: float = 0.0) -> FrameMeasurement:
    dice = np.random.default_rng(seed)
    boxes = int(dice.integers(4))
    return FrameMeasurement(
        features=(dice.normal(size=dim) + shift).astype(np.float32),
        night=float(dice.random()),
        niqe=float(dice.random() * 8),
        noise=float(dice.random() * 9),
        luma=float(dice.random() * 255),
        brightness=dice.integers(0, 1000, BRIGHTNESS_BINS).astype(np.uint32),
        similarity_inside=float(dice.random() * boxes),
        boxes=boxes,
        similarity_outside=float(dice.random()),
    )


@pytest.fixture(scope="session", name="drawn_row")
def drawn_row_fixture() -> Callable[[int], FrameMeasurement]:
    """A made up row that depends on its number alone."""
    return drawn_row


@pytest.fixture(scope="session")
def filled() -> Fill:
    """Measurements of the frames of these numbers; a row depends on its number alone."""

    def fill(
        numbers: "range | list[int]", name: str = "set", yardstick: Yardstick = YARDSTICK, shift: float = 0.0
    ) -> Measurements:
        measurements = Measurements(yardstick, name)
        for number in numbers:
            measurements.add(number, drawn_row(number, yardstick.dim, shift))
        return measurements

    return fill


@pytest.fixture(scope="session")
def picture() -> Image:
    """Something like a street: smooth light, blocks, lamps and fine texture, 200 px high and 300 wide."""
    dice = np.random.default_rng(7)
    small = dice.integers(20, 200, (10, 15, 3)).astype(np.uint8)
    smooth = np.asarray(Pillow.fromarray(small).resize((300, 200), Pillow.Resampling.BICUBIC), np.float64)
    texture = dice.normal(0, 6, (200, 300, 1))
    return (smooth + texture).round().clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The shared development data, which lies beside the repository where it is at hand."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared development data is not beside this checkout")
    return folder


def read_folder(folder: Path, count: int) -> list[Image]:
    """Some of its frames, spread evenly."""
    paths = sorted(folder.iterdir())
    return [np.asarray(Pillow.open(path).convert("RGB")) for path in paths[:: max(1, len(paths) // count)]]


@pytest.fixture(scope="session")
def real_frames(real_data: Path) -> Callable[[str, int], list[Image]]:
    return lambda folder, count: read_folder(real_data / folder, count)[:count]
