"""Average precision by COCO's rule: precision at 101 recalls, each the best at that recall or beyond.

Equal to pycocotools to the last digits, its rounding included: a recall of 35/100 does not reach its recall
point 0.35, which is a last digit larger. That decides which precision is read there.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.detection.boxes import Doubles, Flags, Indices
from models.detection.matching import IOU_THRESHOLDS, CategoryMatches

RECALLS = np.linspace(0.0, 1.0, 101)
STEP = 0.01
CELLS = 2**18  # numbers in an array of resamples by detections: 1 MB, which stays near the processor

Draws = NDArray[np.int32]


def precision_at_recalls(matches: CategoryMatches) -> Doubles:
    """(10, 101), by IoU threshold and recall; 0 at recalls that were not reached. There must be a box."""
    curves = np.zeros((len(IOU_THRESHOLDS), len(RECALLS)))
    for curve, hits in zip(curves, _hits_by_threshold(matches), strict=True):
        found = np.arange(1, len(hits) + 1)
        best = np.maximum.accumulate((found / (hits + 1))[::-1])[::-1]
        at = np.searchsorted(found / matches.boxes, RECALLS)
        curve[at < len(hits)] = best[at[at < len(hits)]]
    return curves


def recalls(matches: CategoryMatches) -> Doubles:
    """The share of boxes that was found at whatever confidence, by IoU threshold, (10,)."""
    return np.asarray(matches.is_true.sum(axis=0) / matches.boxes)


def resampled_average_precision(matches: CategoryMatches, draws: Draws) -> Doubles:
    """What `precision_at_recalls(...).mean(axis=1)` would be, had each image been there as often as drawn.

    Copies of a detection are as sure as each other, so all of them are found or none: the sorted detections
    stay as they are, and only count more often. Precision is needed at the true ones only, of which there are
    few among many false.

    Args:
        draws: (B, images), how often each was drawn.

    Returns:
        (B, 10), by IoU threshold; NaN where no box was drawn.
    """
    boxes = draws[:, matches.box_image].sum(axis=1, keepdims=True)
    result = np.full((len(draws), len(IOU_THRESHOLDS)), np.nan)
    size = max(1, CELLS // max(len(matches.image), 1))
    some_resamples = [slice(first, first + size) for first in range(0, len(draws), size)]
    for rows, thresholds in _alike(matches.is_counted):
        image = matches.image[rows]
        hits = {threshold: np.flatnonzero(matches.is_true[rows, threshold]) for threshold in thresholds}
        for some in some_resamples:
            drawn = draws[some].take(image, axis=1)
            seen = drawn.cumsum(axis=1, dtype=np.int32)
            for threshold, at in hits.items():
                result[some, threshold] = _average(drawn[:, at], seen[:, at], np.maximum(boxes[some], 1))
    result[boxes[:, 0] == 0] = np.nan
    return result


def _average(drawn: Draws, seen: Draws, boxes: Indices) -> Doubles:
    """Args:
    drawn: (b, hits), how often each true detection was drawn.
    seen: (b, hits), how many detections are as sure or surer.
    boxes: (b, 1).
    """
    found = drawn.cumsum(axis=1, dtype=np.int32)
    best = np.maximum.accumulate((found / np.maximum(seen, 1))[:, ::-1], axis=1)[:, ::-1]
    reached = np.diff(_last_recall(found / boxes), axis=1, prepend=-1)
    return np.asarray(np.einsum("bk,bk->b", best, reached) / len(RECALLS))


def _last_recall(recall: Doubles) -> Doubles:
    """The number of the last of `RECALLS` that is not above; ten times as fast as a search."""
    nearest = np.rint(recall / STEP)
    # numpy.linspace makes its points by this product
    nearest -= nearest * STEP > recall
    return np.asarray(nearest)


def _hits_by_threshold(matches: CategoryMatches) -> Iterator[Indices]:
    """For each threshold the places of true detections among counted ones, from 0."""
    for is_true, is_counted in zip(matches.is_true.T, matches.is_counted.T, strict=True):
        yield np.flatnonzero(is_true[is_counted])


def _alike(is_counted: Flags) -> Iterator[tuple[Indices, list[int]]]:
    """The counted detections, and the thresholds at which it is these: all ten, where nothing is ignored."""
    alike: dict[bytes, list[int]] = {}
    for threshold, column in enumerate(is_counted.T):
        alike.setdefault(column.tobytes(), []).append(threshold)
    for thresholds in alike.values():
        yield np.flatnonzero(is_counted[:, thresholds[0]]), thresholds
