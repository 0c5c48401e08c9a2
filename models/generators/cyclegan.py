"""The ResNet generator of CycleGAN (arXiv:1703.10593)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.generators.network import ConfigValue, NetworkGenerator
from models.layers.blocks import Doubling, Padding, ResidualBlock, normalised, resnet_sizes
from models.layers.working_size import at_working_size, carried_up

SKIP_RANGE = 0.95  # white itself would come from infinity


class CycleGAN(NetworkGenerator):
    """Two halvings, a row of residual blocks, two doublings, tanh.

    The parts stand in one `nn.Sequential` called `model`, in the original's order, so that its checkpoints
    load as they are: with 9 blocks the weights lie at model.1, 4, 7, 10 to 18, 19, 22 and 26.

    Instance normalisation measures the whole image: translated in tiles, each is normalised by itself and
    may differ a little in contrast. Tiles are therefore only the way out when memory does not suffice.

    Args:
        channels: width of the first layer (`ngf` in the paper's code).
        blocks: residual blocks; 9 from 256x256 on, 6 below.
        padding: what lies beyond the border where the resolution changes. The original has zeros there, dark
            lines that the next normalisation spreads along the border; trained for long on few images they
            grow into streaks. "reflect" shows the image's own features. The weights fit both, but belong to
            the one they were trained with.
        skip: the network computes what is to change instead of the whole image: its last layer is added to
            the image before tanh, the image mapped to where tanh comes from. Instance normalisation makes
            it forget how bright an image was and blurs it until it has learnt for long; with the skip,
            training begins sharp, which some thousand steps on a CPU need. The original has none.
        working_px: with the skip, the shorter side at which the network looks at larger images, 0 for their
            own. What it was trained on at one size it does not recognise at another; the change it computes
            is smooth and is carried up to the image, whose own detail stays.

    Raises:
        ValueError: a working size without the skip.
    """

    stride = 4
    # Reflecting by one pixel at a quarter of the size needs two pixels there.
    smallest_px = 8
    # Measured on CPU: channels_last is 3 to 8 % slower for this network.
    cpu_memory_format: ClassVar[torch.memory_format] = torch.contiguous_format

    def __init__(
        self,
        channels: int = 64,
        blocks: int = 9,
        padding: Padding = "zeros",
        skip: bool = False,
        working_px: int = 0,
    ) -> None:
        super().__init__()
        if working_px and not skip:
            raise ValueError("only what is to change can be computed at another size")
        self.padding = padding
        self.skip = skip
        self.working_px = working_px
        half, quarter = 2 * channels, 4 * channels
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *normalised(nn.Conv2d(3, channels, kernel_size=7)),
            *normalised(_halving(channels, half, padding)),
            *normalised(_halving(half, quarter, padding)),
            *(ResidualBlock(quarter) for _ in range(blocks)),
            *normalised(Doubling(quarter, half, padding)),
            *normalised(Doubling(half, channels, padding)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, 3, kernel_size=7),
            nn.Tanh(),
        )

    def translate(self, images: Tensor) -> Tensor:
        if not self.skip:
            translated: Tensor = self.model(images)
            return translated
        seen = at_working_size(images, self.working_px, self.stride)
        change = carried_up(self.model[:-1](seen).float(), images)
        # in full precision: near white, a little of what goes into tanh is a lot of what comes out
        return torch.tanh(change + torch.atanh(images.float() * SKIP_RANGE))

    @torch.no_grad()
    def amplify(self, gain: float) -> None:
        """Scales the change that a network with a skip computes; from then on its weights do.

        Trained on pairs of which it cannot know how dark they will be, a network learns their mean, and
        changes less than any of them did.

        Raises:
            ValueError: there is no skip: the output is no change.
        """
        if not self.skip:
            raise ValueError("only a change can be amplified")
        last = self.model[-2]
        for parameter in last.parameters():
            parameter.mul_(gain)

    @classmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        return {**resnet_sizes(state)}

    def options(self) -> dict[str, ConfigValue]:
        return {"padding": self.padding, "skip": self.skip, "working_px": self.working_px}

    @property
    def fits_original_code(self) -> bool:
        return not self.skip


def _halving(in_channels: int, out_channels: int, padding: Padding) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, padding_mode=padding)
