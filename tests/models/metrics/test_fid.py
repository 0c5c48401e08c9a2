import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from models.metrics.fid import fewest_for_fid, frechet_distance
from models.metrics.frame import Doubles


def drawn(count: int, dim: int = 6, scale: float = 1.0, seed: int = 0) -> Doubles:
    return scale * np.random.default_rng(seed).normal(size=(count, dim))


def test_one_feature_worked_by_hand() -> None:
    # means 1 and 4, variances 1 and 4: 9 + 1 + 4 - 2 √4
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[2.0], [4.0], [6.0]])
    assert frechet_distance(x, y) == pytest.approx(10)


def test_a_set_is_at_no_distance_from_itself_in_any_order() -> None:
    x = drawn(40)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-10)


def test_sides_may_be_swapped() -> None:
    x, y = drawn(40), drawn(60, scale=1.5, seed=1)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x))


def test_a_shift_adds_its_square() -> None:
    x = drawn(40)
    assert frechet_distance(x, x + np.array([3, 4, 0, 0, 0, 0])) == pytest.approx(25)


def test_turning_both_sets_changes_nothing() -> None:
    x, y = drawn(40), drawn(60, scale=1.5, seed=1)
    turn, _ = np.linalg.qr(drawn(6, seed=2))
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y))


class Given(torch.nn.Module):
    """Features are handed in as if they were images."""

    num_features = 6

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def test_it_agrees_with_torchmetrics() -> None:
    x, y = drawn(50), drawn(70, scale=1.3, seed=1) + 0.2
    oracle = FrechetInceptionDistance(feature=Given(), normalize=True)
    oracle.set_dtype(torch.float64)
    oracle.update(torch.from_numpy(x), real=True)
    oracle.update(torch.from_numpy(y), real=False)
    assert frechet_distance(x, y) == pytest.approx(oracle.compute().item(), rel=1e-6)


def test_it_holds_where_a_feature_never_varies() -> None:
    x, y = drawn(40), drawn(40, seed=1)
    x[:, 0] = y[:, 0] = 3
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(x[:, 1:], y[:, 1:]))


def test_it_asks_for_more_frames_than_features() -> None:
    assert fewest_for_fid(128) == 129
