"""How well a detector does on a test set, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.detection.average_precision import RECALLS, precision_at_recalls, recalls
from models.detection.confusion import confusion_matrix
from models.detection.groups import match_by_brightness, match_by_size
from models.detection.matching import Matches, match
from models.detection.operating_point import best_operating_point
from models.detection.overlaps import Overlaps


@dataclass(frozen=True, slots=True)
class CategoryScores:
    """Of a category with boxes. `precision`, `recall`: at the confidence of `Scores`, at IoU 0.5.

    `precisions`: at IoU 0.5, at each of the 101 recalls.
    """

    boxes: int
    ap50: float
    ap50_95: float
    precision: float
    recall: float
    precisions: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "boxes": self.boxes,
            "ap50": self.ap50,
            "ap50_95": self.ap50_95,
            "precision": self.precision,
            "recall": self.recall,
            "precisions": list(self.precisions),
        }


@dataclass(frozen=True, slots=True)
class GroupScores:
    """Of boxes of one size or brightness; None without boxes.

    `recall`: the share found at IoU 0.5, at whatever confidence, as the mean of the categories.
    """

    boxes: int
    map50: float | None
    map50_95: float | None
    recall: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "boxes": self.boxes,
            "map50": self.map50,
            "map50_95": self.map50_95,
            "recall": self.recall,
        }


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one detector; all in [0, 1], the means over categories with boxes.

    `precision`, `recall`: at IoU 0.5 and `confidence`, where the mean F1 is largest; it is None if nothing
    was detected. `by_category`: in the categories' order, None for one without boxes.
    `precisions`: at IoU 0.5, at each of the 101 recalls of `average_precision.RECALLS`.
    `confusion`: rows are what is there, columns what was detected, background last.
    """

    boxes: int
    map50: float
    map50_95: float
    precision: float
    recall: float
    confidence: float | None
    by_category: tuple[CategoryScores | None, ...]
    by_size: Mapping[str, GroupScores]
    by_brightness: Mapping[str, GroupScores]
    precisions: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "boxes": self.boxes,
            "map50": self.map50,
            "map50_95": self.map50_95,
            "precision": self.precision,
            "recall": self.recall,
            "confidence": self.confidence,
            "by_category": [None if scores is None else scores.to_json() for scores in self.by_category],
            "by_size": {name: scores.to_json() for name, scores in self.by_size.items()},
            "by_brightness": {name: scores.to_json() for name, scores in self.by_brightness.items()},
            "pr_curve": {"recall": RECALLS.tolist(), "precision": list(self.precisions)},
            "confusion": [list(row) for row in self.confusion],
        }


def score(overlaps: Overlaps) -> Scores:
    """Raises:
    ValueError: there is no box that counts.
    """
    matches = match(overlaps)
    present = [number for number, found in enumerate(matches.by_category) if found.boxes]
    if not present:
        raise ValueError("the test set has no boxes that count")
    curves = [precision_at_recalls(matches.by_category[number]) for number in present]
    point = best_operating_point([matches.by_category[number] for number in present])
    by_category: list[CategoryScores | None] = [None] * overlaps.categories
    for number, curve, precision, recall in zip(present, curves, point.precision, point.recall, strict=True):
        by_category[number] = CategoryScores(
            matches.by_category[number].boxes,
            float(curve[0].mean()),
            float(curve.mean()),
            precision,
            recall,
            tuple(curve[0].tolist()),
        )
    return Scores(
        boxes=matches.boxes,
        map50=float(np.mean([curve[0] for curve in curves])),
        map50_95=float(np.mean(curves)),
        precision=float(np.mean(point.precision)),
        recall=float(np.mean(point.recall)),
        confidence=point.confidence,
        by_category=tuple(by_category),
        by_size={name: score_group(group) for name, group in match_by_size(overlaps).items()},
        by_brightness={name: score_group(group) for name, group in match_by_brightness(overlaps).items()},
        precisions=tuple(np.mean([curve[0] for curve in curves], axis=0).tolist()),
        confusion=tuple(tuple(row) for row in confusion_matrix(overlaps).tolist()),
    )


def score_group(matches: Matches) -> GroupScores:
    present = [found for found in matches.by_category if found.boxes]
    if not present:
        return GroupScores(0, None, None, None)
    curves = [precision_at_recalls(found) for found in present]
    return GroupScores(
        matches.boxes,
        float(np.mean([curve[0] for curve in curves])),
        float(np.mean(curves)),
        float(np.mean([recalls(found)[0] for found in present])),
    )
