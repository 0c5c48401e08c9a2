"""Halving and doubling without aliasing, by a fixed blur (arXiv:1904.11486), as CUT does (arXiv:2007.15651).

A stride of 2 takes every other pixel: what it keeps of fine patterns depends on where they lie, and changes
when the image moves by a pixel. Here convolutions keep the resolution and a blur changes it. Its weights are
fixed, one kernel for all channels, but lie in a buffer `filt` of shape (channels, 1, size, size), as in the
published checkpoints.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

HALVING = (1.0, 2.0, 1.0)
DOUBLING = (1.0, 3.0, 3.0, 1.0)


class BlurHalving(nn.Module):
    """(B, channels, H, W) -> (B, channels, ceil(H / 2), ceil(W / 2)); borders are reflected, so that H and W
    are at least 2.
    """

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", _kernels(HALVING, channels))

    def forward(self, features: Tensor) -> Tensor:
        padded = functional.pad(features, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(padded, self.filt, stride=2, groups=len(self.filt))


class BlurDoubling(nn.Module):
    """(B, channels, H, W) -> (B, channels, 2H, 2W); borders are repeated. It is bilinear enlargement."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # each output pixel is reached by a quarter of the weights
        self.register_buffer("filt", 4 * _kernels(DOUBLING, channels))

    def forward(self, features: Tensor) -> Tensor:
        padded = functional.pad(features, (1, 1, 1, 1), mode="replicate")
        doubled = functional.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=len(self.filt))
        return doubled[..., 1:-1, 1:-1]


def _kernels(weights: Sequence[float], channels: int) -> Tensor:
    """(channels, 1, size, size), the sum of each being 1."""
    line = torch.tensor(weights)
    kernel = torch.outer(line, line)
    return (kernel / kernel.sum()).repeat(channels, 1, 1, 1)
