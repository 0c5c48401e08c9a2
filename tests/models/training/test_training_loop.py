from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from models.training.errors import LossNotFinite
from models.training.loop import Hooks, train
from models.training.recipe import Length

LENGTH = Length(steps=10, log_every=2, sample_every=5, save_every=4)


class Counting:
    """A training step without networks: the loss is the number of the batch."""

    def __init__(self, bad: Mapping[int, str] | None = None) -> None:
        self.bad = bad or {}
        self.rates: list[float] = []

    def update(self, batch: int, rate: float) -> dict[str, Tensor]:
        self.rates.append(rate)
        losses = {"G": torch.tensor(float(batch)), "D": torch.tensor(1.0)}
        if batch in self.bad:
            losses[self.bad[batch]] = torch.tensor(float("inf" if batch % 2 else "nan"))
        return losses

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Recorder:
    def __init__(self, stop_at: int = 0) -> None:
        self.stop_at = stop_at
        self.heard: list[tuple[str, int]] = []
        self.means: dict[int, Mapping[str, float]] = {}
        self.updates = 0

    def hooks(self) -> Hooks:
        return Hooks(
            self._log,
            lambda n: self.heard.append(("sample", n)),
            lambda n: self.heard.append(("save", n)),
            self._stop,
        )

    def _log(self, number: int, losses: Mapping[str, float]) -> None:
        self.heard.append(("log", number))
        self.means[number] = losses

    def _stop(self) -> bool:
        self.updates += 1
        return self.updates == self.stop_at


def test_hooks_are_called_when_due_and_all_at_the_end() -> None:
    recorder = Recorder()
    assert train(Counting(), count(1), LENGTH, recorder.hooks()) == 10
    assert recorder.heard == [
        ("log", 2), ("log", 4), ("save", 4), ("sample", 5), ("log", 6), ("log", 8), ("save", 8),
        ("log", 10), ("sample", 10), ("save", 10),
    ]  # fmt: skip


def test_losses_are_averaged_since_the_last_report() -> None:
    recorder = Recorder()
    train(Counting(), count(1), LENGTH, recorder.hooks())
    assert recorder.means[2] == {"G": 1.5, "D": 1.0}
    assert recorder.means[10]["G"] == 9.5


def test_learning_rate_follows_the_schedule_also_after_a_resumption() -> None:
    whole, resumed = Counting(), Counting()
    train(whole, count(1), LENGTH, Recorder().hooks())
    assert whole.rates == [LENGTH.schedule().factor(step) for step in range(10)]
    assert train(resumed, count(7), LENGTH, Recorder().hooks(), steps_done=6) == 10
    assert resumed.rates == whole.rates[6:]


def test_a_stop_is_heard_after_the_update_and_saved() -> None:
    recorder = Recorder(stop_at=3)
    assert train(Counting(), count(1), LENGTH, recorder.hooks()) == 3
    assert recorder.heard == [("log", 2), ("log", 3), ("sample", 3), ("save", 3)]


def test_nothing_is_left_to_do_after_the_last_step() -> None:
    recorder = Recorder()
    assert train(Counting(), count(1), LENGTH, recorder.hooks(), steps_done=10) == 10
    assert recorder.heard == []


@pytest.mark.parametrize(
    ("bad", "length", "step", "saved"),
    [
        ({6: "D"}, LENGTH, 6, [4]),
        ({5: "G", 6: "D"}, LENGTH, 5, [4]),
        # due to be saved, though not to be logged
        ({4: "G"}, Length(steps=10, log_every=100, save_every=4), 4, []),
    ],
)
def test_a_loss_that_is_not_finite_stops_before_anything_is_saved(
    bad: dict[int, str], length: Length, step: int, saved: list[int]
) -> None:
    recorder = Recorder()
    with pytest.raises(LossNotFinite, match=f"Not finite at step {step}: {bad[step]}") as caught:
        train(Counting(bad), count(1), length, recorder.hooks())
    assert caught.value.step == step
    assert caught.value.terms == (bad[step],)
    assert [number for what, number in recorder.heard if what == "save"] == saved
