"""What can be chosen about a training of CycleGAN (arXiv:1703.10593); the defaults are the paper's."""

from dataclasses import dataclass, field

from models.layers.blocks import Padding
from models.losses.adversarial import GAN
from models.training.errors import RecipeRejected
from models.training.recipe import Recipe, Updates, within


@dataclass(frozen=True, slots=True)
class ResNetSizes:
    """Of ResNet generators and PatchGAN discriminators; `padding` is explained at the networks."""

    generator_channels: int = 64
    generator_blocks: int = 9
    generator_padding: Padding = "zeros"
    discriminator_channels: int = 64
    discriminator_padding: Padding = "zeros"

    def __post_init__(self) -> None:
        within("networks.generator_channels", self.generator_channels, 1, 512)
        within("networks.generator_blocks", self.generator_blocks, 1, 32)
        within("networks.discriminator_channels", self.discriminator_channels, 1, 512)


@dataclass(frozen=True, slots=True)
class CycleGANSizes(ResNetSizes):
    """`generator_skip`, `generator_working_px`, `discriminator_norm`: explained at the networks."""

    generator_skip: bool = False
    generator_working_px: int = 0
    discriminator_norm: bool = True

    def __post_init__(self) -> None:
        ResNetSizes.__post_init__(self)
        within("networks.generator_working_px", self.generator_working_px, 0, 4096)
        if self.generator_working_px and not self.generator_skip:
            raise RecipeRejected(
                "'networks.generator_working_px' is set without 'networks.generator_skip'.",
                "Set both, or leave the working size 0.",
            )


@dataclass(frozen=True, slots=True)
class CycleGANLosses:
    """Weights: of the adversarial loss and the cycle loss; of the identity loss beside the cycle loss.

    `gan`: which adversarial loss; the paper's is that of least squares.
    """

    gan: GAN = "least-squares"
    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 0.5

    def __post_init__(self) -> None:
        within("losses.adversarial", self.adversarial, 0.0, 1000.0)
        within("losses.cycle", self.cycle, 0.0, 1000.0)
        within("losses.identity", self.identity, 0.0, 1000.0)


@dataclass(frozen=True, slots=True)
class CycleGANUpdates(Updates):
    """`pool_size`: past translations kept for each discriminator, in each process."""

    pool_size: int = 50

    def __post_init__(self) -> None:
        Updates.__post_init__(self)
        within("updates.pool_size", self.pool_size, 0, 10_000)


@dataclass(frozen=True, slots=True)
class CycleGANRecipe(Recipe):
    """A training of both directions at once."""

    networks: CycleGANSizes = field(default_factory=CycleGANSizes)
    losses: CycleGANLosses = field(default_factory=CycleGANLosses)
    updates: CycleGANUpdates = field(default_factory=CycleGANUpdates)
