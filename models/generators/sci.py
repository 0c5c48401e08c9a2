"""SCI, self-calibrated illumination (arXiv:2204.10137): three small convolutions that brighten."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.generators.network import ConfigValue, NetworkGenerator
from models.layers.blocks import conv3x3

DARKEST = 1e-4  # what an image is divided by is never less


class SCI(NetworkGenerator):
    """An image divided by its illumination, which a block of three convolutions estimates.

    Training runs the block several times, with a second network between (`models.training.sci_networks`);
    what that taught it, one pass gives in use. With 3 channels these are 258 weights. The names of the parts
    are the original's (`enhance.in_conv.0`, `enhance.conv.1`, …).

    Args:
        channels: between the convolutions.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.enhance = Illumination(channels)

    def translate(self, images: Tensor) -> Tensor:
        shown = images.add(1).div_(2)
        return relit(shown, self.enhance(shown)).mul_(2).sub_(1)

    @classmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        first = state.get("enhance.in_conv.0.weight")
        return {"channels": 3 if first is None else len(first)}

    @property
    def fits_original_code(self) -> bool:
        """There the block's weights stand in the file a second time, beside those of the other network."""
        return False


class Illumination(nn.Module):
    """The light that an image was taken in, never darker than the image itself."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(conv3x3(3, channels), nn.ReLU())
        self.conv = nn.Sequential(conv3x3(channels, channels), nn.BatchNorm2d(channels), nn.ReLU())
        self.out_conv = nn.Sequential(conv3x3(channels, 3), nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        """RGB, (B, 3, H, W), values in [0, 1] -> the same shape, values in [1e-4, 1]."""
        features = self.in_conv(images)
        features = features + self.conv(features)
        light: Tensor = self.out_conv(features).float() + images
        return light.clamp(DARKEST, 1)


def relit(images: Tensor, illumination: Tensor) -> Tensor:
    """The images as they would look in full light: both (B, 3, H, W) in [0, 1], and so is the result."""
    return torch.div(images, illumination).clamp_(0, 1)
