"""The four networks of CycleGAN as a training begins with them: sizes and first weights."""

from typing import cast

from torch import Tensor, nn

from models.generators.cyclegan import CycleGAN
from models.layers.discriminators import PatchGAN
from models.training.cyclegan_recipe import CycleGANSizes
from models.training.first_weights import draw_weights

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
        draw_weights(self, seed)

    def translate(self, name: str, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], and the same again."""
        return cast(CycleGAN, self[name]).translate(images)

    def judge(self, name: str, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, 1, h, w), one verdict a patch."""
        verdicts: Tensor = self[name](images)
        return verdicts
