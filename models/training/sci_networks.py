"""The two networks of SCI as a training begins with them."""

from typing import cast

from torch import Tensor, nn

from models.generators.sci import SCI
from models.layers.blocks import conv3x3
from models.training.first_weights import draw_weights
from models.training.sci_recipe import SCISizes


class Calibration(nn.Module):
    """What the next stage is shown beside the image itself, made of what this one enhanced.

    The names of the parts are the original's; it runs `convs` three times, with the same weights.
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(conv3x3(3, channels), nn.BatchNorm2d(channels), nn.ReLU())
        self.convs = nn.Sequential(
            *(conv3x3(channels, channels), nn.BatchNorm2d(channels), nn.ReLU()),
            *(conv3x3(channels, channels), nn.BatchNorm2d(channels), nn.ReLU()),
        )
        self.out_conv = nn.Sequential(conv3x3(channels, 3), nn.Sigmoid())

    def forward(self, enhanced: Tensor) -> Tensor:
        """(B, 3, H, W), values in [0, 1] -> the same shape, values in [-1, 1], to be added to the image."""
        features = self.in_conv(enhanced)
        for _ in range(3):
            features = features + self.convs(features)
        kept: Tensor = self.out_conv(features)
        return enhanced - kept


class SCINetworks(nn.ModuleDict):
    """`enhance` is what is exported, `calibrate` its teacher."""

    def __init__(self, sizes: SCISizes, seed: int) -> None:
        super().__init__({"enhance": SCI(sizes.channels)})
        self["calibrate"] = Calibration(sizes.calibration_channels)
        draw_weights(self, seed)

    def illumination(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], and the same again."""
        light: Tensor = cast(SCI, self["enhance"]).enhance(images)
        return light

    def calibration(self, enhanced: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> the same shape, in [-1, 1]."""
        added: Tensor = self["calibrate"](enhanced)
        return added
