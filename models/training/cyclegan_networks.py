"""The four networks of CycleGAN as a training begins with them: sizes and first weights."""

from typing import cast

from torch import Generator, Tensor, nn

from models.generators.cyclegan import CycleGAN
from models.layers.discriminators import PatchGAN
from models.training.cyclegan_recipe import CycleGANSizes

GENERATORS = ("G_A", "G_B")
DISCRIMINATORS = ("D_A", "D_B")


class CycleGANNetworks(nn.ModuleDict):
    """Domain A is day, B is night: G_A makes night, G_B day; D_A judges night, D_B day."""

    def __init__(self, sizes: CycleGANSizes, seed: int) -> None:
        generator = (
            sizes.generator_channels,
            sizes.generator_blocks,
            sizes.generator_padding,
            sizes.generator_skip,
            sizes.generator_working_px,
        )
        discriminator = sizes.discriminator_channels, sizes.discriminator_padding, sizes.discriminator_norm
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
    dice = Generator().manual_seed(seed)
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
            nn.init.normal_(module.weight, 0.0, 0.02, generator=dice)
            nn.init.zeros_(module.bias)
