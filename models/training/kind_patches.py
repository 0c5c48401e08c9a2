"""Scenes in two lights, and the squares of them that KinD learns from (arXiv:1905.04161)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Pair:
    """A scene in two lights, or what a network made of both; each (B, channels, H, W), values in [0, 1]."""

    low: Tensor
    high: Tensor

    def __len__(self) -> int:
        return len(self.low)


def patches(pairs: Sequence[Pair], count: int, side_px: int, dice: np.random.Generator) -> list[Pair]:
    """Random squares of several pairs that belong together: at the same places, and turned alike."""
    channels = [pair.low.shape[1] for pair in pairs]
    low = torch.cat([pair.low for pair in pairs], dim=1)
    high = torch.cat([pair.high for pair in pairs], dim=1)
    drawn = turned(cut(Pair(low, high), count, side_px, dice), dice)
    parts = zip(torch.split(drawn.low, channels, 1), torch.split(drawn.high, channels, 1), strict=True)
    return [Pair(*part) for part in parts]


def cut(pair: Pair, count: int, side_px: int, dice: np.random.Generator) -> Pair:
    """Random squares, from each image equally many or one more, at the same places in both lights."""
    tops, lefts = (dice.integers(side - side_px + 1, size=count) for side in pair.low.shape[-2:])
    places = [
        (number % len(pair), slice(None), slice(top, top + side_px), slice(left, left + side_px))
        for number, (top, left) in enumerate(zip(tops, lefts, strict=True))
    ]
    low, high = (torch.stack([images[place] for place in places]) for images in (pair.low, pair.high))
    return Pair(low, high)


def turned(pair: Pair, dice: np.random.Generator) -> Pair:
    """Each square in one of eight ways at random: four rotations, mirrored or not; alike in both lights."""
    ways = dice.integers(8, size=len(pair))
    low, high = (
        torch.stack([_turned(image, int(way)) for image, way in zip(images, ways, strict=True)])
        for images in (pair.low, pair.high)
    )
    return Pair(low, high)


def _turned(image: Tensor, way: int) -> Tensor:
    rotated = image.rot90(way % 4, (1, 2))
    return rotated.flip(1) if way >= 4 else rotated
