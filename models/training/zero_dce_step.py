"""How Zero-DCE learns (arXiv:2001.06826), and its recipe: from dark images and four wishes alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from models.generators.interface import Direction
from models.generators.zero_dce import ZeroDCE, bent
from models.losses.zero_reference import ColourConstancy, CurveSmoothness, Exposure, SpatialConsistency
from models.training.data import Batch
from models.training.first_weights import draw_weights
from models.training.processes import ALONE, Team
from models.training.recipe import Data, Length, Recipe, Updates, within
from models.training.step import Losses, PaperStep, mean_losses


@dataclass(frozen=True, slots=True)
class ZeroDCESizes:
    """Of the one network."""

    channels: int = 32

    def __post_init__(self) -> None:
        within("networks.channels", self.channels, 1, 512)


@dataclass(frozen=True, slots=True)
class ZeroDCELosses:
    """Weights of the four wishes: differences between neighbours stay, patches come to a middle brightness,
    colours balance, curves change slowly.
    """

    spatial_consistency: float = 1.0
    exposure: float = 10.0
    colour_constancy: float = 5.0
    curve_smoothness: float = 200.0

    def __post_init__(self) -> None:
        within("losses.spatial_consistency", self.spatial_consistency, 0.0, 1e4)
        within("losses.exposure", self.exposure, 0.0, 1e4)
        within("losses.colour_constancy", self.colour_constancy, 0.0, 1e4)
        within("losses.curve_smoothness", self.curve_smoothness, 0.0, 1e4)


@dataclass(frozen=True, slots=True)
class ZeroDCERecipe(Recipe):
    """A training on the night images alone; the defaults are those of the paper's code."""

    stride_px: ClassVar[int] = 1
    learns_from: ClassVar[tuple[str, ...]] = ("night",)

    direction: Literal["night2day"] = "night2day"
    networks: ZeroDCESizes = field(default_factory=ZeroDCESizes)
    data: Data = field(default_factory=lambda: Data(crop_px=512, resize_px=512, flip=False, batch_size=8))
    losses: ZeroDCELosses = field(default_factory=ZeroDCELosses)
    updates: Updates = field(
        default_factory=lambda: Updates(
            learning_rate=1e-4, beta1=0.9, weight_decay=1e-4, clip_norm=0.1, mixed_precision=False
        )
    )
    length: Length = field(default_factory=lambda: Length(epochs=200, constant_share=1.0))


class ZeroDCEStep(PaperStep[ZeroDCERecipe]):
    """One network, and no images that it should come near to.

    Args:
        recipe: sizes, weights and rates.
        device: where to train.
        team: the processes that train together.
        features: what the recipe's own perceptual losses look through.
    """

    def __init__(
        self,
        recipe: ZeroDCERecipe,
        device: torch.device | None = None,
        team: Team = ALONE,
        features: nn.Module | None = None,
    ) -> None:
        networks = nn.ModuleDict({"G": ZeroDCE(recipe.networks.channels)})
        draw_weights(networks, recipe.seed)
        generators = {Direction.NIGHT2DAY: "G"}
        super().__init__(recipe, networks, {"G": ("G",)}, generators, device, team, features)
        self._spatial, self._exposure = SpatialConsistency(), Exposure()
        self._colour, self._smoothness = ColourConstancy(), CurveSmoothness()

    def sample(self, batch: Batch) -> list[Tensor]:
        """Night, and what becomes of it."""
        night = batch.to(self.device, self.memory_format).night
        with self._shown() as generators:
            return [night, generators[Direction.NIGHT2DAY].translate(night)]

    def _update(self, pieces: Sequence[Batch]) -> Losses:
        every = []
        for piece in pieces:
            losses = self._losses(piece.night)
            self._backward(self._weighted(losses), len(pieces))
            every.append(losses)
        self._step("G")
        return mean_losses(every)

    def _losses(self, night: Tensor) -> Losses:
        image = (night + 1) / 2
        with self._autocast():
            curves = cast(ZeroDCE, self.networks["G"]).curves(image)
        enhanced = bent(image, curves)
        return {
            "spatial_consistency": self._spatial(enhanced, image),
            "exposure": self._exposure(enhanced),
            "colour_constancy": self._colour(enhanced),
            "curve_smoothness": self._smoothness(curves),
            **self._extra_losses(Direction.NIGHT2DAY, enhanced * 2 - 1, night),
        }

    def _weighted(self, losses: Losses) -> Tensor:
        weights = self.recipe.losses
        return (
            weights.spatial_consistency * losses["spatial_consistency"]
            + weights.exposure * losses["exposure"]
            + weights.colour_constancy * losses["colour_constancy"]
            + weights.curve_smoothness * losses["curve_smoothness"]
            + self._weighted_extra(losses)
        )
