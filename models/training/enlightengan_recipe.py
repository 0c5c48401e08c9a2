"""What can be chosen about a training of EnlightenGAN (arXiv:1906.06972); the defaults are the paper's."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from models.generators.enlightengan import Attention
from models.layers.blocks import Padding
from models.training.errors import RecipeRejected
from models.training.recipe import Data, Perceptual, Recipe, Updates, within


@dataclass(frozen=True, slots=True)
class EnlightenGANSizes:
    """`generator_attention`, `generator_working_px` and both paddings: explained at the networks. "auto" is
    "dark" on the way to day, as published, and "bright" on the way to night.
    """

    generator_channels: int = 32
    generator_attention: Literal["auto", "dark", "bright"] = "auto"
    generator_working_px: int = 0
    generator_padding: Padding = "zeros"
    discriminator_channels: int = 64
    discriminator_padding: Padding = "zeros"

    def __post_init__(self) -> None:
        within("networks.generator_channels", self.generator_channels, 1, 512)
        within("networks.generator_working_px", self.generator_working_px, 0, 4096)
        within("networks.discriminator_channels", self.discriminator_channels, 1, 512)


@dataclass(frozen=True, slots=True)
class EnlightenGANLosses:
    """Weights: of the adversarial losses of the whole image and of its patches, and of the self feature
    preserving loss, of the image and its patches together.

    `patches`: so many of `patch_px` are cut from every image, at the same places of all. `darkened_share` of
    the images are shown to the generator divided by a number between 2 and 4, in [0, 1].
    """

    adversarial: float = 1.0
    patch_adversarial: float = 1.0
    self_feature: float = 1.0
    patches: int = 6
    patch_px: int = 32
    darkened_share: float = 0.5

    def __post_init__(self) -> None:
        within("losses.adversarial", self.adversarial, 0.0, 1000.0)
        within("losses.patch_adversarial", self.patch_adversarial, 0.0, 1000.0)
        within("losses.self_feature", self.self_feature, 0.0, 1000.0)
        within("losses.patches", self.patches, 1, 64)
        within("losses.patch_px", self.patch_px, 32, 4096)
        within("losses.darkened_share", self.darkened_share, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class EnlightenGANRecipe(Recipe):
    """A training of one direction; the other one than published by swapping the pools."""

    stride_px: ClassVar[int] = 16

    direction: Literal["day2night", "night2day"] = "night2day"
    networks: EnlightenGANSizes = field(default_factory=EnlightenGANSizes)
    data: Data = field(default_factory=lambda: Data(crop_px=320, resize="none", batch_size=32))
    losses: EnlightenGANLosses = field(default_factory=EnlightenGANLosses)
    # the layer after conv5_1, with the fourth pooling left out, of the file that the paper's code loads
    perceptual: Perceptual = field(
        default_factory=lambda: Perceptual("vgg16-caffe", ("features.25",), ("features.23",))
    )
    updates: Updates = field(default_factory=lambda: Updates(learning_rate=1e-4))

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        if self.losses.patch_px > self.data.crop_px:
            raise RecipeRejected(
                f"'losses.patch_px' is {self.losses.patch_px}, larger than 'data.crop_px'.",
                f"It can be {self.data.crop_px} at most.",
            )

    @property
    def attention(self) -> Attention:
        chosen = self.networks.generator_attention
        if chosen != "auto":
            return chosen
        return "dark" if self.direction == "night2day" else "bright"

    def uses_features(self) -> bool:
        return self.losses.self_feature > 0 or Recipe.uses_features(self)
