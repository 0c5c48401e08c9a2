"""What can be chosen about a training of KinD (arXiv:1905.04161); the defaults are those of its code."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

from models.generators.interface import HIGHEST_RATIO, LOWEST_RATIO
from models.training.errors import RecipeRejected
from models.training.recipe import Data, Length, Recipe, Updates, within

Stage = Literal["decomposition", "adjustment", "restoration"]
STAGES: tuple[Stage, ...] = ("decomposition", "adjustment", "restoration")


@dataclass(frozen=True, slots=True)
class KinDSizes:
    """`restoration_channels`: width of the restoration's first level, the other two networks are always as
    published. `night_ratio`, `day_ratio`: how many times as bright the two generators make an image that
    comes without a wish.
    """

    restoration_channels: int = 32
    night_ratio: float = 0.2
    day_ratio: float = 5.0

    def __post_init__(self) -> None:
        within("networks.restoration_channels", self.restoration_channels, 1, 512)
        within("networks.night_ratio", self.night_ratio, LOWEST_RATIO, 1.0)
        within("networks.day_ratio", self.day_ratio, 1.0, HIGHEST_RATIO)


@dataclass(frozen=True, slots=True)
class KinDStages:
    """The networks learn one after the other: which share of the steps is whose.

    The first two see `patches` squares of `patch_px`, cut out of a step's crops; restoration, which has to
    look further, sees the crops themselves. Published are 2000, 2000 and 1000 epochs. An epoch of patches is
    done in 4 steps where one of crops takes 10, so the shares are 8, 8 and 10 of 26.
    """

    decomposition: float = 0.31
    adjustment: float = 0.31
    restoration: float = 0.38
    patches: int = 10
    patch_px: int = 48

    def __post_init__(self) -> None:
        for stage, share in self.shares().items():
            within(f"stages.{stage}", share, 0.0, 1.0)
        if not math.isclose(sum(self.shares().values()), 1.0, abs_tol=1e-6):
            raise RecipeRejected(
                f"The shares of 'stages' in the recipe are {list(self.shares().values())}.",
                "Together they must be 1.",
            )
        within("stages.patches", self.patches, 1, 1024)
        within("stages.patch_px", self.patch_px, 16, 4096)

    def shares(self) -> Mapping[Stage, float]:
        return {
            "decomposition": self.decomposition,
            "adjustment": self.adjustment,
            "restoration": self.restoration,
        }


@dataclass(frozen=True, slots=True)
class KinDLosses:
    """Weights. Of decomposition: `reconstruction` of the images from their parts, `similarity` of the two
    reflectances, `mutual` edges of the two illuminations, `smoothness` of each. Of adjustment and of
    restoration: `square`, the mean squared difference, and `gradient`, that of edges; of restoration alone:
    `structure`.

    With the published weights it costs least to take the image itself for its reflectance and white for its
    illumination, and on street scenes that is where decomposition ends. What keeps it from there is
    similarity: in two lights an image is not the same. The recipe "compact" gives it the weight of
    reconstruction. Without smoothness it would end at a white reflectance instead.

    `contrast`: restoration aims at the bright image's reflectance to this power, a little darker in the dark.
    """

    reconstruction: float = 1.0
    similarity: float = 0.01
    mutual: float = 0.2
    smoothness: float = 0.15
    square: float = 1.0
    gradient: float = 1.0
    structure: float = 1.0
    contrast: float = 1.2

    def __post_init__(self) -> None:
        for each in fields(self):
            low, high = (0.1, 10.0) if each.name == "contrast" else (0.0, 1000.0)
            within(f"losses.{each.name}", getattr(self, each.name), low, high)


@dataclass(frozen=True, slots=True)
class KinDRecipe(Recipe):
    """A training of both directions, with one network, on pairs at every step.

    The paper photographs each scene in both lights; here the camera model makes the dark one. Night images
    are only looked at: they have no counterpart by day.
    """

    stride_px: ClassVar[int] = 16
    learns_from: ClassVar[tuple[str, ...]] = ("day",)

    networks: KinDSizes = field(default_factory=KinDSizes)
    stages: KinDStages = field(default_factory=KinDStages)
    data: Data = field(default_factory=lambda: Data(crop_px=384, resize="none", batch_size=4))
    losses: KinDLosses = field(default_factory=KinDLosses)
    updates: Updates = field(default_factory=lambda: Updates(learning_rate=1e-4, beta1=0.9))
    # 2000 epochs of 10 patches come to 800 of 4 crops; the last fifth of restoration is at half the rate
    length: Length = field(default_factory=lambda: Length(epochs=2600, constant_share=0.924, decay="halved"))

    def __post_init__(self) -> None:
        # not super(): dataclasses with slots are made twice, and it would mean the first one
        Recipe.__post_init__(self)
        patch_px, crop_px = self.stages.patch_px, self.data.crop_px
        if patch_px % self.stride_px or patch_px > crop_px:
            raise RecipeRejected(
                f"'stages.patch_px' is {patch_px}.",
                f"It must be a multiple of {self.stride_px}, up to 'data.crop_px', {crop_px}.",
            )

    def is_paired(self, step: int) -> bool:  # noqa: ARG002
        """Always: whatever `warm_start` says."""
        return True

    def stage_at(self, step: int) -> Stage:
        """Which network learns in that step, the first of which is 0."""
        shares = self.stages.shares()
        end = 0.0
        for stage in STAGES[:-1]:
            end += shares[stage]
            if step < round(end * self.length.steps):
                return stage
        return STAGES[-1]
