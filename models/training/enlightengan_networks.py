"""The three networks of EnlightenGAN as a training begins with them: sizes and first weights."""

from typing import cast

from torch import Tensor, nn

from models.generators.enlightengan import Attention, EnlightenGAN
from models.layers.discriminators import PlainPatchGAN
from models.training.enlightengan_recipe import EnlightenGANSizes
from models.training.first_weights import draw_weights


class EnlightenGANNetworks(nn.ModuleDict):
    """G_A translates, D_A judges whole images, D_P patches of them; the names are the original's."""

    def __init__(self, sizes: EnlightenGANSizes, attention: Attention, seed: int) -> None:
        generator = EnlightenGAN(
            sizes.generator_channels,
            attention=attention,
            working_px=sizes.generator_working_px,
            padding=sizes.generator_padding,
        )
        channels, padding = sizes.discriminator_channels, sizes.discriminator_padding
        super().__init__({"G_A": generator})
        self["D_A"] = PlainPatchGAN(channels, 5, padding)
        self["D_P"] = PlainPatchGAN(channels, 4, padding)
        draw_weights(self, seed)

    def translate(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], and the same again."""
        return cast(EnlightenGAN, self["G_A"]).translate(images)

    def judge(self, name: str, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, 1, h, w)."""
        verdicts: Tensor = self[name](images)
        return verdicts
