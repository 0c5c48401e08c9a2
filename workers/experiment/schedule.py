"""How long an arm trains and how fast it learns: the same for every arm unless asked otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A look at the validation frames costs about as much as a few steps.
STEPS_BETWEEN_LOOKS = 20
# As Ultralytics chooses where nothing is said: https://docs.ultralytics.com/usage/cfg/#train-settings
LONG_STEPS = 10_000
LONG_RATE = 0.01


@dataclass(frozen=True, slots=True)
class Schedule:
    """`steps` updates, looked at `epochs` times."""

    steps: int
    epochs: int
    batch: int
    optimizer: str
    learning_rate: float

    @property
    def images(self) -> int:
        """How often an image is shown."""
        return self.steps * self.batch


def schedule(training: Mapping[str, Any], baseline_frames: int, arm_frames: int, categories: int) -> Schedule:
    """An arm's schedule. With a budget of steps each arm takes those that the baseline needs for its epochs,
    however much data it has; with one of epochs each arm goes through its own frames so often.
    """
    if training["steps"]:
        return _of_steps(training, training["steps"], categories)
    frames = baseline_frames if training["budget"] == "steps" else arm_frames
    steps_per_epoch = -(-frames // training["batch"])
    return _schedule(training, training["epochs"], steps_per_epoch, categories)


def pretraining_schedule(training: Mapping[str, Any], categories: int) -> Schedule:
    return _of_steps(training, training["pretrain_steps"], categories)


def _of_steps(training: Mapping[str, Any], steps: int, categories: int) -> Schedule:
    epochs = max(1, min(training["epochs"], steps // STEPS_BETWEEN_LOOKS))
    return _schedule(training, epochs, -(-steps // epochs), categories)


def _schedule(training: Mapping[str, Any], epochs: int, steps_per_epoch: int, categories: int) -> Schedule:
    steps = epochs * steps_per_epoch
    is_long = steps > LONG_STEPS
    rate = LONG_RATE if is_long else round(0.002 * 5 / (4 + categories), 6)
    return Schedule(
        steps=steps,
        epochs=epochs,
        batch=training["batch"],
        optimizer="SGD" if is_long else "AdamW",
        learning_rate=training["learning_rate"] or rate,
    )
