"""How SCI learns (arXiv:2204.10137): by itself, from dark images alone."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.generators.interface import Direction
from models.generators.sci import relit
from models.losses.retinex import CrossChannelSmoothness
from models.training.data import Batch
from models.training.processes import ALONE, Team
from models.training.sci_networks import SCINetworks
from models.training.sci_recipe import SCIRecipe
from models.training.step import Losses, PaperStep, mean_losses


class SCIStep(PaperStep[SCIRecipe]):
    """Stages that share one block: each estimates the light of the image plus what calibration made of the
    stage before, so that all come to the same, and the first alone is enough in use.

    Args:
        recipe: sizes, weights and rates.
        device: where to train.
        team: the processes that train together.
        features: what the recipe's own perceptual losses look through.
    """

    networks: SCINetworks

    def __init__(
        self,
        recipe: SCIRecipe,
        device: torch.device | None = None,
        team: Team = ALONE,
        features: nn.Module | None = None,
    ) -> None:
        networks = SCINetworks(recipe.networks, recipe.seed)
        optimised = {"G": ("enhance", "calibrate")}
        generators = {Direction.NIGHT2DAY: "enhance"}
        super().__init__(recipe, networks, optimised, generators, device, team, features)
        self._fidelity, self._smoothness = nn.MSELoss(), CrossChannelSmoothness()

    def sample(self, batch: Batch) -> list[Tensor]:
        """Night, and night in the light of day."""
        night = batch.to(self.device, self.memory_format).night
        with self._shown() as generators:
            return [night, generators[Direction.NIGHT2DAY].translate(night)]

    def _update(self, pieces: Sequence[Batch]) -> Losses:
        every = []
        for piece in pieces:
            with self._autocast():
                losses = self._losses(piece.night)
            self._backward(self._weighted(losses), len(pieces))
            every.append(losses)
        self._step("G")
        return mean_losses(every)

    def _losses(self, night: Tensor) -> Losses:
        """Sums over the stages; `extra_losses` are asked of the first stage, which is the one in use."""
        image = shown = (night + 1) / 2
        fidelity, smoothness, enhanced = [], [], []
        for _ in range(self.recipe.losses.stages):
            light = self.networks.illumination(shown)
            fidelity.append(self._fidelity(light, shown.float()))
            smoothness.append(self._smoothness(shown, light))
            enhanced.append(relit(image, light))
            shown = image + self.networks.calibration(enhanced[-1])
        extra = self._extra_losses(Direction.NIGHT2DAY, enhanced[0] * 2 - 1, night)
        return {
            "fidelity": torch.stack(fidelity).sum(),
            "smoothness": torch.stack(smoothness).sum(),
            **extra,
        }

    def _weighted(self, losses: Losses) -> Tensor:
        weights = self.recipe.losses
        paper = weights.fidelity * losses["fidelity"] + weights.smoothness * losses["smoothness"]
        return paper + self._weighted_extra(losses)
