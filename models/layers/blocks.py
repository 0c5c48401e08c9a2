"""Building blocks that several networks share."""

from torch import Tensor, nn


def normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    """The convolution, instance normalisation without parameters, ReLU, for an `nn.Sequential`."""
    return convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU(inplace=True)


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A convolution that keeps height and width; zeros lie beyond the border."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity path, without an activation after the sum.

    The layout of CycleGAN (arXiv:1703.10593), after Johnson et al. (arXiv:1603.08155): borders are reflected,
    the weights lie at `conv_block.1` and `conv_block.5`. Shape (B, channels, H, W), H and W at least 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            *normalised(nn.Conv2d(channels, channels, kernel_size=3)),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, kernel_size=3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        residual: Tensor = self.conv_block(features)
        # In place: at full resolution fresh memory costs more than the sum.
        return residual.add_(features)
