"""Test sets drawn at random, and the few words in which hand-worked ones are written."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from models.detection.boxes import Detections, Truth

Box = tuple[float, float, float, float]
TestSet = tuple[list[Truth], list[Detections]]


def _truth(
    *boxes: Box,
    category: Sequence[int] | int = 0,
    is_ignored: Sequence[bool] | bool = False,
    luma: Sequence[float] | float = 50,
) -> Truth:
    one = np.ones(len(boxes))
    return Truth(np.array(boxes), one * category, (one * is_ignored).astype(bool), one * luma)


def _detections(
    *boxes: Box,
    score: Sequence[float] | float,
    category: Sequence[int] | int = 0,
) -> Detections:
    one = np.ones(len(boxes))
    return Detections(np.array(boxes), one * category, one * score)


def _draw_image(dice: np.random.Generator, categories: int, score_digits: int) -> tuple[Truth, Detections]:
    """On a grid of quarter pixels, where widths and areas are exact, with boxes of just 32 and 96 px."""
    boxes = int(dice.integers(0, 7))
    corner = dice.integers(0, 800, (boxes, 2)) / 4
    size = np.where(
        dice.random((boxes, 1)) < 0.2,
        dice.choice([32.0, 96.0], (boxes, 1)),
        dice.integers(20, 600, (boxes, 2)) / 4,
    )
    # the last category is rare, so that it is often absent
    shares = np.full(categories, 1 / categories)
    shares[-1] /= 10
    category = dice.choice(categories, boxes, p=shares / shares.sum())
    truth = Truth(
        np.hstack([corner, corner + size]), category, dice.random(boxes) < 0.15, dice.random(boxes) * 150
    )
    copies = dice.integers(0, boxes, int(dice.integers(0, 12))) if boxes else np.zeros(0, np.int64)
    near = truth.xyxy[copies] + dice.integers(-24, 25, (len(copies), 4)) / 4
    far_corner = dice.integers(0, 800, (int(dice.integers(0, 6)), 2)) / 4
    far = np.hstack([far_corner, far_corner + dice.integers(1, 600, far_corner.shape) / 4])
    xyxy = np.vstack([near, far])
    xyxy[:, 2:] = np.maximum(xyxy[:, :2], xyxy[:, 2:])
    found = np.concatenate([category[copies], dice.integers(0, categories, len(far))])
    found = np.where(dice.random(len(found)) < 0.15, dice.integers(0, categories, len(found)), found)
    return truth, Detections(xyxy, found, dice.random(len(found)).round(score_digits))


def _draw(seed: int, images: int = 8, categories: int = 3, score_digits: int = 12) -> TestSet:
    dice = np.random.default_rng(seed)
    drawn = [_draw_image(dice, categories, score_digits) for _ in range(images)]
    return [truth for truth, _ in drawn], [found for _, found in drawn]


@pytest.fixture(scope="session")
def truth_of() -> Callable[..., Truth]:
    """Boxes of one image; what is not given is of category 0, not ignored, of luma 50."""
    return _truth


@pytest.fixture(scope="session")
def detections_of() -> Callable[..., Detections]:
    return _detections


@pytest.fixture(scope="session")
def draw_test_set() -> Callable[..., TestSet]:
    """A test set from a seed: empty images, ignored boxes, rare categories, ties of scores if asked for."""
    return _draw
