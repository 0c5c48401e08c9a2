"""What can be asked of an image without a target: Zero-DCE (Guo et al., CVPR 2020, arXiv:2001.06826).

The formulas are those of the released code, which differs from the paper's in places.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ColourConstancy(nn.Module):
    """Averaged over an image, the three channels should be alike (the grey world): in [0, sqrt 2].

    The root of the summed fourth powers of the differences between two channels' means, averaged over the
    batch. The paper adds squares, without a root.
    """

    def forward(self, translated: Tensor) -> Tensor:
        """RGB, (B, 3, H, W), values in [0, 1]."""
        red, green, blue = translated.float().mean(dim=(2, 3)).unbind(1)
        squares = torch.stack([red - green, red - blue, green - blue], dim=1).square()
        # unlike a root, a norm has a gradient at 0: that of a grey image is 0
        distances: Tensor = torch.linalg.vector_norm(squares, dim=1)
        return distances.mean()


class Exposure(nn.Module):
    """The mean of each patch should be at one level: mean squared distance, absolute in the paper.

    Args:
        level: for well-exposed daylight; night is far below the default.
        patch_px: sides of the patches, which do not overlap. What is left over at the right and at the bottom
            is not looked at.
    """

    def __init__(self, level: float = 0.6, patch_px: int = 16) -> None:
        super().__init__()
        self._level = level
        self._patch_px = patch_px

    def forward(self, translated: Tensor) -> Tensor:
        """(B, channels, H, W) with sides of at least a patch, values in [0, 1]."""
        return (_patch_means(translated, self._patch_px) - self._level).square().mean()


class SpatialConsistency(nn.Module):
    """Differences between neighbouring patches should stay as they were in the source: in [0, 16].

    Their changes are squared, summed over the four neighbours and averaged over the patches; the paper
    compares absolute differences. Beyond the border there are zeros, as in the released code, so that the
    level of the patches there counts too.

    Args:
        patch_px: sides of the patches, which do not overlap.
    """

    def __init__(self, patch_px: int = 4) -> None:
        super().__init__()
        self._patch_px = patch_px

    def forward(self, translated: Tensor, source: Tensor) -> Tensor:
        """Both (B, channels, H, W) with sides of at least a patch, values in [0, 1]. No gradient reaches the
        source.
        """
        # means and differences are linear: those of the change are the change of those
        change = _patch_means(translated.float() - source.detach().float(), self._patch_px)
        around = functional.pad(change, (1, 1, 1, 1))
        neighbours = torch.cat(
            [around[..., 1:-1, :-2], around[..., 1:-1, 2:], around[..., :-2, 1:-1], around[..., 2:, 1:-1]],
            dim=1,
        )
        return (change - neighbours).square().sum(dim=1).mean()


class CurveSmoothness(nn.Module):
    """Total variation: squared differences of neighbours, as means over the positions, twice.

    Channels are added up, not averaged, as in the released code; there they are curve parameters in [-1, 1].
    The result lies in [0, 4 * channels] for values in [0, 1].
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) with sides of at least 2."""
        values = maps.float()
        down = values.diff(dim=-2).square().sum(dim=1).mean()
        across = values.diff(dim=-1).square().sum(dim=1).mean()
        return 2 * (down + across)


def _patch_means(image: Tensor, patch_px: int) -> Tensor:
    """(B, channels, H, W) -> (B, 1, H // patch_px, W // patch_px)."""
    return functional.avg_pool2d(image.float().mean(dim=1, keepdim=True), patch_px)
