"""What KID and FID compare frames by."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """A network that describes an image by `dim` features.

    `name`: such as "streetnet" or "inception_v3", without a path. `sha256`: of the weights file.
    """

    def __init__(self, name: str, sha256: str, dim: int) -> None:
        super().__init__()
        self.name = name
        self.sha256 = sha256
        self.dim = dim

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """RGB, float, (B, 3, H, W), values in [0, 1], of any size -> features, float32, (B, dim)."""
