"""The one training loop, for all papers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from models.training.errors import LossNotFinite
from models.training.recipe import Length

BatchType_contra = TypeVar("BatchType_contra", contravariant=True)
BatchType = TypeVar("BatchType")
Losses = Mapping[str, Tensor]


class TrainingStep(Protocol[BatchType_contra]):
    """Owns the networks, losses and optimisers of a paper, and does one update at a time."""

    def update(self, batch: BatchType_contra, rate: float) -> Losses:
        """One update of all networks, at `rate` times the learning rate; detached scalars by term."""

    def state_dict(self) -> dict[str, Any]:
        """All that the next update depends on beside its batch."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop tells the world: each is given the number of updates made so far."""

    log: Callable[[int, Mapping[str, float]], None]
    sample: Callable[[int], None]
    save: Callable[[int], None]
    should_stop: Callable[[], bool] = lambda: False


class LossWindow:
    """The losses since the last report. They stay on the device: reading each would make it wait."""

    def __init__(self) -> None:
        self._by_term: dict[str, list[tuple[int, Tensor]]] = {}

    def add(self, step: int, losses: Losses) -> None:
        for term, loss in losses.items():
            self._by_term.setdefault(term, []).append((step, loss))

    def check(self) -> None:
        """Raises:
        LossNotFinite: naming the first step that was not, and its terms.
        """
        bad = [
            (step, term)
            for term, values in self._stacked().items()
            for (step, _), is_finite in zip(self._by_term[term], values.isfinite().tolist(), strict=True)
            if not is_finite
        ]
        if bad:
            first = min(step for step, _ in bad)
            raise LossNotFinite(first, [term for step, term in bad if step == first])

    def take_means(self) -> dict[str, float]:
        """The mean of each term; the window is empty afterwards."""
        means = {term: float(values.mean()) for term, values in self._stacked().items()}
        self._by_term.clear()
        return means

    def _stacked(self) -> dict[str, Tensor]:
        return {term: torch.stack([loss for _, loss in each]) for term, each in self._by_term.items()}


def train(
    step: TrainingStep[BatchType],
    batches: Iterator[BatchType],
    length: Length,
    hooks: Hooks,
    steps_done: int = 0,
) -> int:
    """Updates until the last step, or until asked to stop, which is heard after every update.

    Args:
        batches: the first is that of the update after `steps_done`.

    Returns:
        How many updates were made, those before included. Unless an error was raised, that state was saved.

    Raises:
        LossNotFinite: before anything of the bad updates was saved.
    """
    schedule = length.schedule()
    window = LossWindow()
    for number in range(steps_done + 1, length.steps + 1):
        window.add(number, step.update(next(batches), schedule.factor(number - 1)))
        is_last = number == length.steps or hooks.should_stop()
        logs, samples, saves = (
            is_last or number % every == 0
            for every in (length.log_every, length.sample_every, length.save_every)
        )
        if logs or saves:
            window.check()
        if logs:
            hooks.log(number, window.take_means())
        if samples:
            hooks.sample(number)
        if saves:
            hooks.save(number)
        if is_last:
            return number
    return steps_done
