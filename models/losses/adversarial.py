"""What a discriminator and a generator want of each other's verdicts."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional


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


class NonSaturatingLoss(nn.Module):
    """Cross entropy of verdicts taken as logits. Goodfellow et al. (arXiv:1406.2661).

    A generator asks for True on its fakes rather than minimising what the discriminator maximises: it then
    learns most where the discriminator is surest, early in training.
    """

    def forward(self, verdicts: Tensor, is_real: bool) -> Tensor:
        """Args:
        verdicts: logits of any shape, one for each patch.
        is_real: what the verdicts should say.

        Returns:
            A mean above 0; log 2 for verdicts of 0.
        """
        logits = verdicts.float()
        return functional.softplus(-logits if is_real else logits).mean()


class RelativisticAverageLoss(nn.Module):
    """Real images should look more real than the average fake, and fakes less than the average real one.

    Jolicoeur-Martineau (arXiv:1807.00734), in least squares and halved as in EnlightenGAN (arXiv:1906.06972).
    """

    def forward(self, verdicts_of_real: Tensor, verdicts_of_fake: Tensor, is_generator: bool) -> Tensor:
        """Args:
        verdicts_of_real, verdicts_of_fake: of any shape and range; averages go over whole batches.
        is_generator: whose turn it is. A generator wants the opposite: 0 for real and 1 for fake.
        """
        real, fake = verdicts_of_real.float(), verdicts_of_fake.float()
        for_real, for_fake = (0.0, 1.0) if is_generator else (1.0, 0.0)
        of_real = (real - fake.mean() - for_real).square().mean()
        of_fake = (fake - real.mean() - for_fake).square().mean()
        return 0.5 * (of_real + of_fake)


GAN = Literal["least-squares", "non-saturating"]
GAN_LOSSES: Mapping[GAN, type[LeastSquaresGANLoss] | type[NonSaturatingLoss]] = {
    "least-squares": LeastSquaresGANLoss,
    "non-saturating": NonSaturatingLoss,
}
