"""What compares two images pixel by pixel, where torch has no class for it."""

from torch import Tensor, nn


class LogMSELoss(nn.Module):
    """Mean squared difference of logarithms: a ratio of brightness counts alike in shadow and in light.

    Eigen et al. (arXiv:1406.2283) with lambda 0, so that overall brightness counts as well.

    Args:
        epsilon: is added before the logarithm; the default, one step of 8 bits, lets black be compared.
    """

    def __init__(self, epsilon: float = 1 / 255) -> None:
        super().__init__()
        self._epsilon = epsilon

    def forward(self, translated: Tensor, reference: Tensor) -> Tensor:
        """Both of one shape, values in [0, 1]. No gradient reaches the reference."""
        logs = (translated.float() + self._epsilon).log()
        return (logs - (reference.detach().float() + self._epsilon).log()).square().mean()
