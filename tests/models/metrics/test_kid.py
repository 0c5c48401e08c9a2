import warnings

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import KernelInceptionDistance

from models.metrics import kid
from models.metrics.frame import Doubles
from models.metrics.kid import kernel_distance


def drawn(count: int, dim: int = 6, shift: float = 0.0, seed: int = 0) -> Doubles:
    return np.random.default_rng(seed).normal(size=(count, dim)) + shift


def kernel(a: Doubles, b: Doubles) -> float:
    return float((a @ b / len(a) + 1) ** 3)


def by_the_book(x: Doubles, y: Doubles) -> float:
    """The unbiased estimate, pair by pair."""
    within = [
        np.mean([kernel(a, b) for i, a in enumerate(side) for j, b in enumerate(side) if i != j])
        for side in (x, y)
    ]
    return float(sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y]))


def test_three_points_a_side_worked_by_hand() -> None:
    # one feature: k(a, b) = (ab + 1)³; all x are 1, all y are 0
    x, y = np.ones((3, 1)), np.zeros((3, 1))
    # within x 8, within y 1, between 1
    distance = kernel_distance(x, y)
    assert distance.value == pytest.approx(8 + 1 - 2)
    assert distance.standard_error == pytest.approx(0)


def test_value_is_the_mean_over_all_pairs() -> None:
    x, y = drawn(7), drawn(9, shift=0.5, seed=1)
    assert kernel_distance(x, y).value == pytest.approx(by_the_book(x, y))


def test_standard_error_is_the_jackknife_of_leaving_out_each_frame() -> None:
    x, y = drawn(6), drawn(8, shift=0.5, seed=1)
    without_x = [by_the_book(np.delete(x, i, axis=0), y) for i in range(6)]
    without_y = [by_the_book(x, np.delete(y, j, axis=0)) for j in range(8)]
    expected = np.sqrt(5 * np.var(without_x) + 7 * np.var(without_y))
    assert kernel_distance(x, y).standard_error == pytest.approx(expected)


def test_standard_error_is_how_much_the_value_varies_from_draw_to_draw() -> None:
    draws = [
        kernel_distance(drawn(80, seed=seed), drawn(80, shift=0.4, seed=seed + 999)) for seed in range(200)
    ]
    spread = np.std([draw.value for draw in draws])
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(spread, rel=0.15)


def test_sides_may_be_swapped() -> None:
    x, y = drawn(30), drawn(40, shift=0.3, seed=1)
    assert kernel_distance(x, y).value == pytest.approx(kernel_distance(y, x).value)


def test_it_is_unbiased_so_equal_distributions_are_around_zero() -> None:
    values = [kernel_distance(drawn(20, seed=seed), drawn(20, seed=seed + 999)).value for seed in range(300)]
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(300))
    assert min(values) < 0


def test_it_agrees_with_torchmetrics_where_a_subset_is_everything() -> None:
    x, y = drawn(50, dim=16), drawn(50, dim=16, shift=0.2, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=1, subset_size=50)
    oracle.set_dtype(torch.float64)
    oracle.update(torch.from_numpy(x), real=True)
    oracle.update(torch.from_numpy(y), real=False)
    assert kernel_distance(x, y).value == pytest.approx(oracle.compute()[0].item(), rel=1e-6)


def test_rows_taken_some_at_a_time_add_up_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = drawn(30), drawn(25, seed=1)
    whole = kernel_distance(x, y).value
    monkeypatch.setattr(kid, "ROWS", 7)
    assert kernel_distance(x, y).value == pytest.approx(whole)


def test_of_too_many_frames_as_many_as_allowed_are_taken_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = drawn(21), drawn(8, seed=1)
    monkeypatch.setattr(kid, "MOST_FRAMES", 11)
    assert kernel_distance(x, y) == kernel_distance(x[::2], y)
