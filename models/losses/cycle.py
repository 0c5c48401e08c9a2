"""What ties an unpaired translation to the image it was made from (CycleGAN, arXiv:1703.10593)."""

from torch import Tensor, nn


class CycleLoss(nn.Module):
    """An image translated there and back should be itself: mean absolute difference. Equation 2."""

    def forward(self, cycled: Tensor, image: Tensor) -> Tensor:
        """Both RGB, shape (B, 3, H, W), values in [-1, 1]."""
        return (cycled.float() - image).abs().mean()


class IdentityLoss(nn.Module):
    """What is night already should stay as it is on the way to night: mean absolute difference.

    Section 5.2, after Taigman et al. (arXiv:1611.02200): without it generators change tints at will.
    """

    def forward(self, unchanged: Tensor, image: Tensor) -> Tensor:
        """Args:
        unchanged: the generator's output for `image`, which lies in its target domain already.
        image: RGB, shape (B, 3, H, W), values in [-1, 1].
        """
        return (unchanged.float() - image).abs().mean()
