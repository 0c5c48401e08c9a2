"""How KinD learns (arXiv:1905.04161): three networks one after the other, from scenes in two lights."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.generators.interface import HIGHEST_RATIO, LOWEST_RATIO, Direction
from models.generators.kind import KinD
from models.generators.network import NetworkGenerator
from models.losses.retinex import (
    GradientDifference,
    IlluminationSmoothness,
    MutualConsistency,
    Reconstruction,
    ReflectanceSimilarity,
)
from models.losses.structure import SSIMLoss
from models.training.data import Batch
from models.training.dice import patch_dice
from models.training.kind_networks import KinDNetworks
from models.training.kind_patches import Pair, patches, turned
from models.training.kind_recipe import STAGES, KinDRecipe, Stage
from models.training.processes import ALONE, Team
from models.training.step import Losses, PaperStep, mean_losses

_NEVER_ZERO = 1e-4  # the original's, in quotients of illuminations


class KinDStep(PaperStep[KinDRecipe]):
    """Decomposition first; then adjustment and restoration, of what the finished decomposition makes.

    Each network has an optimiser of its own, so that nothing of one stage is left in another. Images are not
    stretched as they are in use: crops of an image do not show its range, and whole street scenes span all of
    it, by night as well, for their lamps.

    One network serves both directions, and is exported twice, with another ratio. Extra losses judge whole
    translations, so there are none while there is nothing but decomposition: adjustment is judged by an
    image's reflectance in the light of the other, both ways; restoration by what it restored, in adjusted
    light.

    Args:
        recipe: sizes, weights and rates.
        device: where to train.
        team: the processes that train together.
        features: what the recipe's own perceptual losses look through.
    """

    networks: KinDNetworks

    def __init__(
        self,
        recipe: KinDRecipe,
        device: torch.device | None = None,
        team: Team = ALONE,
        features: nn.Module | None = None,
    ) -> None:
        networks = KinDNetworks(recipe.networks, recipe.seed)
        optimised = {str(stage): [f"G.{stage}"] for stage in STAGES}
        generators = dict.fromkeys(Direction, "G")
        super().__init__(recipe, networks, optimised, generators, device, team, features)
        self._reconstruction, self._similarity = Reconstruction(), ReflectanceSimilarity()
        self._mutual, self._smoothness = MutualConsistency(), IlluminationSmoothness()
        self._square, self._gradient, self._structure = nn.MSELoss(), GradientDifference(), SSIMLoss()

    def sample(self, batch: Batch) -> list[Tensor]:
        """Day, what becomes of it, night, what becomes of that."""
        batch = batch.to(self.device, self.memory_format)
        with self._shown() as generators:
            to_night, to_day = (generators[direction].translate for direction in Direction)
            return [batch.day, to_night(batch.day), batch.night, to_day(batch.night)]

    def generators(self) -> dict[Direction, NetworkGenerator]:
        """The same weights for both directions, with the ratio of each."""
        sizes = self.recipe.networks
        ratios = {Direction.DAY2NIGHT: sizes.night_ratio, Direction.NIGHT2DAY: sizes.day_ratio}
        return {
            direction: cast(KinD, network).with_ratio(ratios[direction])
            for direction, network in super().generators().items()
        }

    def _update(self, pieces: Sequence[Batch]) -> Losses:  # noqa: ARG002
        raise ValueError("KinD learns from pairs alone")

    def _update_on_pairs(self, pieces: Sequence[Batch]) -> Losses:
        stage = self.recipe.stage_at(self._updates)
        # the same in all processes, so that together they do what one does with a larger batch
        dice = patch_dice(self.recipe.seed, self._updates)
        # patches take little memory, and are drawn from the whole batch: pieces are for restoration alone
        whole = Pair(torch.cat([each.night for each in pieces]), torch.cat([each.day for each in pieces]))
        whole = Pair((whole.low + 1) / 2, (whole.high + 1) / 2)
        losses = self._learn(stage, whole, dice, len(pieces))
        self._step(stage)
        return losses

    def _learn(self, stage: Stage, whole: Pair, dice: np.random.Generator, pieces: int) -> Losses:
        """Gradients of the stage's network, and its losses."""
        if stage == "decomposition":
            every = [self._learn_to_decompose(*self._patches([whole], dice))]
        elif stage == "adjustment":
            every = [self._learn_to_adjust(whole, dice)]
        else:
            crops = turned(whole, dice)
            parts = zip(crops.low.chunk(pieces), crops.high.chunk(pieces), strict=True)
            every = [self._learn_to_restore(Pair(low, high), pieces) for low, high in parts]
        return mean_losses(every)

    def _learn_to_decompose(self, images: Pair) -> Losses:
        with self._autocast():
            reflectance, illumination = self._decomposed(images)
        weights = self.recipe.losses
        losses = {
            "recon_low": self._reconstruction(reflectance.low, illumination.low, images.low),
            "recon_high": self._reconstruction(reflectance.high, illumination.high, images.high),
            "similarity": self._similarity(reflectance.low, reflectance.high),
            "mutual": self._mutual(bordered(illumination.low), bordered(illumination.high)),
            "smooth_low": self._smoothness(bordered(illumination.low), bordered(images.low)),
            "smooth_high": self._smoothness(bordered(illumination.high), bordered(images.high)),
        }
        self._backward(
            weights.reconstruction * (losses["recon_low"] + losses["recon_high"])
            + weights.similarity * losses["similarity"]
            + weights.mutual * losses["mutual"]
            + weights.smoothness * (losses["smooth_low"] + losses["smooth_high"]),
            1,
        )
        return losses

    def _learn_to_adjust(self, whole: Pair, dice: np.random.Generator) -> Losses:
        """From either light to the other, each patch at random."""
        with torch.no_grad(), self._autocast():
            reflectance, illumination = self._decomposed(whole)
        reflectance, illumination, images = self._patches([reflectance, illumination, whole], dice)
        darkens = torch.from_numpy(dice.random(len(images)) < 0.5).to(self.device)
        adjusted, target = self._adjusted(illumination, darkens)
        losses = {
            "adjust": self._square(adjusted, target),
            "adjust_gradient": self._gradient(bordered(adjusted), bordered(target)),
        }
        if self._extra:
            for direction in Direction:
                losses |= self._extra_of_adjustment(direction, reflectance, illumination, images)
        weights = self.recipe.losses
        paper = weights.square * losses["adjust"] + weights.gradient * losses["adjust_gradient"]
        self._backward(paper + self._weighted_extra(losses), 1)
        return losses

    def _extra_of_adjustment(
        self, direction: Direction, reflectance: Pair, illumination: Pair, images: Pair
    ) -> Losses:
        is_darker = direction is Direction.DAY2NIGHT
        darkens = torch.full((len(images),), is_darker, device=self.device)
        adjusted, _ = self._adjusted(illumination, darkens)
        seen, wanted = (reflectance.high, images.low) if is_darker else (reflectance.low, images.high)
        return self._extra_losses(direction, seen * adjusted * 2 - 1, wanted * 2 - 1)

    def _adjusted(self, illumination: Pair, darkens: Tensor) -> tuple[Tensor, Tensor]:
        """Illuminations adjusted from high to low where told so, else from low to high; and what they should
        have become.
        """
        is_high = darkens.view(-1, 1, 1, 1)
        source = torch.where(is_high, illumination.high, illumination.low)
        target = torch.where(is_high, illumination.low, illumination.high)
        with self._autocast():
            return self.networks.adjust(source, mean_ratio(illumination, darkens)), target

    def _learn_to_restore(self, piece: Pair, pieces: int) -> Losses:
        with torch.no_grad(), self._autocast():
            reflectance, illumination = self._decomposed(piece)
        with self._autocast():
            restored = self.networks.restore(reflectance.low, illumination.low)
        weights = self.recipe.losses
        target = reflectance.high**weights.contrast
        losses = {
            "restore": self._square(restored, target),
            "restore_gradient": self._gradient(bordered(restored), bordered(target)),
            "restore_ssim": self._structure(restored, target),
        }
        if self._extra:
            with torch.no_grad():
                adjusted, _ = self._adjusted(illumination, torch.zeros(len(piece), device=self.device) > 0)
            losses |= self._extra_losses(Direction.NIGHT2DAY, restored * adjusted * 2 - 1, piece.high * 2 - 1)
        paper = (
            weights.square * losses["restore"]
            + weights.gradient * losses["restore_gradient"]
            + weights.structure * losses["restore_ssim"]
        )
        self._backward(paper + self._weighted_extra(losses), pieces)
        return losses

    def _decomposed(self, images: Pair) -> tuple[Pair, Pair]:
        """Reflectances and illuminations, in one pass."""
        together = torch.cat((images.low, images.high)).contiguous(memory_format=self.memory_format)
        reflectance, illumination = self.networks.decompose(together)
        return Pair(*reflectance.chunk(2)), Pair(*illumination.chunk(2))

    def _patches(self, pairs: Sequence[Pair], dice: np.random.Generator) -> list[Pair]:
        stages = self.recipe.stages
        return patches(pairs, stages.patches, stages.patch_px, dice)


def bordered(images: Tensor) -> Tensor:
    """With black beyond the right and the lower border, as the original has when it takes gradients.

    They are stretched to [0, 1]. The border, an edge as strong as the image is bright, is what they are
    measured by: without it the last trace of an edge in an even illumination would count as much as any.
    """
    return functional.pad(images, (0, 1, 0, 1))


def mean_ratio(illumination: Pair, darkens: Tensor) -> Tensor:
    """(B,): how many times as bright the other light is, by what a generator can be told."""
    ratio = (illumination.low / (illumination.high + _NEVER_ZERO)).mean((1, 2, 3))
    # The original has no bounds. A patch in the dark would ask for a thousand times the light.
    return torch.where(darkens, ratio, 1 / ratio + _NEVER_ZERO).clamp(LOWEST_RATIO, HIGHEST_RATIO)
