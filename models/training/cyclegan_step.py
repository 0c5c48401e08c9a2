"""How CycleGAN learns (arXiv:1703.10593): both generators, both discriminators, one update at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from models.device import Precision, choose_precision
from models.generators.cyclegan import CycleGAN
from models.losses.adversarial import LeastSquaresGANLoss
from models.losses.cycle import CycleLoss, IdentityLoss
from models.training.checkpoint import reject_other_architecture
from models.training.cyclegan_networks import (
    DISCRIMINATORS,
    GENERATORS,
    AveragedGenerators,
    CycleGANNetworks,
)
from models.training.data import Batch
from models.training.image_pool import ImagePool
from models.training.recipe import Recipe

Losses = dict[str, Tensor]


class CycleGANStep:
    """Two generators that translate there and back, and a discriminator for each side.

    The order is the original's. First the generators, with the discriminators held still; then the
    discriminators, on real images and on translations out of the pools, which the generators made before
    their update. Two batches for one network go through it together: every layer looks at each image by
    itself, so that the losses are the same, and small images do not leave the device waiting.

    Args:
        recipe: sizes, weights and rates.
        device: where to train.
    """

    def __init__(self, recipe: Recipe, device: torch.device | None = None) -> None:
        updates = recipe.updates
        self.recipe = recipe
        self.device = device or torch.device("cpu")
        self.precision: Precision = choose_precision(
            self.device, "bfloat16" if updates.mixed_precision else "float32"
        )
        is_cuda = self.device.type == "cuda"
        self.memory_format = torch.channels_last if is_cuda else CycleGAN.cpu_memory_format

        self.networks = CycleGANNetworks(recipe.networks, recipe.seed)
        self.networks.to(device=self.device).to(memory_format=self.memory_format)
        self.averages = AveragedGenerators(self.networks, updates.ema) if updates.ema else None
        self.optimisers = {"G": self._optimiser(GENERATORS), "D": self._optimiser(DISCRIMINATORS)}
        # of fakes that D_A and D_B are shown
        self.pools = {
            name: ImagePool(updates.pool_size, recipe.seed + number)
            for number, name in enumerate(DISCRIMINATORS)
        }
        self._updates = 0
        self._adversarial, self._cycle, self._identity = LeastSquaresGANLoss(), CycleLoss(), IdentityLoss()
        self._supervised = nn.L1Loss()

    def update(self, batch: Batch, rate: float) -> Losses:
        """One update of all four networks, or, on pairs, of the generators alone."""
        updates = self.recipe.updates
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                # also the betas: a resumed training may have been given others
                group["lr"], group["betas"] = updates.learning_rate * rate, (updates.beta1, updates.beta2)
        pieces = batch.to(self.device, self.memory_format).pieces(updates.accumulate)
        losses = self._update_on_pairs(pieces) if batch.is_paired else self._update_unpaired(pieces)
        self._updates += 1
        if self.averages is not None:
            self.averages.follow(self.networks, self._updates)
        return losses

    @torch.no_grad()
    def sample(self, batch: Batch) -> list[Tensor]:
        """Columns of a picture, each (B, 3, H, W) in [-1, 1]: day, night made of it, day again, night, day
        made of it.
        """
        batch = batch.to(self.device, self.memory_format)
        to_night, to_day = (generator.translate for generator in self.generators())
        with self._autocast():
            fake_night = to_night(batch.day)
            return [batch.day, fake_night, to_day(fake_night), batch.night, to_day(batch.night)]

    def generators(self) -> list[CycleGAN]:
        """What is exported: day to night, night to day; averaged if the recipe averages."""
        networks = self.networks if self.averages is None else self.averages
        return [network for network in networks.values() if isinstance(network, CycleGAN)]

    def state_dict(self) -> dict[str, Any]:
        return {
            "updates": self._updates,
            "networks": self.networks.state_dict(),
            "averages": {} if self.averages is None else self.averages.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "pools": {name: pool.state_dict() for name, pool in self.pools.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises:
        CheckpointRejected: the state is of networks of other sizes; it names the keys that differ.
        """
        reject_other_architecture(self.networks.state_dict(), state["networks"])
        self._updates = state["updates"]
        self.networks.load_state_dict(state["networks"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name, pool in self.pools.items():
            pool.load_state_dict(state["pools"][name], self.device)
        if self.averages is not None:
            # averaging may begin in the middle
            generators = {key: tensor for key, tensor in state["networks"].items() if key.startswith("G_")}
            self.averages.load_state_dict(state["averages"] or generators)

    def _optimiser(self, names: Sequence[str]) -> torch.optim.Adam:
        updates = self.recipe.updates
        parameters = [parameter for name in names for parameter in self.networks[name].parameters()]
        betas = (updates.beta1, updates.beta2)
        return torch.optim.Adam(parameters, updates.learning_rate, betas, fused=True)

    def _update_unpaired(self, pieces: Sequence[Batch]) -> Losses:
        of_generators, fakes = [], []
        with self._held_still():
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
        return {**_mean(of_generators), **_mean(of_discriminators)}

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
        return losses, Batch(day=fake_day.detach().float(), night=fake_night.detach().float())

    def _weighted(self, losses: Losses) -> Tensor:
        cycle, identity = self.recipe.losses.cycle, self.recipe.losses.identity
        total = losses["G_A"] + losses["G_B"] + cycle * (losses["cycle_A"] + losses["cycle_B"])
        if identity > 0:
            # relative to the cycle, as in the paper's code
            total = total + identity * cycle * (losses["identity_A"] + losses["identity_B"])
        return total

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

    def _update_on_pairs(self, pieces: Sequence[Batch]) -> Losses:
        """Supervised: each generator is shown what it should make."""
        every = []
        for piece in pieces:
            with self._autocast():
                night = self.networks.translate("G_A", piece.day)
                day = self.networks.translate("G_B", piece.night)
                losses = {
                    "warm_A": self._supervised(night.float(), piece.night),
                    "warm_B": self._supervised(day.float(), piece.day),
                }
            self._backward(losses["warm_A"] + losses["warm_B"], len(pieces))
            every.append(losses)
        self._step("G")
        return _mean(every)

    def _passes(self, network: Callable[[Tensor], Tensor], batches: Sequence[Tensor]) -> Sequence[Tensor]:
        """Equally large batches through one network."""
        together = torch.cat(list(batches)).contiguous(memory_format=self.memory_format)
        return network(together).chunk(len(batches))

    def _translate(self, name: str) -> Callable[[Tensor], Tensor]:
        return lambda images: self.networks.translate(name, images)

    def _judge(self, name: str) -> Callable[[Tensor], Tensor]:
        return lambda images: self.networks.judge(name, images)

    def _backward(self, loss: Tensor, pieces: int) -> None:
        (loss / pieces).backward()  # type: ignore[no-untyped-call]

    def _step(self, side: str) -> None:
        self.optimisers[side].step()
        self.optimisers[side].zero_grad(set_to_none=True)

    @contextmanager
    def _held_still(self) -> Iterator[None]:
        """Gradients pass through the discriminators but do not stay there."""
        for name in DISCRIMINATORS:
            self.networks[name].requires_grad_(False)
        try:
            yield
        finally:
            for name in DISCRIMINATORS:
                self.networks[name].requires_grad_(True)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


def _mean(every: Sequence[Losses]) -> Losses:
    """The mean of each term over the pieces of a batch, without history."""
    return {term: torch.stack([losses[term].detach() for losses in every]).mean() for term in every[0]}
