"""Is what was there by day still there by night? Edges of a translated frame against those of its source."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics.frame import Boxes, Doubles, Image, Vector

SMALLEST_BOX_PX = 4  # a side; smaller ones hold too few pixels to compare
STILL = 1e-6  # less variance of gradients than this is none


@dataclass(frozen=True, slots=True)
class GradientSimilarity:
    """`inside`: sum over `boxes` boxes. `outside`: NaN where boxes cover all."""

    inside: float
    boxes: int
    outside: float


def gradient_similarity(day: Image, night: Image, boxes: Boxes) -> GradientSimilarity:
    """The correlation of Sobel gradient magnitudes of luma: in each box, and in what lies outside all boxes.

    In [0, 1]: 1 for identical images, 1 whatever gain or offset was put on all the luma as long as nothing is
    cut off, near 0 for unrelated ones (a negative correlation counts as 0). Only magnitudes are compared, as
    an edge may change its sign by night: lamps and lit windows are darker than the sky by day.

    Args:
        day, night: luma, uint8, (H, W).
        boxes: xyxy in pixels; what lies beyond the image is cut off, and what remains with less than 4 px a
            side is not counted.
    """
    edges_day, edges_night = gradient_magnitudes(day), gradient_magnitudes(night)
    is_outside = np.ones(day.shape, dtype=bool)
    inside, count = 0.0, 0
    for x1, y1, x2, y2 in boxes:
        rows = slice(max(0, round(y1)), max(0, round(y2)))
        columns = slice(max(0, round(x1)), max(0, round(x2)))
        is_outside[rows, columns] = False
        part = edges_day[rows, columns]
        if min(part.shape) >= SMALLEST_BOX_PX:
            inside += correlation(part, edges_night[rows, columns])
            count += 1
    if is_outside.all():
        return GradientSimilarity(inside, count, correlation(edges_day, edges_night))
    if not is_outside.any():
        return GradientSimilarity(inside, count, float("nan"))
    return GradientSimilarity(inside, count, correlation(edges_day[is_outside], edges_night[is_outside]))


def gradient_magnitudes(luma: Image) -> Vector:
    """Sobel's, float32, (H, W); borders are repeated outwards."""
    levels = np.pad(luma, 1, mode="edge").astype(np.float32)
    smooth_down = levels[:-2] + 2 * levels[1:-1] + levels[2:]
    smooth_across = levels[:, :-2] + 2 * levels[:, 1:-1] + levels[:, 2:]
    return np.hypot(smooth_down[:, 2:] - smooth_down[:, :-2], smooth_across[2:] - smooth_across[:-2])


def correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Pearson's, not below 0. Two without any variation are alike (1), one with and one without not (0)."""
    a, b = (part.astype(np.float64).ravel() for part in (first, second))
    a, b = a - a.mean(), b - b.mean()
    spread_a, spread_b = _dot(a, a), _dot(b, b)
    if min(spread_a, spread_b) < STILL:
        return float(max(spread_a, spread_b) < STILL)
    return min(1.0, max(0.0, _dot(a, b) / math.sqrt(spread_a * spread_b)))


def _dot(a: Doubles, b: Doubles) -> float:
    """By einsum: `a @ b` adds up in another order for another number of threads."""
    return float(np.einsum("i,i", a, b))
