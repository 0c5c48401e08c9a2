"""What is kept of a measured frame: a row of fixed size, whatever the frame's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Counts = NDArray[np.uint32]
Doubles = NDArray[np.float64]
Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Boxes = Sequence[Box]

BRIGHTNESS_BINS = 64  # of four levels each


@dataclass(frozen=True, slots=True, eq=False)
class FrameMeasurement:
    """A frame in numbers. Two are equal if all their numbers are, where missing ones (NaN) equal each other.

    `features`: of the backbone, (dim,), rounded to half precision at birth, since they are stored so: what is
    computed before and after a round trip through a file is the same.
    `night`: how surely the bundled classifier takes the frame for night, in [0, 1].
    `niqe`: distance from pristine night frames, 0 and up; NaN for a frame too small for two patches.
    `noise`: standard deviation, in levels of 255.
    `luma`: mean, in levels of 255.
    `brightness`: how many pixels there are of each four levels of luma, (64,).
    `similarity_inside`: sum over `boxes` boxes of the gradient similarity to the source, each in [0, 1].
    `similarity_outside`: of what lies outside all boxes, in [0, 1]; NaN without a source or an outside.
    """

    features: Vector
    night: float
    niqe: float
    noise: float
    luma: float
    brightness: Counts
    similarity_inside: float
    boxes: int
    similarity_outside: float

    def __post_init__(self) -> None:
        if self.features.ndim != 1 or self.brightness.shape != (BRIGHTNESS_BINS,):
            shapes = self.features.shape, self.brightness.shape
            raise ValueError(f"features must be (dim,), brightness ({BRIGHTNESS_BINS},), got {shapes}")
        with np.errstate(over="ignore"):
            halves = self.features.astype(np.float16)
        if not np.isfinite(halves).all():
            raise ValueError("features must be finite in half precision")
        object.__setattr__(self, "features", halves.astype(np.float32))

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, FrameMeasurement):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True)
            for name in self.__dataclass_fields__
        )

    __hash__ = None  # type: ignore[assignment]
