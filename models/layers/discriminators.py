"""Networks that tell real images from translated ones."""

from itertools import pairwise

from torch import Tensor, nn

from models.layers.blocks import Padding
from models.layers.blur import BlurHalving


class PatchGAN(nn.Module):
    """The 70x70 PatchGAN of CycleGAN (arXiv:1703.10593), after pix2pix (arXiv:1611.07004).

    Each output judges one patch of 70x70 pixels. The parts stand in one `nn.Sequential` called `model`, in
    the original's order, so that its checkpoints load as they are: the weights lie at model.0, 2, 5, 8, 11.

    Args:
        channels: width of the first layer (`ndf` in the paper's code).
        padding: what lies beyond the border. The original pads zeros, which tell every layer where the
            border is and give border pixels less of a say: translations may grow streaks there. "reflect"
            shows the image's own pixels instead; the weights fit both.
        has_norm: instance normalisation, as in the original. It hides how bright an image is, which is what
            tells night from day; without it the discriminator sees that too. It has no weights of its own.
    """

    def __init__(self, channels: int = 64, padding: Padding = "zeros", has_norm: bool = True) -> None:
        super().__init__()
        normalised = _normalised if has_norm else _not_normalised
        self.model = nn.Sequential(
            _conv4x4(3, channels, 2, padding),
            _leaky(),
            *normalised(_conv4x4(channels, 2 * channels, 2, padding)),
            *normalised(_conv4x4(2 * channels, 4 * channels, 2, padding)),
            *normalised(_conv4x4(4 * channels, 8 * channels, 1, padding)),
            _conv4x4(8 * channels, 1, 1, padding),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Args:
            images: RGB, float, shape (B, 3, H, W), values in [-1, 1]; H and W at least 24.

        Returns:
            (B, 1, H/8 - 2, W/8 - 2) without a range: towards 1 for real patches, 0 for translated ones.
        """
        verdicts: Tensor = self.model(images)
        return verdicts


class AntialiasedPatchGAN(nn.Module):
    """The PatchGAN of CUT (arXiv:2007.15651): convolutions of stride 1, a blur halves instead.

    Its checkpoints load as they are: the weights lie at model.0, 3, 7, 11, 14, the blurs at model.2, 6, 10.

    Args:
        channels: width of the first layer (`ndf` in the paper's code).
        padding: what lies beyond the border of the convolutions, as in `PatchGAN`; blurs always reflect.
    """

    def __init__(self, channels: int = 64, padding: Padding = "zeros") -> None:
        super().__init__()
        self.model = nn.Sequential(
            _conv4x4(3, channels, 1, padding),
            _leaky(),
            BlurHalving(channels),
            *_normalised(_conv4x4(channels, 2 * channels, 1, padding)),
            BlurHalving(2 * channels),
            *_normalised(_conv4x4(2 * channels, 4 * channels, 1, padding)),
            BlurHalving(4 * channels),
            *_normalised(_conv4x4(4 * channels, 8 * channels, 1, padding)),
            _conv4x4(8 * channels, 1, 1, padding),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Args:
            images: RGB, float, shape (B, 3, H, W), values in [-1, 1]; H and W at least 24 and multiples of 8.

        Returns:
            (B, 1, H/8 - 2, W/8 - 2) without a range: towards 1 for real patches, 0 for translated ones.
        """
        verdicts: Tensor = self.model(images)
        return verdicts


class PlainPatchGAN(nn.Module):
    """The discriminators of EnlightenGAN (arXiv:1906.06972): PatchGANs without normalisation, with two rows
    beyond the border, so that even 32 pixels are enough.

    Its checkpoints load as they are: the weights lie at model.0, 2, 4, …

    Args:
        channels: width of the first layer; it doubles up to eight times that.
        halvings: convolutions of stride 2; 5 for whole images, 4 for patches of 32 pixels.
        padding: what lies beyond the border, as in `PatchGAN`.
    """

    def __init__(self, channels: int = 64, halvings: int = 5, padding: Padding = "zeros") -> None:
        super().__init__()
        widths = [channels * min(2**level, 8) for level in range(halvings + 1)]
        layers: list[nn.Module] = [_conv4x4(3, channels, 2, padding, rows=2), _leaky()]
        for level, (before, after) in enumerate(pairwise(widths), start=1):
            layers += [_conv4x4(before, after, 2 if level < halvings else 1, padding, rows=2), _leaky()]
        self.model = nn.Sequential(*layers, _conv4x4(widths[-1], 1, 1, padding, rows=2))

    def forward(self, images: Tensor) -> Tensor:
        """Args:
            images: RGB, float, shape (B, 3, H, W), values in [-1, 1].

        Returns:
            (B, 1, h, w) without a range: (13, 13) of 320x320 by 5 halvings, (5, 5) of 32x32 by 4.
        """
        verdicts: Tensor = self.model(images)
        return verdicts


def _conv4x4(in_channels: int, out_channels: int, stride: int, padding: Padding, rows: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 4, stride=stride, padding=rows, padding_mode=padding)


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)


def _normalised(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(convolution.out_channels), _leaky()


def _not_normalised(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    """As many parts, so that the weights lie at the same places."""
    return convolution, nn.Identity(), _leaky()
