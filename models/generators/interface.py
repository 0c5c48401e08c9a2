"""The promise every generator keeps, and what it is told about an image beside its pixels."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from torch import Tensor, nn

LOWEST_RATIO, HIGHEST_RATIO = 0.05, 20.0


class Direction(StrEnum):
    """Which way a generator translates."""

    DAY2NIGHT = "day2night"
    NIGHT2DAY = "night2day"


@dataclass(frozen=True, slots=True)
class SceneObject:
    """A labelled object: `xyxy` in pixels of the image it is given with, and what the labels say of it."""

    xyxy: tuple[float, float, float, float]
    category: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a generator may use beside the pixels of one image.

    `seed` decides every random choice made for this image, so that an image translates to the same bytes
    alone, in any batch and on any worker. `strength` in [0, 1]: 0 leaves the image as it is, 1 is the full
    effect. `ratio`: how many times as bright the image shall become, between `LOWEST_RATIO` and
    `HIGHEST_RATIO`, for generators that can be told; None for what the generator was made with.
    """

    seed: int
    strength: float = 1.0
    objects: tuple[SceneObject, ...] = ()
    ratio: float | None = None


class Generator(nn.Module, ABC):
    """An image-to-image model that keeps the size it is given.

    `stride`: height and width must be multiples of it; `models.inference` pads to that and crops back.
    `is_tileable`: an image may be translated in overlapping tiles when it does not fit into memory.
    """

    stride: ClassVar[int] = 1
    is_tileable: ClassVar[bool] = True

    @abstractmethod
    def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
        """Args:
            images: RGB, float, shape (B, 3, H, W), values in [0, 1]; H and W multiples of `stride`.
            scenes: one for each image.

        Returns:
            RGB, same shape, dtype, device and range.
        """
