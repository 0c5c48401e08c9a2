"""How EnlightenGAN learns (arXiv:1906.06972): one direction, judged as a whole and patch by patch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.generators.interface import Direction
from models.losses.adversarial import LeastSquaresGANLoss, RelativisticAverageLoss
from models.losses.perceptual import SelfFeatureLoss
from models.training.data import Batch
from models.training.dice import patch_dice
from models.training.enlightengan_networks import EnlightenGANNetworks
from models.training.enlightengan_recipe import EnlightenGANRecipe
from models.training.processes import ALONE, Team
from models.training.step import Losses, PaperStep, mean_losses

DARKENED_BY = (2.0, 4.0)
DISCRIMINATORS = ("D_A", "D_P")


@dataclass(frozen=True, slots=True)
class Chance:
    """What is drawn for an update: upper left corners of patches, and by what each image is darkened."""

    corners: Sequence[tuple[int, int]]
    divisors: Sequence[float]


class EnlightenGANStep(PaperStep[EnlightenGANRecipe]):
    """One generator and two discriminators: whole images are judged relative to each other, patches each by
    itself, and what a backbone sees of an image should stay.

    The order is the original's: first the generator, then both discriminators. Of its replay pool, whose
    images the original throws away, there is none.

    Batch norms go by the images of their own process.

    Args:
        recipe: sizes, weights and rates.
        device: where to train.
        team: the processes that train together.
        features: what the self feature preserving loss looks through.
    """

    networks: EnlightenGANNetworks

    def __init__(
        self,
        recipe: EnlightenGANRecipe,
        device: torch.device | None = None,
        team: Team = ALONE,
        features: nn.Module | None = None,
    ) -> None:
        networks = EnlightenGANNetworks(recipe.networks, recipe.attention, recipe.seed)
        self.direction = Direction(recipe.direction)
        optimised = {"G": ("G_A",), "D": DISCRIMINATORS}
        super().__init__(recipe, networks, optimised, {self.direction: "G_A"}, device, team, features)
        self._relativistic, self._adversarial = RelativisticAverageLoss(), LeastSquaresGANLoss()
        self._self_feature = None if self.features is None else SelfFeatureLoss(self.features)

    def sample(self, batch: Batch) -> list[Tensor]:
        """The source, its translation, the target."""
        source, target = batch.to(self.device, self.memory_format).towards(self.direction)
        with self._shown() as generators:
            return [source, generators[self.direction].translate(source), target]

    def _update(self, pieces: Sequence[Batch]) -> Losses:
        chance = self._drawn(sum(len(piece) for piece in pieces))
        of_generator, fakes, first = [], [], 0
        with self._held_still(*DISCRIMINATORS):
            for piece in pieces:
                divisors = chance.divisors[first : first + len(piece)]
                losses, fake = self._generator_losses(piece, chance.corners, divisors)
                self._backward(self._weighted(losses), len(pieces))
                of_generator.append(losses)
                fakes.append(fake)
                first += len(piece)
            self._step("G")
        of_discriminators = []
        for piece, fake in zip(pieces, fakes, strict=True):
            losses = self._discriminator_losses(piece, fake, chance.corners)
            self._backward(losses["D_A"] + losses["D_P"], len(pieces))
            of_discriminators.append(losses)
        self._step("D")
        return {**mean_losses(of_generator), **mean_losses(of_discriminators)}

    def _drawn(self, images: int) -> Chance:
        losses = self.recipe.losses
        # the same patches in all processes, as in all images of a batch
        dice = patch_dice(self.recipe.seed, self._updates)
        highest = self.recipe.data.crop_px - losses.patch_px + 1
        corners = [(int(top), int(left)) for top, left in dice.integers(highest, size=(losses.patches, 2))]
        own = np.random.default_rng(dice.integers(2**31, size=self._team.size)[self._team.rank])
        is_darkened = own.random(images) < losses.darkened_share
        divisors = np.where(is_darkened, own.uniform(*DARKENED_BY, images), 1.0)
        return Chance(corners, divisors.tolist())

    def _generator_losses(
        self, piece: Batch, corners: Sequence[tuple[int, int]], divisors: Sequence[float]
    ) -> tuple[Losses, Tensor]:
        """Also gives the translations, without their history, for the discriminators."""
        source, target = piece.towards(self.direction)
        by = torch.tensor(divisors, device=self.device).view(-1, 1, 1, 1)
        with self._autocast():
            fake = self.networks.translate((source + 1) / by - 1)
            # two passes: the verdicts of real images need no history, nor memory for one
            with torch.no_grad():
                of_real = self.networks.judge("D_A", target)
            of_fake = self.networks.judge("D_A", fake)
            of_patches = self.networks.judge("D_P", self._patches(fake, corners))
        losses = {
            "G": self._relativistic(of_real, of_fake, is_generator=True),
            "G_patches": self._adversarial(of_patches, is_real=True),
        }
        if self.recipe.losses.self_feature > 0:
            losses |= self._preserved(fake, source, corners)
        losses |= self._extra_losses(self.direction, fake, source)
        return losses, fake.detach().float()

    def _preserved(self, fake: Tensor, source: Tensor, corners: Sequence[tuple[int, int]]) -> Losses:
        """Of the source as it is, not as it was darkened."""
        assert self._self_feature is not None  # noqa: S101 - the recipe uses features, so it was given some
        shown, original = ((images.float() + 1) / 2 for images in (fake, source))
        with self._autocast():
            return {
                "features": self._self_feature(shown, original),
                "features_patches": self._self_feature(
                    self._patches(shown, corners), self._patches(original, corners)
                ),
            }

    def _weighted(self, losses: Losses) -> Tensor:
        weights = self.recipe.losses
        total = weights.adversarial * losses["G"] + weights.patch_adversarial * losses["G_patches"]
        if weights.self_feature > 0:
            total = total + weights.self_feature * (losses["features"] + losses["features_patches"])
        return total + self._weighted_extra(losses)

    def _discriminator_losses(self, piece: Batch, fake: Tensor, corners: Sequence[tuple[int, int]]) -> Losses:
        target = piece.towards(self.direction)[1]
        with self._autocast():
            of_real, of_fake = self._passes(lambda images: self.networks.judge("D_A", images), [target, fake])
            shown = [self._patches(target, corners), self._patches(fake, corners)]
            patches_of_real, patches_of_fake = self._passes(
                lambda images: self.networks.judge("D_P", images), shown
            )
        towards = (
            self._adversarial(patches_of_real, is_real=True),
            self._adversarial(patches_of_fake, is_real=False),
        )
        return {
            "D_A": self._relativistic(of_real, of_fake, is_generator=False),
            "D_P": 0.5 * (towards[0] + towards[1]),
        }

    def _patches(self, images: Tensor, corners: Sequence[tuple[int, int]]) -> Tensor:
        """(B, 3, H, W) -> (patches * B, 3, patch, patch), those of one corner after the other."""
        size = self.recipe.losses.patch_px
        return torch.cat([images[..., top : top + size, left : left + size] for top, left in corners])
