"""Zero-DCE, curves for each pixel (arXiv:2001.06826)."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from models.generators.network import ConfigValue, NetworkGenerator
from models.layers.blocks import conv3x3

ROUNDS = 8


class ZeroDCE(NetworkGenerator):
    """Seven convolutions choose eight curves for every pixel and colour, and the image is bent along them.

    A curve x + a * (x^2 - x), with a in [-1, 1], keeps black black and white white, and order; a below 0
    brightens. The names of the parts are the original's (`e_conv1` to `e_conv7`), so that its checkpoints
    load as they are.

    Args:
        channels: of the convolutions.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        befores = (3, channels, channels, channels, 2 * channels, 2 * channels)
        for number, before in enumerate(befores, start=1):
            self.add_module(f"e_conv{number}", conv3x3(before, channels))
        self.e_conv7 = conv3x3(2 * channels, 3 * ROUNDS)

    def curves(self, images: Tensor) -> Tensor:
        """RGB, (B, 3, H, W), values in [0, 1] -> (B, 24, H, W), values in [-1, 1]: three for each round."""
        first = self._layer(1, images)
        second = self._layer(2, first)
        third = self._layer(3, second)
        fifth = self._layer(5, torch.cat((third, self._layer(4, third)), dim=1))
        sixth = self._layer(6, torch.cat((second, fifth), dim=1))
        return torch.tanh(self.e_conv7(torch.cat((first, sixth), dim=1)))

    def translate(self, images: Tensor) -> Tensor:
        shown = (images + 1) / 2
        return bent(shown, self.curves(shown)) * 2 - 1

    def _layer(self, number: int, features: Tensor) -> Tensor:
        return functional.relu(self.get_submodule(f"e_conv{number}")(features), inplace=True)

    @classmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        return {"channels": len(state["e_conv1.weight"]) if "e_conv1.weight" in state else 32}


def bent(images: Tensor, curves: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] after all rounds of `curves` (B, 24, H, W), in full precision."""
    for strengths in curves.float().chunk(ROUNDS, dim=1):
        images = images + strengths * (images.square() - images)
    return images
