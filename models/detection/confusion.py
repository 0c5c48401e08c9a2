"""What was taken for what."""

import numpy as np

from models.detection.boxes import Flags, Indices
from models.detection.overlaps import Overlaps

LEAST_CONFIDENCE = 0.25


def confusion_matrix(overlaps: Overlaps) -> Indices:
    """(categories + 1, categories + 1): rows are what is there, columns what was detected, background last.

    Of detections with a confidence of 0.25 or more, whatever their category, each is given to at most one box
    and each box to at most one, those that overlap most first. What is left of the boxes was taken for
    background, what is left of the detections was background, except in an ignored region of their category.
    """
    detections, truth, nothing = overlaps.detections, overlaps.truth, overlaps.categories
    matrix = np.zeros((nothing + 1, nothing + 1), np.int64)
    is_sure = detections.score >= LEAST_CONFIDENCE
    box_of = _assign(overlaps, is_sure)
    is_given = box_of >= 0
    np.add.at(matrix, (truth.category[box_of[is_given]], detections.category[is_given]), 1)
    is_missed = ~truth.is_ignored
    is_missed[box_of[is_given]] = False
    matrix[:, nothing] += np.bincount(truth.category[is_missed], minlength=nothing + 1)
    is_false = is_sure & ~is_given & ~_is_in_ignored_region(overlaps)
    matrix[nothing] += np.bincount(detections.category[is_false], minlength=nothing + 1)
    return matrix


def _assign(overlaps: Overlaps, is_sure: Flags) -> Indices:
    """For each detection its box, or -1."""
    detection, truth = overlaps.pair_detection, overlaps.pair_truth
    rows = np.flatnonzero(is_sure[detection] & ~overlaps.truth.is_ignored[truth])
    # a detector may give one box two categories: of equal overlap, the surer
    order = np.lexsort((-overlaps.detections.score[detection[rows]], -overlaps.pair_iou[rows]))
    box_of = np.full(len(is_sure), -1)
    is_taken = np.zeros(len(overlaps.truth), bool)
    for row in rows[order]:
        if box_of[detection[row]] < 0 and not is_taken[truth[row]]:
            box_of[detection[row]] = truth[row]
            is_taken[truth[row]] = True
    return box_of


def _is_in_ignored_region(overlaps: Overlaps) -> Flags:
    detection, truth = overlaps.pair_detection, overlaps.pair_truth
    is_same = overlaps.detections.category[detection] == overlaps.truth.category[truth]
    result = np.zeros(len(overlaps.detections), bool)
    result[detection[is_same & overlaps.truth.is_ignored[truth]]] = True
    return result
