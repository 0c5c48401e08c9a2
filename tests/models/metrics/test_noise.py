import numpy as np
import pytest

from models.metrics.frame import Image
from models.metrics.noise import noise_level


def noisy(deviation: float, picture: np.ndarray | float = 120.0) -> Image:
    drawn = np.random.default_rng(0).normal(0, deviation, (160, 240))
    return (picture + drawn).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("deviation", [1.0, 3.0, 10.0])
def test_deviation_of_drawn_noise_is_found(deviation: float) -> None:
    assert noise_level(noisy(deviation)) == pytest.approx(deviation, rel=0.06)


def test_a_slope_is_no_noise() -> None:
    assert noise_level(np.tile(np.arange(240, dtype=np.uint8), (160, 1))) == 0
    slope = np.arange(240) / 2
    assert noise_level(noisy(4, slope)) == pytest.approx(noise_level(noisy(4)), rel=0.05)


def test_texture_in_the_lesser_part_is_not_taken_for_noise() -> None:
    image = noisy(2)
    before = noise_level(image)
    image[:, :80] = np.random.default_rng(1).integers(0, 256, (160, 80))
    assert noise_level(image) == pytest.approx(before, rel=0.1)


def test_one_block_worked_by_hand() -> None:
    # a single bright pixel in the middle of 3x3: the mask answers 4 times its height
    image = np.zeros((3, 3), np.uint8)
    image[1, 1] = 10
    assert noise_level(image) == pytest.approx(np.sqrt(np.pi / 2) / 6 * 40)


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (3, 3), (3, 200), (17, 18)])
def test_any_size_has_a_level(shape: tuple[int, int]) -> None:
    assert noise_level(np.full(shape, 7, np.uint8)) == 0
