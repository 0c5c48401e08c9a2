"""The boxes and detections of a whole test set in a row, and which of them overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.detection.boxes import Detections, Doubles, Indices, Truth, intersection_over_union

LEAST_IOU = 0.5
MOST_DETECTIONS = 100  # of a category in an image, as COCO counts them


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """All that scores are made of. Images have numbers from 0, in the order in which they were given.

    `truth`: of all images, by image; `truth_image`: (M,), where each box is.
    `detections`: by image, then category, then falling score; `detection_image`: (N,).
    `pair_detection`, `pair_truth`, `pair_iou`: (P,), every pair of one image, of whatever categories, that
    overlaps by an IoU of 0.5 or more; by detection, then truth.
    """

    images: int
    categories: int
    truth: Truth
    truth_image: Indices
    detections: Detections
    detection_image: Indices
    pair_detection: Indices
    pair_truth: Indices
    pair_iou: Doubles


def find_overlaps(truths: Sequence[Truth], detections: Sequence[Detections], categories: int) -> Overlaps:
    """Args:
        truths, detections: one each an image, in the same order.
        categories: how many there are.

    Raises:
        ValueError: there is no image, another number of `detections` than of `truths`, or a category beyond
            the last.
    """
    if not len(truths) == len(detections) > 0:
        raise ValueError(f"{len(truths)} images need as many detections, got {len(detections)}")
    kept = [foremost(found) for found in detections]
    all_truth, all_detections = Truth.joined(truths), Detections.joined(kept)
    if max(all_truth.category.max(initial=-1), all_detections.category.max(initial=-1)) >= categories:
        raise ValueError(f"there are {categories} categories, got a box of another")
    pairs, truths_before, detections_before = [], 0, 0
    for truth, found in zip(truths, kept, strict=True):
        iou = intersection_over_union(found, truth)
        rows, columns = np.nonzero(iou >= LEAST_IOU)
        pairs.append((rows + detections_before, columns + truths_before, iou[rows, columns]))
        truths_before += len(truth)
        detections_before += len(found)
    pair_detection, pair_truth, pair_iou = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return Overlaps(
        len(truths), categories,
        all_truth, _image_of_each(truths), all_detections, _image_of_each(kept),
        pair_detection, pair_truth, pair_iou,
    )  # fmt: skip


def foremost(found: Detections) -> Detections:
    """The 100 surest of each category, by category and falling score; of equal ones the first stays first."""
    order = np.lexsort((-found.score, found.category))
    category = found.category[order]
    place = np.arange(len(order)) - np.searchsorted(category, category)
    return found.at(order[place < MOST_DETECTIONS])


def _image_of_each(parts: Sequence[Truth] | Sequence[Detections]) -> Indices:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
