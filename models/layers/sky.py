"""Where is the sky? A soft mask from brightness, colour, texture and being open to the top of the image."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from models.layers.tone import luma

_PLAIN = 0.62  # the least score around a pixel at which the flood starts
_REACH = 40  # most steps of the flood from the top edge; each crosses up to two thumbnail pixels


def box_blur(image: Tensor, radius_px: int) -> Tensor:
    """Mean over a square window that is cut at the borders; the shape stays."""
    size = 2 * radius_px + 1
    return avg_pool2d(image, size, stride=1, padding=radius_px, count_include_pad=False)


def soft_sky(thumb: Tensor, horizon: float) -> Tensor:
    """How surely each pixel of a thumbnail is sky, (1, 3, h, w) sRGB in [0, 1] to (1, 1, h, w) in [0, 1].

    Args:
        horizon: its height in the image as a fraction from the top; nothing much below it is sky.
    """
    rows = thumb.shape[-2]
    grey = luma(thumb)
    top = grey[..., : max(1, rows // 3), :]
    brightest = float(torch.quantile(top.flatten(), 0.97))
    bright_at = min(max(0.80 * brightest, 0.50), 0.80)
    red, green, blue = (thumb[:, c : c + 1] for c in range(3))
    # Walls are warmer and leaves greener than any sky, and blue paint is more cyan. Blue sky may be darkish,
    # grey sky is the brightest thing up there, and burnt-out sky has no colour left to judge.
    cool = torch.sigmoid((blue - green - 0.45 * (blue - red).clamp(min=0) + 0.05) / 0.02)
    is_blue = torch.sigmoid((blue - red - 0.14) / 0.03)
    is_blue = is_blue * torch.sigmoid((grey - max(0.36, 0.55 * brightest)) / 0.04)
    is_grey = torch.sigmoid((blue - red + 0.07) / 0.025) * torch.sigmoid((grey - bright_at) / 0.04)
    is_burnt = torch.sigmoid((grey - 0.93) / 0.015)
    spread = (box_blur(grey * grey, 1) - box_blur(grey, 1).square()).clamp(min=0).sqrt()
    smooth = torch.exp(-((spread / 0.14) ** 2))
    score = torch.maximum(cool * torch.maximum(is_blue, is_grey) * smooth, is_burnt)
    heights = (torch.arange(rows, device=thumb.device, dtype=thumb.dtype) + 0.5) / rows
    above = torch.sigmoid((horizon + 0.02 - heights) / 0.025)[:, None]
    return _open_to_the_top(score * above)


def _open_to_the_top(score: Tensor) -> Tensor:
    """Keep what a flood from the top edge reaches (morphological reconstruction), so white vans stay.

    It starts only where the sky is plain: a pale wall is half like a sky everywhere, but nowhere quite.
    """
    edge = max(1, score.shape[-2] // 10)
    reached = torch.zeros_like(score)
    is_plain = torch.maximum(box_blur(score, 1), score - 0.2) > _PLAIN
    reached[..., :edge, :] = (score * is_plain)[..., :edge, :]
    for _ in range(_REACH):
        further = torch.minimum(_dilated(reached, 2), score)
        if torch.equal(further, reached):
            break
        reached = further
    # One hop over a branch: gaps between leaves are not joined to the sky beside them.
    return torch.maximum(reached, torch.minimum(_dilated(reached, 6), score))


def _dilated(image: Tensor, radius_px: int) -> Tensor:
    """Greatest value in a square window, one direction after the other."""
    size = 2 * radius_px + 1
    across = max_pool2d(image, (1, size), stride=1, padding=(0, radius_px))
    return max_pool2d(across, (size, 1), stride=1, padding=(radius_px, 0))


def sharpen_mask(mask: Tensor, guide_small: Tensor, guide: Tensor, radius_px: int = 3) -> Tensor:
    """A thumbnail mask at full size, following the guide's edges: the fast guided filter (He & Sun, 2015).

    Args:
        mask: (1, 1, h, w).
        guide_small: the guide at the mask's size.
        guide: (1, 1, H, W), values in [0, 1].
    """
    mean_guide, mean_mask = box_blur(guide_small, radius_px), box_blur(mask, radius_px)
    covariance = box_blur(guide_small * mask, radius_px) - mean_guide * mean_mask
    variance = box_blur(guide_small * guide_small, radius_px) - mean_guide.square()
    slope = covariance / (variance + 2e-3)
    offset = mean_mask - slope * mean_guide
    line = torch.cat((box_blur(slope, radius_px), box_blur(offset, radius_px)), 1)
    line = interpolate(line, size=guide.shape[-2:], mode="bilinear", align_corners=False)
    sharp = (line[:, :1] * guide).add_(line[:, 1:]).clamp_(0, 1)
    # A contrast step: the linear model leaves a grey veil where it should say plainly yes or no.
    return sharp.sub_(0.12).div_(0.68).clamp_(0, 1)
