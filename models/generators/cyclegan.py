"""The ResNet generator of CycleGAN (arXiv:1703.10593)."""

import re
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.generators.network import ConfigValue, NetworkGenerator
from models.layers.blocks import ResidualBlock, normalised

RESIDUAL_WEIGHT = re.compile(r"model\.\d+\.conv_block\.1\.weight")


class CycleGAN(NetworkGenerator):
    """Two halvings, a row of residual blocks, two doublings, tanh.

    The parts stand in one `nn.Sequential` called `model`, in the original's order, so that its checkpoints
    load as they are: with 9 blocks the weights lie at model.1, 4, 7, 10 to 18, 19, 22 and 26.

    Instance normalisation measures the whole image: translated in tiles, each is normalised by itself and
    may differ a little in contrast. Tiles are therefore only the way out when memory does not suffice.

    Args:
        channels: width of the first layer (`ngf` in the paper's code).
        blocks: residual blocks; 9 from 256x256 on, 6 below.
    """

    stride = 4
    # Reflecting by one pixel at a quarter of the size needs two pixels there.
    smallest_px = 8
    # Measured on CPU: channels_last is 3 to 8 % slower for this network.
    cpu_memory_format: ClassVar[torch.memory_format] = torch.contiguous_format

    def __init__(self, channels: int = 64, blocks: int = 9) -> None:
        super().__init__()
        half, quarter = 2 * channels, 4 * channels
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *normalised(nn.Conv2d(3, channels, kernel_size=7)),
            *normalised(nn.Conv2d(channels, half, kernel_size=3, stride=2, padding=1)),
            *normalised(nn.Conv2d(half, quarter, kernel_size=3, stride=2, padding=1)),
            *(ResidualBlock(quarter) for _ in range(blocks)),
            *normalised(_doubling(quarter, half)),
            *normalised(_doubling(half, channels)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, 3, kernel_size=7),
            nn.Tanh(),
        )

    def translate(self, images: Tensor) -> Tensor:
        translated: Tensor = self.model(images)
        return translated

    @classmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        """`channels` from the first convolution, `blocks` by counting."""
        blocks = sum(RESIDUAL_WEIGHT.fullmatch(key) is not None for key in state)
        channels = len(state["model.1.weight"]) if "model.1.weight" in state else 64
        return {"channels": channels, "blocks": blocks}


def _doubling(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """A transposed convolution from (H, W) to exactly (2H, 2W)."""
    return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
