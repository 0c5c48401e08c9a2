"""How CUT and FastCUT learn (arXiv:2007.15651): one direction, by contrast between patches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.generators.interface import Direction
from models.losses.adversarial import GAN_LOSSES
from models.losses.patch_nce import PatchNCELoss
from models.training.cut_networks import CUTNetworks
from models.training.cut_recipe import CUTRecipe
from models.training.data import Batch
from models.training.dice import patch_dice
from models.training.processes import ALONE, Team
from models.training.step import Losses, PaperStep, mean_losses


@dataclass(frozen=True, slots=True)
class Pass:
    """`images`: the sources and, where identity is asked for, the targets behind them; what the generator
    made of them, and the encoder's features on the way. Images may have been mirrored on their way in.
    """

    images: Tensor
    translated: Tensor
    features: list[Tensor]


class CUTStep(PaperStep[CUTRecipe]):
    """One generator, one discriminator, and vectors by which patches of a translation find their source.

    The order is the original's: first the discriminator, then the generator together with the vectors'
    network. Its weights are few enough that one optimiser does for both; there is no pool. The features of
    the source are taken on the way to its translation, which spares a pass through the encoder: no gradient
    reaches them anyway.

    Args:
        recipe: sizes, weights and rates.
        device: where to train.
        team: the processes that train together.
    """

    networks: CUTNetworks

    def __init__(
        self,
        recipe: CUTRecipe,
        device: torch.device | None = None,
        team: Team = ALONE,
        features: nn.Module | None = None,
    ) -> None:
        networks = CUTNetworks(recipe.networks, recipe.seed)
        self.direction = Direction(recipe.direction)
        optimised = {"G": ("G", "F"), "D": ("D",)}
        super().__init__(recipe, networks, optimised, {self.direction: "G"}, device, team, features)
        self._adversarial = GAN_LOSSES[recipe.losses.gan]()
        self._contrast = PatchNCELoss(recipe.losses.temperature)

    def sample(self, batch: Batch) -> list[Tensor]:
        """The source, its translation, the target, what becomes of it."""
        source, target = batch.to(self.device, self.memory_format).towards(self.direction)
        with self._shown() as generators:
            translate = generators[self.direction].translate
            return [source, translate(source), target, translate(target)]

    def _update(self, pieces: Sequence[Batch]) -> Losses:
        # the same in all processes, so that together they do what one does with a larger batch
        dice = patch_dice(self.recipe.seed, self._updates)
        is_mirrored = self.recipe.losses.flip_equivariance and dice.random() < 0.5
        # the history of several passes would take the memory that pieces are there to spare
        is_kept = len(pieces) == 1

        of_discriminator = []
        for piece in pieces:
            with torch.set_grad_enabled(is_kept):
                made = self._pass(piece, is_mirrored)
            of_discriminator.append(self._backward_discriminator(piece, made, len(pieces)))
        self._step("D")

        places = drawn_places(made.features, self.recipe.losses.patches, dice)
        of_generator = []
        with self._held_still("D"):
            for piece in pieces:
                if not is_kept:
                    made = self._pass(piece, is_mirrored)
                losses = self._generator_losses(made, len(piece), places, is_mirrored)
                self._backward(self._weighted(losses), len(pieces))
                of_generator.append(losses)
            self._step("G")
        return {**mean_losses(of_generator), **mean_losses(of_discriminator)}

    def _pass(self, piece: Batch, is_mirrored: bool) -> Pass:
        images = torch.cat(piece.towards(self.direction)[: 1 + self.recipe.losses.identity])
        images = images.contiguous(memory_format=self.memory_format)
        with self._autocast():
            shown = images.flip(3) if is_mirrored else images
            return Pass(images, *self.networks.generator.translate_and_encode(shown))

    def _backward_discriminator(self, piece: Batch, made: Pass, pieces: int) -> Losses:
        real = piece.towards(self.direction)[1]
        fake = made.translated[: len(piece)].detach().float()
        with self._autocast():
            of_real, of_fake = self._passes(self.networks.judge, [real, fake])
            towards = self._adversarial(of_real, is_real=True), self._adversarial(of_fake, is_real=False)
            loss = 0.5 * (towards[0] + towards[1])
        self._backward(loss, pieces)
        return {"D": loss}

    def _generator_losses(
        self, made: Pass, sources: int, places: Sequence[Tensor], is_mirrored: bool
    ) -> Losses:
        generator = self.networks.generator
        with self._autocast():
            verdicts = self.networks.judge(made.translated[:sources])
            features = generator.encode(made.translated)
            queries = self.networks.vectors(_mirrored(features) if is_mirrored else features, places)
        # apart from the queries: autocast would keep weights without history for both
        with torch.no_grad(), self._autocast():
            features = generator.encode(made.images) if is_mirrored else made.features
            keys = self.networks.vectors(features, places)
        terms = zip(("nce", "nce_identity"), self._contrasts(queries, keys, sources), strict=False)
        beside = made.images.flip(3) if is_mirrored else made.images
        extra = self._extra_losses(self.direction, made.translated[:sources], beside[:sources])
        return {"G": self._adversarial(verdicts, is_real=True), **dict(terms), **extra}

    def _contrasts(self, queries: Sequence[Tensor], keys: Sequence[Tensor], sources: int) -> Tensor:
        """The loss of the sources and, if there are any, of the targets: means over the features."""
        parts = len(queries[0]) // sources
        by_feature = [
            [self._contrast(*both) for both in zip(q.chunk(parts), k.chunk(parts), strict=True)]
            for q, k in zip(queries, keys, strict=True)
        ]
        return torch.stack([torch.stack(each) for each in by_feature]).mean(dim=0)

    def _weighted(self, losses: Losses) -> Tensor:
        contrasts = [loss for term, loss in losses.items() if term.startswith("nce")]
        paper = losses["G"] + self.recipe.losses.nce * torch.stack(contrasts).mean()
        return paper + self._weighted_extra(losses)


def drawn_places(features: Sequence[Tensor], wanted: int, dice: np.random.Generator) -> list[Tensor]:
    """Which patches of each feature (B, C, h, w) are compared, each at most once: int64, below h * w."""
    counts = [feature[0, 0].numel() for feature in features]
    drawn = [dice.choice(count, min(wanted, count), replace=False) for count in counts]
    return [torch.from_numpy(each).to(features[0].device) for each in drawn]


def _mirrored(features: Sequence[Tensor]) -> list[Tensor]:
    return [feature.flip(3) for feature in features]
