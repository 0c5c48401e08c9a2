"""The four networks of CycleGAN before and after training: sizes, first weights, averages."""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from models.generators.cyclegan import CycleGAN
from models.layers.discriminators import PatchGAN
from models.training.recipe import Networks

GENERATORS = ("G_A", "G_B")
DISCRIMINATORS = ("D_A", "D_B")


class CycleGANNetworks(nn.ModuleDict):
    """Domain A is day, B is night: G_A makes night, G_B day; D_A judges night, D_B day."""

    def __init__(self, sizes: Networks, seed: int) -> None:
        generator = sizes.generator_channels, sizes.generator_blocks, sizes.generator_padding
        discriminator = sizes.discriminator_channels, sizes.discriminator_padding
        super().__init__({name: CycleGAN(*generator) for name in GENERATORS})
        self.update({name: PatchGAN(*discriminator) for name in DISCRIMINATORS})
        initialise(self, seed)

    def translate(self, name: str, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], and the same again."""
        return cast(CycleGAN, self[name]).translate(images)

    def judge(self, name: str, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, 1, h, w), one verdict a patch."""
        verdicts: Tensor = self[name](images)
        return verdicts


def initialise(networks: nn.Module, seed: int) -> None:
    """Weights from N(0, 0.02), biases 0, as the original begins; the same from the same seed."""
    dice = torch.Generator().manual_seed(seed)
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
            nn.init.normal_(module.weight, 0.0, 0.02, generator=dice)
            nn.init.zeros_(module.bias)


class AveragedGenerators(nn.ModuleDict):
    """Exponential moving averages of the generators' weights, steadier than any single update.

    The first averages are short, or the random weights of the beginning would stay in them for long.

    Args:
        share: of the past in the average, once it has become long.
    """

    def __init__(self, networks: nn.ModuleDict, share: float) -> None:
        super().__init__({name: copy.deepcopy(networks[name]) for name in GENERATORS})
        self.requires_grad_(False)
        self._share = share

    @torch.no_grad()
    def follow(self, networks: nn.ModuleDict, updates: int) -> None:
        """Takes in the weights after the given number of updates."""
        share = min(self._share, (1 + updates) / (10 + updates))
        for name, average in self.items():
            torch._foreach_lerp_(list(average.parameters()), list(networks[name].parameters()), 1 - share)
