"""Batch statistics of averaged weights."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from models.generators.network import NetworkGenerator


class _Translating(nn.Module):
    """A generator as torch's function calls it."""

    def __init__(self, generator: NetworkGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, images: Tensor) -> Tensor:
        return self.generator.translate(images)


def settle_statistics(generator: NetworkGenerator, sources: Iterable[Tensor]) -> None:
    """Batch norms then go by the means and deviations over these images, (B, 3, H, W) in [-1, 1] each.

    An average of weights has never seen a batch, and what the trained weights remember of theirs does not fit
    it: that is of the recent past, and of all that they were shown, such as images darkened on purpose.
    """
    # also keeps torch from going through the images where nothing is to be learnt from them
    if any(isinstance(module, nn.BatchNorm2d) for module in generator.modules()):
        with torch.no_grad():
            update_bn(sources, _Translating(generator))
