"""Which detections found a box: greedily, the surest first, as pycocotools goes about it.

Of the boxes of its category in its image that overlap by the threshold and that no surer one took, a
detection takes a counted one before an ignored one, and of these the one it overlaps most. It is *true* if
what it took is counted, left out if that is ignored, and false if there was nothing to take.

pycocotools loops over images, categories, thresholds, detections and boxes in Python; here the first
detections of all images are settled together, then the second ones, and so on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.detection.boxes import Doubles, Flags, Indices
from models.detection.overlaps import Overlaps

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, slots=True, eq=False)
class CategoryMatches:
    """The detections of one category by falling score, and its counted boxes.

    `image`, `score`: (N,), where a detection is and how sure. `is_true`, `is_counted`: (N, 10), for each IoU
    threshold; one that is counted and not true is false. `box_image`: (M,), the images of the counted boxes.
    """

    image: Indices
    score: Doubles
    is_true: Flags
    is_counted: Flags
    box_image: Indices

    @property
    def boxes(self) -> int:
        return len(self.box_image)


@dataclass(frozen=True, slots=True)
class Matches:
    """`by_category`: one for each category, in their order, also for those without a box."""

    images: int
    by_category: tuple[CategoryMatches, ...]

    @property
    def boxes(self) -> int:
        return sum(matches.boxes for matches in self.by_category)


def match(overlaps: Overlaps, is_aside: Flags | None = None, is_stray: Flags | None = None) -> Matches:
    """Args:
    is_aside: (M,), boxes to treat as ignored ones, though each may be taken once only.
    is_stray: (N,), detections to leave out where they take nothing.
    """
    is_ignored = overlaps.truth.is_ignored if is_aside is None else overlaps.truth.is_ignored | is_aside
    is_matched, is_left_out = _settle_all(overlaps, is_ignored)
    if is_stray is not None:
        is_left_out |= is_stray[:, None] & ~is_matched
    by_category = tuple(
        _of_category(overlaps, category, is_matched & ~is_left_out, ~is_left_out, ~is_ignored)
        for category in range(overlaps.categories)
    )
    return Matches(overlaps.images, by_category)


def _of_category(
    overlaps: Overlaps, category: int, is_true: Flags, is_counted: Flags, is_counted_box: Flags
) -> CategoryMatches:
    detections, truth = overlaps.detections, overlaps.truth
    rows = np.flatnonzero(detections.category == category)
    rows = rows[np.argsort(-detections.score[rows], kind="stable")]
    boxes = is_counted_box & (truth.category == category)
    return CategoryMatches(
        overlaps.detection_image[rows], detections.score[rows], is_true[rows], is_counted[rows],
        overlaps.truth_image[boxes],
    )  # fmt: skip


def _settle_all(overlaps: Overlaps, is_ignored: Flags) -> tuple[Flags, Flags]:
    """For each detection and threshold, (N, 10): did it take a box, and was that an ignored one?"""
    thresholds = len(IOU_THRESHOLDS)
    is_taken = np.zeros((len(overlaps.truth), thresholds), bool)
    is_matched = np.zeros((len(overlaps.detections), thresholds), bool)
    is_left_out = np.zeros_like(is_matched)
    for turn in _turns(overlaps, is_ignored):
        detection, truth = overlaps.pair_detection[turn], overlaps.pair_truth[turn]
        is_free = ~is_taken[truth] | overlaps.truth.is_ignored[truth, None]
        is_possible = is_free & (overlaps.pair_iou[turn, None] >= IOU_THRESHOLDS)
        starts = np.flatnonzero(np.diff(detection, prepend=-1))
        # the best pair of a detection is its last possible one
        places = np.where(is_possible, np.arange(len(turn))[:, None], -1)
        best = np.maximum.reduceat(places, starts, axis=0)
        row, threshold = np.nonzero(best >= 0)
        chosen = truth[best[row, threshold]]
        is_taken[chosen, threshold] = True
        is_matched[detection[starts[row]], threshold] = True
        is_left_out[detection[starts[row]], threshold] = is_ignored[chosen]
    return is_matched, is_left_out


def _turns(overlaps: Overlaps, is_ignored: Flags) -> Iterator[Indices]:
    """Pairs of one category whose detections do not compete: one a category and image, the surest first.

    A turn's pairs lie by detection, and the better ones of a detection behind; of equal overlap, the later.
    """
    detection, truth = overlaps.pair_detection, overlaps.pair_truth
    is_same = overlaps.detections.category[detection] == overlaps.truth.category[truth]
    pairs = np.flatnonzero(is_same)
    contenders, contender = np.unique(detection[pairs], return_inverse=True)
    cell = overlaps.detection_image[contenders] * overlaps.categories
    cell += overlaps.detections.category[contenders]
    place = np.arange(len(contenders)) - np.searchsorted(cell, cell)
    place = place[contender]
    counted = ~is_ignored[truth[pairs]]
    order = np.lexsort((truth[pairs], overlaps.pair_iou[pairs], counted, detection[pairs], place))
    ends = np.cumsum(np.bincount(place))
    yield from (turn for turn in np.split(pairs[order], ends) if len(turn))
