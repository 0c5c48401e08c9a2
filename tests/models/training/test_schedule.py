from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.recipe import Length
from models.training.schedule import Halved, LinearDecay


def original_factor(epoch: int, n_epochs: int, n_epochs_decay: int) -> float:
    """`lambda_rule` of pytorch-CycleGAN-and-pix2pix, epoch from 0, epoch_count 1."""
    return 1.0 - max(0, epoch + 1 - n_epochs) / float(n_epochs_decay + 1)


def test_the_original_formula_with_one_step_an_epoch() -> None:
    schedule = LinearDecay(100, 100)
    assert [schedule.factor(epoch) for epoch in range(200)] == [
        original_factor(e, 100, 100) for e in range(200)
    ]


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (99, 1.0), (100, 1 - 1 / 101), (199, 1 / 101)])
def test_worked_values(step: int, factor: float) -> None:
    assert LinearDecay(100, 100).factor(step) == pytest.approx(factor)


@given(constant=st.integers(0, 500), decay=st.integers(0, 500))
def test_never_rises_never_stops_and_is_constant_first(constant: int, decay: int) -> None:
    factors = [LinearDecay(constant, decay).factor(step) for step in range(constant + decay)]
    assert all(0 < later <= earlier for earlier, later in pairwise(factors))
    assert factors[:constant] == [1.0] * constant


@given(steps=st.integers(1, 10_000), share=st.floats(0, 1))
def test_a_recipe_s_share_of_constant_steps(steps: int, share: float) -> None:
    schedule = Length(steps=steps, constant_share=share).schedule()
    assert isinstance(schedule, LinearDecay)
    assert schedule.steps == steps
    assert abs(schedule.constant_steps - share * steps) <= 0.5


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (799, 1.0), (800, 0.5), (999, 0.5), (5000, 0.5)])
def test_halved_once_and_for_good(step: int, factor: float) -> None:
    """KinD restores 1000 epochs, the last 200 of them at half the rate."""
    assert Halved(800).factor(step) == factor


@given(steps=st.integers(1, 10_000), share=st.floats(0, 1))
def test_a_recipe_says_how_the_rate_ends(steps: int, share: float) -> None:
    length = Length(steps=steps, constant_share=share, decay="halved")
    schedule = length.schedule()
    assert isinstance(schedule, Halved)
    assert abs(schedule.constant_steps - share * steps) <= 0.5
    factors = [schedule.factor(step) for step in (0, schedule.constant_steps, steps)]
    assert factors[0] == (1.0 if schedule.constant_steps else 0.5)
    assert factors[1:] == [0.5, 0.5]


@pytest.mark.parametrize("decay", ["linear", "halved"])
def test_a_rate_that_is_constant_throughout(decay: Literal["linear", "halved"]) -> None:
    schedule = Length(steps=100, constant_share=1.0, decay=decay).schedule()
    assert {schedule.factor(step) for step in range(100)} == {1.0}
