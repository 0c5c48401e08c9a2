"""Precision and recall at one confidence: the one that serves precision and recall of all categories best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.detection.boxes import Doubles
from models.detection.matching import CategoryMatches


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """At IoU 0.5 and one confidence for all categories.

    `confidence`: None if nothing was detected. `precision`, `recall`: for each category, in [0, 1]; a
    precision is 0 where none of the category was detected.
    """

    confidence: float | None
    precision: tuple[float, ...]
    recall: tuple[float, ...]


def best_operating_point(matches: Sequence[CategoryMatches]) -> OperatingPoint:
    """Where the mean of the categories' F1 is largest; of several such confidences, the highest.

    Ultralytics takes a smoothed curve of 1000 confidences for the choice and interpolates; this is the exact
    place.

    Args:
        matches: of categories with boxes.
    """
    scores = np.concatenate([found.score[found.is_counted[:, 0]] for found in matches])
    confidences = np.unique(scores)[::-1]
    if not len(confidences):
        return OperatingPoint(None, (0.0,) * len(matches), (0.0,) * len(matches))
    counts = [_counts(found, confidences) for found in matches]
    f1 = [2 * true / (kept + found.boxes) for (true, kept), found in zip(counts, matches, strict=True)]
    best = int(np.mean(f1, axis=0).argmax())
    return OperatingPoint(
        float(confidences[best]),
        tuple(float(true[best] / max(kept[best], 1)) for true, kept in counts),
        tuple(float(true[best] / found.boxes) for (true, _), found in zip(counts, matches, strict=True)),
    )


def _counts(found: CategoryMatches, confidences: Doubles) -> tuple[Doubles, Doubles]:
    """How many detections are true, and how many there are, at each confidence or above."""
    is_counted = found.is_counted[:, 0]
    true = np.cumsum(found.is_true[is_counted, 0], dtype=np.float64)
    kept = np.searchsorted(-found.score[is_counted], -confidences, side="right")
    return np.concatenate([[0.0], true])[kept], kept.astype(np.float64)
