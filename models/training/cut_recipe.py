"""What can be chosen about a training of CUT (arXiv:2007.15651); the defaults are the paper's."""

from dataclasses import dataclass, field
from typing import Literal

from models.losses.adversarial import GAN
from models.training.cyclegan_recipe import ResNetSizes
from models.training.recipe import Length, Recipe, within


@dataclass(frozen=True, slots=True)
class CUTSizes(ResNetSizes):
    """`patch_channels`: length of the vectors by which patches are compared."""

    patch_channels: int = 256

    def __post_init__(self) -> None:
        ResNetSizes.__post_init__(self)
        within("networks.patch_channels", self.patch_channels, 1, 4096)


@dataclass(frozen=True, slots=True)
class CUTLosses:
    """The contrastive loss beside the adversarial one.

    `nce`: its weight. `identity`: the mean with the same loss on target images, which should stay as they
    are. `flip_equivariance`: half of the time the generator sees the mirrored source, and its patches are
    compared with those of the source as it is. `patches`: of each feature that is compared. FastCUT has nce
    10, no identity, flip equivariance. `gan`: which adversarial loss; the paper's is that of least squares.
    """

    gan: GAN = "least-squares"

    nce: float = 1.0
    identity: bool = True
    flip_equivariance: bool = False
    temperature: float = 0.07
    patches: int = 256

    def __post_init__(self) -> None:
        within("losses.nce", self.nce, 0.0, 1000.0)
        within("losses.temperature", self.temperature, 0.001, 100.0)
        within("losses.patches", self.patches, 2, 65_536)


@dataclass(frozen=True, slots=True)
class CUTRecipe(Recipe):
    """A training of one direction."""

    direction: Literal["day2night", "night2day"] = "day2night"
    networks: CUTSizes = field(default_factory=CUTSizes)
    losses: CUTLosses = field(default_factory=CUTLosses)
    length: Length = field(default_factory=lambda: Length(epochs=400))
