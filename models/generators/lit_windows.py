"""Lit windows of the houses along the road."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from models.generators.night_scene import Dice, View
from models.layers.lights import gaussian_blur
from models.layers.sky import box_blur
from models.layers.tone import luma

_COLUMNS = 60  # of the coarse grid over which is drawn which windows are lit


def lit_windows(half: Tensor, thumb: Tensor, walls: Tensor, dice: Dice) -> Tensor:
    """Light in windows, (1, 3, H/2, W/2): a window is a patch darker than its wall.

    Args:
        half: the day image at half size; thumb: as a thumbnail on the CPU.
        walls: where windows may be, (1, 1, h, w) of the thumbnail's size.
    """
    small, device = (thumb.shape[-2], thumb.shape[-1]), half.device
    cells = dice.field(max(1, round(_COLUMNS * small[0] / small[1])), _COLUMNS)
    lit = _resize((cells > 0.86).float(), small)
    lit = ((lit - 0.35) / 0.4).clamp(0, 1) * dice.between(0.15, 0.5)
    tint = _resize(dice.field(*cells.shape[-2:]), small)
    colour = torch.cat((1.35 - 0.35 * tint, 0.92 + 0.06 * tint, 0.42 + 0.6 * tint), 1)

    canvas = (half.shape[-2], half.shape[-1])
    local = _resize(box_blur(luma(thumb), 3).to(device), canvas)
    dark = torch.sigmoid((local - luma(half) - 0.12) / 0.03)
    return _resize((lit * colour * walls).to(device), canvas).mul_(dark)


def where_windows_are(thumb: Tensor, view: View, sky: Tensor, boxes: Tensor) -> Tensor:
    """Walls, (1, 1, h, w): above the horizon; no leaves, labelled objects or twigs before the sky."""
    rows = thumb.shape[-2]
    red, green, blue = (thumb[:, c : c + 1] for c in range(3))
    leafy = box_blur(torch.sigmoid((green - torch.maximum(red, blue) - 0.005) / 0.008), 3)
    rim = gaussian_blur(max_pool2d(sky, 9, stride=1, padding=4), 2.0)
    heights = (torch.arange(rows) + 0.5) / rows
    walls = torch.sigmoid((view.horizon_px / view.height_px - heights) / 0.015).view(1, 1, rows, 1)
    for reason, weight in ((leafy, 2.5), (boxes, 1.0), (rim, 1.6)):
        walls = walls * (1 - weight * reason).clamp(min=0)
    return walls


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(image, size=size, mode="bilinear", align_corners=False)
