"""What a discriminator and a generator want of each other's verdicts."""

from torch import Tensor, nn


class LeastSquaresGANLoss(nn.Module):
    """Least squares towards 1 for real and 0 for fake. LSGAN (arXiv:1611.04076), as CycleGAN uses it.

    Without a sigmoid, verdicts that are right but far from the boundary still pull: gradients do not vanish.
    """

    def forward(self, verdicts: Tensor, is_real: bool) -> Tensor:
        """Args:
        verdicts: of any shape and range, one for each patch.
        is_real: what the verdicts should say. A generator asks for True on its fakes.
        """
        target = 1.0 if is_real else 0.0
        return (verdicts.float() - target).square().mean()
