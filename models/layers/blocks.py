"""Building blocks that several networks share."""

import re
from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["zeros", "reflect"]

RESIDUAL_WEIGHT = re.compile(r"model\.\d+\.conv_block\.1\.weight")


def normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    """The convolution, instance normalisation without parameters, ReLU, for an `nn.Sequential`."""
    return convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU(inplace=True)


def conv3x3(in_channels: int, out_channels: int, padding: Padding = "zeros") -> nn.Conv2d:
    """A convolution that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, padding_mode=padding)


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


def resnet_sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
    """`channels` and `blocks` of a generator of residual blocks: from its first convolution, and counted."""
    blocks = sum(RESIDUAL_WEIGHT.fullmatch(key) is not None for key in state)
    channels = len(state["model.1.weight"]) if "model.1.weight" in state else 64
    return {"channels": channels, "blocks": blocks}


class Doubling(nn.ConvTranspose2d):
    """A transposed 3x3 convolution from (H, W) to exactly (2H, 2W).

    Every other output lies between two inputs. The last one lies between an input and the border.

    Args:
        padding: what stands beyond the border: "zeros", as in CycleGAN, which darkens the last row and
            column, or "reflect", the features inside it; H and W are then at least 2.
    """

    def __init__(self, in_channels: int, out_channels: int, padding: Padding = "zeros") -> None:
        is_reflecting = padding == "reflect"
        super().__init__(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1 - is_reflecting)
        self._is_reflecting = is_reflecting

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not self._is_reflecting:
            return super().forward(features, output_size)
        return super().forward(functional.pad(features, (0, 1, 0, 1), mode="reflect"))[..., :-1, :-1]
