"""Pixels of image files on their way into a generator and back: sizes, padding, rounding."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.generators.interface import Scene
from models.tiles import Window

Image = NDArray[np.uint8]
HALF = torch.tensor(0.5)
BAND_ROWS = 96


def common_size(images: Sequence[Image], scenes: Sequence[Scene]) -> tuple[int, int]:
    """Height and width of all the images."""
    if len(images) != len(scenes):
        raise ValueError(f"{len(images)} images need as many scenes, got {len(scenes)}")
    shapes = {image.shape for image in images}
    height, width, *channels = next(iter(shapes))
    if len(shapes) > 1 or channels != [3] or any(image.dtype != np.uint8 for image in images):
        raise ValueError(f"images must be uint8 RGB of one size, got {sorted(shapes)}, {images[0].dtype}")
    return height, width


def up_to_multiple(length: int, stride: int) -> int:
    return -(-length // stride) * stride


def padded_frame(height: int, width: int, stride: int) -> Window:
    """The padded image as a window of the image: it begins outside, by half of the padding."""
    padded_height, padded_width = up_to_multiple(height, stride), up_to_multiple(width, stride)
    top, left = (padded_height - height) // 2, (padded_width - width) // 2
    return Window(-top, -left, padded_height, padded_width)


def pad(image: Image, frame: Window) -> Image:
    """Mirrors what lies beyond the border; a side of one pixel, which has no mirror image, is repeated."""
    height, width = image.shape[:2]
    rows = (-frame.top, frame.height + frame.top - height)
    columns = (-frame.left, frame.width + frame.left - width)
    if rows == columns == (0, 0):
        return image
    return np.pad(image, (rows, columns, (0, 0)), mode="reflect")


def stack(images: Sequence[Image]) -> Image:
    """(B, H, W, 3); a single image is not copied unless it is read-only, which torch does not take."""
    (first, *others) = images
    return np.stack(images) if others or not first.flags.writeable else first[np.newaxis]


def to_images(translated: Tensor) -> list[Image]:
    """(B, 3, H, W) in [0, 1] -> B times (H, W, 3) uint8, rounded to the nearest level."""
    pixels = translated.permute(0, 2, 3, 1)
    if pixels.device.type != "cpu":
        return list(_levels(pixels).contiguous().cpu().numpy())
    # Band by band, what lies between floats and levels stays in the cache: measured at 1280x720 on one core,
    # 0.8 ms against 5 ms for the whole image at once, most of it spent on fresh memory.
    levels = torch.empty(pixels.shape, dtype=torch.uint8)
    for top in range(0, pixels.shape[1], BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        levels[:, band] = _levels(pixels[:, band])
    return list(levels.numpy())


def _levels(pixels: Tensor) -> Tensor:
    """Floats to integers, the nearest ones. By way of int16, as torch takes three times as long from float to
    uint8 at once; the conversion cuts off, hence the half."""
    return torch.add(HALF, pixels.float(), alpha=255).to(torch.int16).clamp_(0, 255).to(torch.uint8)
