"""Cutting an image into overlapping tiles and joining the translated tiles without seams."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from models.generators.interface import Scene, SceneObject

SMALLEST_TILE_PX = 128
WIDEST_OVERLAP_PX = 64


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def scene_in(window: Window, scene: Scene) -> Scene:
    """The scene as seen through the window: objects shifted and clipped, those outside left out.

    The seed stays, so that what is drawn once for an image, such as its exposure, is alike in all tiles.
    """
    seen = (_seen(window, scene_object) for scene_object in scene.objects)
    return replace(scene, objects=tuple(scene_object for scene_object in seen if scene_object is not None))


def _seen(window: Window, scene_object: SceneObject) -> SceneObject | None:
    x1, y1, x2, y2 = scene_object.xyxy
    x1, x2 = (min(max(x - window.left, 0.0), float(window.width)) for x in (x1, x2))
    y1, y2 = (min(max(y - window.top, 0.0), float(window.height)) for y in (y1, y2))
    return replace(scene_object, xyxy=(x1, y1, x2, y2)) if x1 < x2 and y1 < y2 else None


def tile_windows(height: int, width: int, tile_px: int, stride: int) -> list[Window]:
    """Tiles that cover the image, neighbours overlapping, all of one size and on multiples of `stride`.

    `height`, `width` and `tile_px` are multiples of `stride`.
    """
    tops, lefts = _starts(height, tile_px, stride), _starts(width, tile_px, stride)
    tile_height, tile_width = min(tile_px, height), min(tile_px, width)
    return [Window(top, left, tile_height, tile_width) for top, left in product(tops, lefts)]


def overlap_px(tile_px: int) -> int:
    """By how much neighbours overlap."""
    return min(WIDEST_OVERLAP_PX, tile_px // 4)


def _starts(length: int, tile_px: int, stride: int) -> list[int]:
    if tile_px >= length:
        return [0]
    overlap = overlap_px(tile_px)
    count = -(-(length - overlap) // (tile_px - overlap))
    # Evenly spread; where rounding down to the stride lengthens a step, its overlap is that much narrower.
    return [i * (length - tile_px) // (count - 1) // stride * stride for i in range(count)]


def translate_in_tiles(
    size: tuple[int, int], windows: list[Window], translate: Callable[[Window], Tensor]
) -> Tensor:
    """The whole image as a weighted mean of its translated tiles.

    A tile's weight falls linearly towards its edges, so that one tile fades into the next.

    Args:
        size: height and width of the image.
        windows: tiles that cover it.
        translate: gives a window's part of the result, float, shape (1, 3, height, width).

    Returns:
        Float32 on the CPU, where the sum does not take memory from the device; shape (1, 3, H, W).
    """
    total, weights = torch.zeros(1, 3, *size), torch.zeros(*size)
    for window in windows:
        weight = _feather(window.height)[:, None] * _feather(window.width)
        rows = slice(window.top, window.top + window.height)
        columns = slice(window.left, window.left + window.width)
        total[..., rows, columns] += weight * translate(window).to("cpu", torch.float32)
        weights[rows, columns] += weight
    return total.div_(weights)


def _feather(length: int) -> Tensor:
    """1 inside, falling linearly towards both ends over the width of an overlap, never to 0."""
    to_edge = torch.minimum(torch.arange(1, length + 1), torch.arange(length, 0, -1))
    return (to_edge / (overlap_px(length) + 1)).clamp(max=1)
