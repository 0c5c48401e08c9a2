"""The networks of KinD as a training begins with them."""

from typing import cast

from torch import Generator, Tensor, nn

from models.generators.kind import KinD
from models.training.kind_recipe import KinDSizes


class KinDNetworks(nn.ModuleDict):
    """All three lie in the one network that is exported, `G`."""

    def __init__(self, sizes: KinDSizes, seed: int) -> None:
        super().__init__({"G": KinD(sizes.restoration_channels, sizes.day_ratio)})
        initialise(self, seed)

    @property
    def kind(self) -> KinD:
        return cast(KinD, self["G"])

    def decompose(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> reflectance (B, 3, H, W) and illumination (B, 1, H, W)."""
        reflectance, illumination = self.kind.decomposition(images)
        return reflectance, illumination

    def adjust(self, illumination: Tensor, ratio: Tensor) -> Tensor:
        """(B, 1, H, W) and (B,) -> (B, 1, H, W)."""
        adjusted: Tensor = self.kind.adjustment(illumination, ratio)
        return adjusted

    def restore(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        """(B, 3, H, W) and (B, 1, H, W) -> (B, 3, H, W).

        Raises:
            ValueError: the network was built without restoration.
        """
        if self.kind.restoration is None:
            raise ValueError("this KinD has no restoration")
        restored: Tensor = self.kind.restoration(reflectance, illumination)
        return restored


def initialise(networks: nn.Module, seed: int) -> None:
    """Xavier's uniform weights, biases 0, as TensorFlow begins by default; the same from the same seed."""
    dice = Generator().manual_seed(seed)
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight, generator=dice)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
