"""The anti-aliased ResNet generator of CUT (arXiv:2007.15651)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.generators.network import ConfigValue, NetworkGenerator
from models.layers.blocks import Padding, ResidualBlock, normalised, resnet_sizes
from models.layers.blur import BlurDoubling, BlurHalving

FIRST_BLOCK = 12


class CUT(NetworkGenerator):
    """CycleGAN's generator, but for the changes of resolution: a fixed blur makes them, so that convolutions
    keep theirs.

    The parts stand in one `nn.Sequential` called `model`, in the original's order, so that its checkpoints
    load as they are: with 9 blocks the weights lie at model.1, 4, 8, 12 to 20, 22, 26 and 30, the blurs at
    model.7, 11, 21 and 25. FastCUT trains the same network by other losses.

    Its first half is also the encoder of the contrastive loss: see `encode`. Tiles shift the contrast a
    little, as they do with CycleGAN.

    Args:
        channels: width of the first layer (`ngf` in the paper's code).
        blocks: residual blocks; 9 from 256x256 on, 6 below.
        padding: what lies beyond the border of the convolutions around the blurs. The original has zeros
            there; see `CycleGAN` for what "reflect" is good for.
    """

    stride = 4
    # Reflecting by one pixel at a quarter of the size needs two pixels there.
    smallest_px = 8
    # Measured on CPU: channels_last is 10 % slower for this network.
    cpu_memory_format: ClassVar[torch.memory_format] = torch.contiguous_format

    def __init__(self, channels: int = 64, blocks: int = 9, padding: Padding = "zeros") -> None:
        super().__init__()
        self.padding = padding
        half, quarter = 2 * channels, 4 * channels
        # place and width: the padded image, both convolutions before a halving, the first and the fifth block
        fifth = FIRST_BLOCK + min(5, blocks) - 1
        self.encoded = {0: 3, 4: half, 8: quarter, FIRST_BLOCK: quarter, fifth: quarter}
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *normalised(nn.Conv2d(3, channels, kernel_size=7)),
            *normalised(_conv3x3(channels, half, padding)),
            BlurHalving(half),
            *normalised(_conv3x3(half, quarter, padding)),
            BlurHalving(quarter),
            *(ResidualBlock(quarter) for _ in range(blocks)),
            BlurDoubling(quarter),
            *normalised(_conv3x3(quarter, half, padding)),
            BlurDoubling(half),
            *normalised(_conv3x3(half, channels, padding)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, 3, kernel_size=7),
            nn.Tanh(),
        )

    def translate(self, images: Tensor) -> Tensor:
        translated: Tensor = self.model(images)
        return translated

    def encode(self, images: Tensor) -> list[Tensor]:
        """What the layers at the places `encoded` make of images (B, 3, H, W) in [-1, 1], each of shape
        (B, width, h, w); the layers after the last of them are not computed.
        """
        features = []
        for place, layer in enumerate(self.model[: max(self.encoded) + 1]):
            images = layer(images)
            if place in self.encoded:
                features.append(images)
        return features

    def translate_and_encode(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The translation, and on the way to it the features that `encode` would give."""
        features = self.encode(images)
        translated: Tensor = self.model[max(self.encoded) + 1 :](features[-1])
        return translated, features

    @classmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        return {**resnet_sizes(state)}

    def options(self) -> dict[str, ConfigValue]:
        return {"padding": self.padding}


def _conv3x3(in_channels: int, out_channels: int, padding: Padding) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding)
