"""Looking at large images at the size a network was trained with."""

from torch import Tensor
from torch.nn import functional


def at_working_size(images: Tensor, working_px: int, stride: int) -> Tensor:
    """(B, C, H, W) -> (B, C, h, w): the shorter side becomes about `working_px`, both multiples of `stride`;
    images that are not larger, and all if it is 0, stay as they are.
    """
    sides = images.shape[-2:]
    if not working_px or min(sides) <= working_px:
        return images
    scale = working_px / min(sides)
    # two strides are the least that reflecting networks can look at
    size = [stride * max(2, round(side * scale / stride)) for side in sides]
    return functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def carried_up(change: Tensor, images: Tensor) -> Tensor:
    """What was computed at the working size, at the size of the images."""
    if change.shape[-2:] == images.shape[-2:]:
        return change
    return functional.interpolate(change, images.shape[-2:], mode="bicubic", align_corners=False)
