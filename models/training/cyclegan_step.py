"""How CycleGAN learns (arXiv:1703.10593): both generators, both discriminators, one update at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.generators.interface import Direction
from models.losses.adversarial import GAN_LOSSES
from models.losses.cycle import CycleLoss, IdentityLoss
from models.training.cyclegan_networks import DISCRIMINATORS, GENERATORS, CycleGANNetworks
from models.training.cyclegan_recipe import CycleGANRecipe
from models.training.data import Batch
from models.training.image_pool import ImagePool
from models.training.processes import ALONE, Team
from models.training.step import Losses, PaperStep, mean_losses


class CycleGANStep(PaperStep[CycleGANRecipe]):
    """Two generators that translate there and back, and a discriminator for each side.

    The order is the original's. First the generators, with the discriminators held still; then the
    discriminators, on real images and on translations out of the pools, which the generators made before
    their update. Two batches for one network go through it together: the losses are the same, and small
    images do not leave the device waiting.

    Args:
        recipe: sizes, weights and rates.
        device: where to train.
        team: the processes that train together.
    """

    networks: CycleGANNetworks

    def __init__(
        self,
        recipe: CycleGANRecipe,
        device: torch.device | None = None,
        team: Team = ALONE,
        features: nn.Module | None = None,
    ) -> None:
        networks = CycleGANNetworks(recipe.networks, recipe.seed)
        optimised = {"G": GENERATORS, "D": DISCRIMINATORS}
        generators = dict(zip(Direction, GENERATORS, strict=True))
        super().__init__(recipe, networks, optimised, generators, device, team, features)
        # of fakes that D_A and D_B are shown
        self.pools = {
            name: ImagePool(recipe.updates.pool_size, recipe.seed + number)
            for number, name in enumerate(DISCRIMINATORS, start=team.rank * len(DISCRIMINATORS))
        }
        self._adversarial = GAN_LOSSES[recipe.losses.gan]()
        self._cycle, self._identity = CycleLoss(), IdentityLoss()

    def sample(self, batch: Batch) -> list[Tensor]:
        """Day, night made of it, day again, night, day made of it."""
        batch = batch.to(self.device, self.memory_format)
        with self._shown() as generators:
            to_night, to_day = (generator.translate for generator in generators.values())
            fake_night = to_night(batch.day)
            return [batch.day, fake_night, to_day(fake_night), batch.night, to_day(batch.night)]

    def state_dict(self) -> dict[str, Any]:
        own = {name: pool.state_dict() for name, pool in self.pools.items()}
        first, *others = self._team.gather(own) or [own]
        return {**super().state_dict(), "pools": first, "pools_of_others": others}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        pools = [state["pools"], *state.get("pools_of_others", [])]
        # a process that was not there before begins with empty pools
        if self._team.rank < len(pools):
            for name, pool in self.pools.items():
                pool.load_state_dict(pools[self._team.rank][name], self.device)

    def _update(self, pieces: Sequence[Batch]) -> Losses:
        of_generators, fakes = [], []
        with self._held_still(*DISCRIMINATORS):
            for piece in pieces:
                with self._autocast():
                    losses, fake = self._generator_losses(piece)
                self._backward(self._weighted(losses), len(pieces))
                of_generators.append(losses)
                fakes.append(fake)
            self._step("G")
        of_discriminators = [
            self._backward_discriminators(piece, fake, len(pieces))
            for piece, fake in zip(pieces, fakes, strict=True)
        ]
        self._step("D")
        return {**mean_losses(of_generators), **mean_losses(of_discriminators)}

    def _generator_losses(self, piece: Batch) -> tuple[Losses, Batch]:
        """Also gives the translations, without their history, for the discriminators."""
        day, night = piece.day, piece.night
        has_identity = self.recipe.losses.identity > 0
        fake_night, *same_night = self._passes(self._translate("G_A"), [day, night][: 1 + has_identity])
        fake_day, *same_day = self._passes(self._translate("G_B"), [night, day][: 1 + has_identity])
        losses = {
            "G_A": self._adversarial(self.networks.judge("D_A", fake_night), is_real=True),
            "G_B": self._adversarial(self.networks.judge("D_B", fake_day), is_real=True),
            "cycle_A": self._cycle(self.networks.translate("G_B", fake_night), day),
            "cycle_B": self._cycle(self.networks.translate("G_A", fake_day), night),
        }
        if has_identity:
            losses["identity_A"] = self._identity(same_night[0], night)
            losses["identity_B"] = self._identity(same_day[0], day)
        losses |= self._extra_losses(Direction.DAY2NIGHT, fake_night, day)
        losses |= self._extra_losses(Direction.NIGHT2DAY, fake_day, night)
        return losses, Batch(day=fake_day.detach().float(), night=fake_night.detach().float())

    def _weighted(self, losses: Losses) -> Tensor:
        weights = self.recipe.losses
        total = weights.adversarial * (losses["G_A"] + losses["G_B"])
        total = total + weights.cycle * (losses["cycle_A"] + losses["cycle_B"])
        if weights.identity > 0:
            # relative to the cycle, as in the paper's code
            total = total + weights.identity * weights.cycle * (losses["identity_A"] + losses["identity_B"])
        return total + self._weighted_extra(losses)

    def _backward_discriminators(self, piece: Batch, fake: Batch, pieces: int) -> Losses:
        losses = {}
        for name, real, translated in (("D_A", piece.night, fake.night), ("D_B", piece.day, fake.day)):
            shown = [real, self.pools[name].swap(translated)]
            with self._autocast():
                of_real, of_fake = self._passes(self._judge(name), shown)
                towards = self._adversarial(of_real, is_real=True), self._adversarial(of_fake, is_real=False)
                # halved, so that discriminators learn at half the pace of generators
                losses[name] = 0.5 * (towards[0] + towards[1])
            self._backward(losses[name], pieces)
        return losses

    def _translate(self, name: str) -> Callable[[Tensor], Tensor]:
        return lambda images: self.networks.translate(name, images)

    def _judge(self, name: str) -> Callable[[Tensor], Tensor]:
        return lambda images: self.networks.judge(name, images)
