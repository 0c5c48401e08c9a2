"""The boxes of one test image: those that are there, and those that a detector found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The labelled boxes of one image.

    `xyxy`: (n, 4), in pixels. `category`: (n,), from 0. `is_ignored`: (n,), COCO's crowd: a region in which a
    detection of this category counts neither way. `luma`: (n,), mean of the box's region, in levels of 255.
    """

    xyxy: Doubles
    category: Indices
    is_ignored: Flags
    luma: Doubles

    def __post_init__(self) -> None:
        _settle(self, xyxy=np.float64, category=np.int64, is_ignored=np.bool_, luma=np.float64)
        if not (self.xyxy[:, :2] < self.xyxy[:, 2:]).all():
            raise ValueError("labelled boxes must have x1 < x2 and y1 < y2")
        if not ((self.luma >= 0) & (self.luma <= 255)).all():
            raise ValueError("luma must be in 0 to 255")

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def joined(cls, truths: Sequence["Truth"]) -> "Truth":
        """The boxes of several images in a row."""
        return cls(
            np.concatenate([part.xyxy for part in truths]),
            np.concatenate([part.category for part in truths]),
            np.concatenate([part.is_ignored for part in truths]),
            np.concatenate([part.luma for part in truths]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector found in one image.

    `xyxy`: (m, 4), in pixels; may be flat, since detectors cut boxes off at the image's border.
    `category`: (m,), from 0. `score`: (m,), in [0, 1].
    """

    xyxy: Doubles
    category: Indices
    score: Doubles

    def __post_init__(self) -> None:
        _settle(self, xyxy=np.float64, category=np.int64, score=np.float64)
        if not (self.xyxy[:, :2] <= self.xyxy[:, 2:]).all():
            raise ValueError("detections must have x1 <= x2 and y1 <= y2")
        if not ((self.score >= 0) & (self.score <= 1)).all():
            raise ValueError("scores must be in 0 to 1")

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def joined(cls, detections: Sequence["Detections"]) -> "Detections":
        """The detections of several images in a row."""
        return cls(
            np.concatenate([part.xyxy for part in detections]),
            np.concatenate([part.category for part in detections]),
            np.concatenate([part.score for part in detections]),
        )

    def at(self, rows: Indices) -> "Detections":
        return Detections(self.xyxy[rows], self.category[rows], self.score[rows])


def areas(xyxy: Doubles) -> Doubles:
    """Of boxes (n, 4), in square pixels, (n,)."""
    return np.asarray((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]))


def intersection_over_union(detections: Detections, truth: Truth) -> Doubles:
    """Of each pair, (m, n), in [0, 1]. In an ignored region: the share of the detection that lies inside."""
    ours, theirs = detections.xyxy[:, None], truth.xyxy[None]
    sides = np.minimum(ours[..., 2:], theirs[..., 2:]) - np.maximum(ours[..., :2], theirs[..., :2])
    shared: Doubles = sides.clip(min=0).prod(axis=-1)
    own = np.broadcast_to(areas(detections.xyxy)[:, None], shared.shape)
    union = np.where(truth.is_ignored, own, own + areas(truth.xyxy) - shared)
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0))


def _settle(boxes: Truth | Detections, **dtypes: type[np.generic]) -> None:
    """Give every array its dtype, and check that they belong together."""
    shapes = {"xyxy": (len(boxes.xyxy), 4)}
    for name, dtype in dtypes.items():
        given: ArrayLike = getattr(boxes, name)
        array, shape = np.asarray(given, dtype), shapes.get(name, (len(boxes.xyxy),))
        if array.shape != shape and array.size:
            raise ValueError(f"{name} must have the shape {shape}, got {array.shape}")
        object.__setattr__(boxes, name, array.reshape(shape))
    if not np.isfinite(boxes.xyxy).all():
        raise ValueError("boxes must be finite")
    if len(boxes.category) and boxes.category.min() < 0:
        raise ValueError("categories are counted from 0")
