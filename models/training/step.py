"""What the training steps of all papers share: where and how to compute, and how gradients become weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from models.device import Precision, choose_precision
from models.generators.interface import Direction
from models.generators.network import NetworkGenerator
from models.losses.library import LOSSES, build_loss
from models.training.averages import AveragedNetworks
from models.training.checkpoint import reject_other_architecture
from models.training.data import Batch
from models.training.processes import ALONE, Team
from models.training.recipe import Recipe

Losses = dict[str, Tensor]
RecipeType = TypeVar("RecipeType", bound=Recipe)


class PaperStep(ABC, Generic[RecipeType]):
    """A paper's networks and their optimisers; `update` makes one step with them.

    A paper says in `_update` which losses it computes and in which order its networks are stepped; several
    passes may come together in one (`_passes`), as every layer looks at each image by itself.

    Args:
        recipe: sizes, weights and rates.
        networks: with first weights that follow from the recipe alone.
        optimised: which networks, or dotted parts of them, each optimiser steps; the one called "G" has the
            generators.
        generators: the network for each direction that is trained.
        device: where to train.
        team: the processes that train together.
        features: what perceptual losses look through.
    """

    def __init__(
        self,
        recipe: RecipeType,
        networks: nn.ModuleDict,
        optimised: Mapping[str, Sequence[str]],
        generators: Mapping[Direction, str],
        device: torch.device | None = None,
        team: Team = ALONE,
        features: nn.Module | None = None,
    ) -> None:
        updates = recipe.updates
        self.recipe = recipe
        self.device = device or torch.device("cpu")
        self.precision: Precision = choose_precision(
            self.device, "bfloat16" if updates.mixed_precision else "float32"
        )
        self._team = team
        self._generators = generators
        trained = {name: cast(NetworkGenerator, networks[name]) for name in generators.values()}
        is_cuda = self.device.type == "cuda"
        (cpu_memory_format,) = {network.cpu_memory_format for network in trained.values()}
        self.memory_format = torch.channels_last if is_cuda else cpu_memory_format
        self.networks = networks.to(device=self.device).to(memory_format=self.memory_format)
        self.averages = AveragedNetworks(trained, updates.ema) if updates.ema else None
        self.optimisers = {side: self._optimiser(names) for side, names in optimised.items()}
        self._updates = 0
        self._supervised = nn.L1Loss()
        self.features = None if features is None else features.to(self.device)
        self._extra = {
            name: build_loss(name, self.features).to(self.device)
            for name, weight in recipe.extra_losses.items()
            if weight
        }

    def update(self, batch: Batch, rate: float) -> Losses:
        """One update, of all networks or, on pairs, of the generators alone; the losses are those of the
        batches of all processes.
        """
        updates = self.recipe.updates
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                # not the rate alone: a resumed training may have been given others
                group["lr"], group["betas"] = updates.learning_rate * rate, (updates.beta1, updates.beta2)
                group["weight_decay"] = updates.weight_decay
        pieces = batch.to(self.device, self.memory_format).pieces(updates.accumulate)
        losses = self._update_on_pairs(pieces) if batch.is_paired else self._update(pieces)
        self._team.average(list(losses.values()))
        self._updates += 1
        if self.averages is not None:
            self.averages.follow(self.networks, self._updates)
        return losses

    @abstractmethod
    def _update(self, pieces: Sequence[Batch]) -> Losses:
        """One update of all networks on unpaired images; detached scalars, means over the pieces."""

    @abstractmethod
    def sample(self, batch: Batch) -> list[Tensor]:
        """Columns of a picture, each (B, 3, H, W) in [-1, 1]."""

    def generators(self) -> dict[Direction, NetworkGenerator]:
        """What is exported: averaged if the recipe averages."""
        networks = self.networks if self.averages is None else self.averages
        return {
            direction: cast(NetworkGenerator, networks[name]) for direction, name in self._generators.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Every process calls it; what the first gets is complete."""
        return {
            "updates": self._updates,
            "networks": self.networks.state_dict(),
            "averages": {} if self.averages is None else self.averages.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
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
        if self.averages is not None:
            # averaging may begin in the middle
            begin = {key: state["networks"][key] for key in self.averages.state_dict()}
            self.averages.load_state_dict(state["averages"] or begin)

    def _optimiser(self, names: Sequence[str]) -> torch.optim.Adam:
        updates = self.recipe.updates
        networks = [self.networks.get_submodule(name) for name in names]
        parameters = [parameter for network in networks for parameter in network.parameters()]
        betas, decay = (updates.beta1, updates.beta2), updates.weight_decay
        return torch.optim.Adam(parameters, updates.learning_rate, betas, weight_decay=decay, fused=True)

    def _update_on_pairs(self, pieces: Sequence[Batch]) -> Losses:
        """Supervised: each generator is shown what it should make."""
        every = []
        for piece in pieces:
            losses = {}
            for direction, name in self._generators.items():
                source, target = piece.towards(direction)
                with self._autocast():
                    translated = cast(NetworkGenerator, self.networks[name]).translate(source)
                losses[f"warm_{direction}"] = self._supervised(translated.float(), target)
                losses |= self._extra_losses(direction, translated, target)
            supervised = torch.stack([losses[f"warm_{direction}"] for direction in self._generators]).sum()
            self._backward(supervised + self._weighted_extra(losses), len(pieces))
            every.append(losses)
        self._step("G")
        return mean_losses(every)

    def _extra_losses(self, direction: Direction, translated: Tensor, reference: Tensor) -> Losses:
        """What the recipe asks for beside the paper's losses, of images in [-1, 1]."""
        shown = ((translated.float() + 1) / 2).clamp(0, 1)
        beside = (reference + 1) / 2
        return {
            f"{name}_{direction}": loss(shown, beside) if LOSSES[name].compares else loss(shown)
            for name, loss in self._extra.items()
        }

    def _weighted_extra(self, losses: Losses) -> Tensor:
        weights = self.recipe.extra_losses
        terms = [
            weights[name] * losses[term]
            for name in self._extra
            for direction in self._generators
            if (term := f"{name}_{direction}") in losses
        ]
        return torch.stack(terms).sum() if terms else torch.zeros((), device=self.device)

    def _passes(self, network: Callable[[Tensor], Tensor], batches: Sequence[Tensor]) -> Sequence[Tensor]:
        """Equally large batches through one network."""
        together = torch.cat(list(batches)).contiguous(memory_format=self.memory_format)
        return network(together).chunk(len(batches))

    def _backward(self, loss: Tensor, pieces: int) -> None:
        (loss / pieces).backward()  # type: ignore[no-untyped-call]

    def _step(self, side: str) -> None:
        """One step of an optimiser, by the gradients of all pieces and processes."""
        optimiser = self.optimisers[side]
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        self._team.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        if self.recipe.updates.clip_norm:
            nn.utils.clip_grad_norm_(parameters, self.recipe.updates.clip_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    @contextmanager
    def _shown(self) -> Iterator[dict[Direction, NetworkGenerator]]:
        """What would be exported, as it would translate: batch norms go by all that was seen so far."""
        generators = self.generators()
        for generator in generators.values():
            generator.eval()
        try:
            with torch.no_grad(), self._autocast():
                yield generators
        finally:
            for generator in generators.values():
                generator.train()

    @contextmanager
    def _held_still(self, *names: str) -> Iterator[None]:
        """Gradients pass through these networks but do not stay there."""
        for name in names:
            self.networks[name].requires_grad_(False)
        try:
            yield
        finally:
            for name in names:
                self.networks[name].requires_grad_(True)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


def mean_losses(every: Sequence[Losses]) -> Losses:
    """The mean of each term over the pieces of a batch, without history."""
    return {term: torch.stack([losses[term].detach() for losses in every]).mean() for term in every[0]}
