"""The attention-guided U-Net of EnlightenGAN (arXiv:1906.06972)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.generators.network import ConfigValue, NetworkGenerator
from models.layers.blocks import Padding, conv3x3
from models.layers.working_size import at_working_size, carried_up

Attention = Literal["dark", "bright"]
LEVELS = 5


class EnlightenGAN(NetworkGenerator):
    """A five-level U-Net that adds a residual to the image, strongest where the image is dark.

    Published for low light to normal light; trained with the two domains swapped it learns the way to night.
    The names of the parts are the original's (`conv3_1`, `bn3_1`, `deconv5`, …), so that its checkpoints load
    as they are. A unit is convolution, LeakyReLU, batch normalisation, in this order; the last has no norm.

    Args:
        channels: width of the first level; each level below doubles it.
        align_corners: how the decoder's bilinear doubling places its samples. The released weights were
            trained under a torch where True was the only way.
        attention: where the residual counts: "dark", as published, or "bright", for the way to night, where
            the sky has to change most.
        working_px: the shorter side at which the network looks at larger images, 0 for their own, as
            published. The residual is carried up to the image, whose own detail and attention stay.
        padding: what lies beyond the border of its 3x3 convolutions. The zeros of the original tell it at
            every level where the border is: trained for long on small crops it draws the crop's outline into
            the image. "reflect" shows the image's own features. The weights fit both, but belong to the one
            they were trained with.
    """

    stride = 2 ** (LEVELS - 1)
    # Reflecting by one pixel at the lowest level needs two pixels there.
    smallest_px = 2 * stride

    def __init__(
        self,
        channels: int = 32,
        align_corners: bool = True,
        attention: Attention = "dark",
        working_px: int = 0,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.padding: Padding = padding
        self.align_corners = align_corners
        self.attention = attention
        self.working_px = working_px
        widths = [channels * 2**level for level in range(LEVELS)]
        # three colours and the attention map
        for level, (before, width) in enumerate(pairwise([4, *widths]), start=1):
            self._add_unit(f"{level}_1", before, width)
            self._add_unit(f"{level}_2", width, width)
        for step, (width, before) in enumerate(pairwise(reversed(widths)), start=LEVELS):
            # `before` is the narrower one: a decoder step halves the channels
            self.add_module(f"deconv{step}", conv3x3(width, before, padding))
            self._add_unit(f"{step + 1}_1", width, before)
            self._add_unit(f"{step + 1}_2", before, before, is_normalised=step + 1 < 2 * LEVELS - 1)
        self.conv10 = nn.Conv2d(channels, 3, kernel_size=1)

    def translate(self, images: Tensor) -> Tensor:
        residual = self._residual(at_working_size(images, self.working_px, self.stride))
        return images + carried_up(residual, images) * self._attention_map(images)

    def _residual(self, images: Tensor) -> Tensor:
        attention = self._attention_map(images)
        maps = [attention]
        for _ in range(LEVELS - 1):
            maps.append(functional.max_pool2d(maps[-1], 2))

        features = torch.cat((images, attention), dim=1)
        skips = []
        for level in range(1, LEVELS):
            features = self._unit(f"{level}_2", self._unit(f"{level}_1", features))
            skips.append(features * maps[level - 1])
            features = functional.max_pool2d(features, 2)
        features = self._unit(f"{LEVELS}_2", self._unit(f"{LEVELS}_1", features) * maps[-1])

        for step, skip in enumerate(reversed(skips), start=LEVELS):
            features = functional.interpolate(
                features, scale_factor=2, mode="bilinear", align_corners=self.align_corners
            )
            features = torch.cat((self.get_submodule(f"deconv{step}")(features), skip), dim=1)
            features = self._unit(f"{step + 1}_2", self._unit(f"{step + 1}_1", features))
        residual: Tensor = self.conv10(features)
        return residual

    @torch.no_grad()
    def amplify(self, gain: float) -> None:
        """Scales the residual; from then on the weights do. See `CycleGAN.amplify`."""
        for parameter in self.conv10.parameters():
            parameter.mul_(gain)

    def _attention_map(self, images: Tensor) -> Tensor:
        dark = attention_map(images)
        return dark if self.attention == "dark" else 1 - dark

    @classmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        """`channels` from the first convolution; `align_corners` shows in no tensor: the released way."""
        channels = len(state["conv1_1.weight"]) if "conv1_1.weight" in state else 32
        return {"channels": channels, "align_corners": True}

    def options(self) -> dict[str, ConfigValue]:
        return {
            "align_corners": self.align_corners,
            "attention": self.attention,
            "working_px": self.working_px,
            "padding": self.padding,
        }

    @property
    def fits_original_code(self) -> bool:
        return self.attention == "dark" and not self.working_px

    def _add_unit(self, name: str, before: int, width: int, *, is_normalised: bool = True) -> None:
        self.add_module(f"conv{name}", conv3x3(before, width, self.padding))
        if is_normalised:
            self.add_module(f"bn{name}", nn.BatchNorm2d(width))

    def _unit(self, name: str, features: Tensor) -> Tensor:
        active = functional.leaky_relu(self.get_submodule(f"conv{name}")(features), 0.2, inplace=True)
        norm: nn.Module | None = self._modules.get(f"bn{name}")
        if norm is None:
            return active
        normal: Tensor = norm(active)
        return normal


def attention_map(images: Tensor) -> Tensor:
    """1 - luminance, in [0, 1], of RGB in [-1, 1]: (B, 3, H, W) -> (B, 1, H, W); high in the dark."""
    red, green, blue = (images + 1).unbind(dim=1)
    return (1 - (0.299 * red + 0.587 * green + 0.114 * blue) / 2).unsqueeze(1)
