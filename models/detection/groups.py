"""Boxes by size and by brightness: each group scored as if the boxes of the others were ignored regions."""

from collections.abc import Mapping

import numpy as np

from models.detection.boxes import areas
from models.detection.matching import Matches, match
from models.detection.overlaps import Overlaps

# Square pixels, both ends included, as COCO has it: a box of just 32 x 32 is small and medium.
SIZES: Mapping[str, tuple[float, float]] = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}
# Mean luma of the box's region, in levels of 255; the upper end excluded.
BRIGHTNESSES: Mapping[str, tuple[float, float]] = {
    "dark": (0.0, 40.0),
    "dim": (40.0, 90.0),
    "bright": (90.0, np.inf),
}


def match_by_size(overlaps: Overlaps) -> dict[str, Matches]:
    """A detection that found nothing counts in the groups of its own size, as pycocotools has it."""
    of_boxes, of_detections = areas(overlaps.truth.xyxy), areas(overlaps.detections.xyxy)
    return {
        name: match(
            overlaps,
            is_aside=(of_boxes < least) | (of_boxes > most),
            is_stray=(of_detections < least) | (of_detections > most),
        )
        for name, (least, most) in SIZES.items()
    }


def match_by_brightness(overlaps: Overlaps) -> dict[str, Matches]:
    """A detection that found nothing has no labelled region, so it counts against every group.

    To leave it out would flatter all groups, and to give it the brightness of where it lies would need the
    image and call a false alarm beside a lamp a mistake about bright objects. The price: a group of few boxes
    bears as many false detections as one of many, so mean average precision compares arms within a group, and
    only recall compares groups.
    """
    luma = overlaps.truth.luma
    return {
        name: match(overlaps, is_aside=(luma < least) | (luma >= below))
        for name, (least, below) in BRIGHTNESSES.items()
    }
