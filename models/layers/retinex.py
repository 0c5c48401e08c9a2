"""The three networks of KinD (arXiv:1905.04161): taking an image apart, relighting it, restoring the dark.

Layers have the names of the released TensorFlow code. Where paper and code differ, the code counts, as the
released weights fit it alone. Its 'SAME' padding of a 3x3 kernel is one pixel of zeros on each side; that of
pooling is nothing as long as sides are even, which those here are.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.layers.blocks import conv3x3

LEVELS = 5


class Decomposition(nn.Module):
    """An image as reflectance times illumination: a U-Net of three levels, and a branch for the illumination.

    The paper has 3x3 kernels before the outputs, the code 1x1, "to get better results".
    """

    def __init__(self) -> None:
        super().__init__()
        self.g_conv1_1 = conv3x3(3, 32)
        self.g_conv2_1 = conv3x3(32, 64)
        self.g_conv3_1 = conv3x3(64, 128)
        self.g_up_1 = _doubling(128, 64)
        self.g_conv8_1 = conv3x3(128, 64)
        self.g_up_2 = _doubling(64, 32)
        self.g_conv9_1 = conv3x3(64, 32)
        self.g_conv10 = nn.Conv2d(32, 3, kernel_size=1)
        self.l_conv1_2 = conv3x3(32, 32)
        self.l_conv1_4 = nn.Conv2d(64, 1, kernel_size=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Args:
            images: RGB, (B, 3, H, W), values in [0, 1]; H and W multiples of 4.

        Returns:
            Reflectance (B, 3, H, W) and illumination (B, 1, H, W), float32, values in [0, 1].
        """
        one = _active(self.g_conv1_1(images))
        two = _active(self.g_conv2_1(functional.max_pool2d(one, 2)))
        three = _active(self.g_conv3_1(functional.max_pool2d(two, 2)))
        up = _active(self.g_conv8_1(torch.cat((self.g_up_1(three), two), dim=1)))
        up = _active(self.g_conv9_1(torch.cat((self.g_up_2(up), one), dim=1)))
        light = torch.cat((_active(self.l_conv1_2(one)), up), dim=1)
        return _share(self.g_conv10(up)), _share(self.l_conv1_4(light))


class Restoration(nn.Module):
    """The reflectance of a dark image without its noise and its wrong colours: a U-Net of five levels.

    Args:
        channels: width of the first level, 32 as published; each level below doubles it.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(LEVELS)]
        # three of reflectance, one of illumination
        for level, (before, width) in enumerate(pairwise([4, *widths]), start=1):
            self._add_level(level, before, width)
        for level, (before, width) in enumerate(pairwise(reversed(widths)), start=LEVELS + 1):
            self.add_module(f"up_{level}", _doubling(before, width))
            self._add_level(level, before, width)
        self.de_conv10 = conv3x3(channels, 3)

    def forward(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        """Args:
            reflectance: (B, 3, H, W), values in [0, 1]; H and W multiples of 16.
            illumination: (B, 1, H, W), values in [0, 1].

        Returns:
            Reflectance, same shape and range, float32.
        """
        features = self._level(1, torch.cat((reflectance, illumination), dim=1))
        skips = []
        for level in range(2, LEVELS + 1):
            skips.append(features)
            features = self._level(level, functional.max_pool2d(features, 2))
        for level, skip in enumerate(reversed(skips), start=LEVELS + 1):
            doubled = self.get_submodule(f"up_{level}")(features)
            features = self._level(level, torch.cat((doubled, skip), dim=1))
        return _share(self.de_conv10(features))

    def _add_level(self, level: int, before: int, width: int) -> None:
        self.add_module(f"de_conv{level}_1", conv3x3(before, width))
        self.add_module(f"de_conv{level}_2", conv3x3(width, width))

    def _level(self, level: int, features: Tensor) -> Tensor:
        for part in (1, 2):
            features = _active(self.get_submodule(f"de_conv{level}_{part}")(features))
        return features


class Adjustment(nn.Module):
    """The illumination as it would be in brighter or darker light, four convolutions.

    The last one too is followed by a LeakyReLU, before the sigmoid, as in the code: darker than half needs
    strongly negative values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.en_conv_1 = conv3x3(2, 32)
        self.en_conv_2 = conv3x3(32, 32)
        self.en_conv_3 = conv3x3(32, 32)
        self.en_conv_4 = conv3x3(32, 1)

    def forward(self, illumination: Tensor, ratio: Tensor) -> Tensor:
        """Args:
            illumination: (B, 1, H, W), values in [0, 1].
            ratio: (B,), how many times as bright it shall become.

        Returns:
            Illumination, same shape and range, float32.
        """
        told = ratio.to(illumination.dtype).view(-1, 1, 1, 1).expand_as(illumination)
        features = torch.cat((illumination, told), dim=1)
        for layer in (self.en_conv_1, self.en_conv_2, self.en_conv_3, self.en_conv_4):
            features = _active(layer(features))
        return _share(features)


def _doubling(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2, bias=False)


def _active(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, 0.2, inplace=True)


def _share(features: Tensor) -> Tensor:
    # in full precision: what half precision rounds shows as steps in a dark sky
    return torch.sigmoid(features.float())
