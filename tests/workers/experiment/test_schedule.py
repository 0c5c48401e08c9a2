"""How long arms train."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workers.experiment.schedule import pretraining_schedule, schedule

TRAINING: dict[str, Any] = {
    "steps": 0, "epochs": 10, "batch": 16, "budget": "steps", "pretrain_steps": 0, "learning_rate": None,
}  # fmt: skip


@given(arm=st.integers(1, 10_000), steps=st.integers(0, 5000), epochs=st.integers(1, 300))
def test_every_arm_takes_the_same_steps_however_much_data_it_has(arm: int, steps: int, epochs: int) -> None:
    training = {**TRAINING, "steps": steps, "epochs": epochs}
    baseline = schedule(training, 500, 500, 8)
    assert schedule(training, 500, arm, 8) == baseline
    assert baseline.steps >= max(steps, 1)
    assert baseline.steps % baseline.epochs == 0
    assert baseline.epochs <= epochs


def test_steps_follow_from_the_epochs_of_the_baseline() -> None:
    assert schedule(TRAINING, 100, 900, 8).steps == 10 * 7


def test_a_budget_of_epochs_gives_more_data_more_steps() -> None:
    training = {**TRAINING, "budget": "epochs"}
    assert schedule(training, 100, 900, 8).steps == 10 * 57


def test_given_steps_are_looked_at_every_twenty_at_most() -> None:
    plan = schedule({**TRAINING, "steps": 100, "epochs": 100}, 50, 50, 8)
    assert (plan.steps, plan.epochs) == (100, 5)


def test_the_pretraining_has_steps_of_its_own() -> None:
    plan = pretraining_schedule({**TRAINING, "pretrain_steps": 300}, 8)
    assert (plan.steps, plan.epochs, plan.images) == (300, 10, 4800)


def test_the_learning_rate_is_the_users_or_follows_from_length_and_categories() -> None:
    assert schedule({**TRAINING, "learning_rate": 0.5}, 9, 9, 8).learning_rate == 0.5
    short, long = schedule(TRAINING, 9, 9, 1), schedule({**TRAINING, "steps": 20_000}, 9, 9, 1)
    assert (short.optimizer, short.learning_rate) == ("AdamW", 0.002)
    assert (long.optimizer, long.learning_rate) == ("SGD", 0.01)
