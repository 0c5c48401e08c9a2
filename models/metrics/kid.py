"""Kernel inception distance: how far apart two sets of features lie, without a bias by their numbers.

Bińkowski et al., Demystifying MMD GANs (arXiv:1801.01401). torchmetrics' class draws random subsets and has
images go through its network, so it can neither give the same number twice nor take features of shards;
the formula is written out here and tested against it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics.frame import Doubles

FEWEST_FOR_KID = 10  # below, the standard error means nothing
MOST_FRAMES = 10_000  # a side, for the work grows with the square; leaves an error far below the sets' own
ROWS = 1024


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """`standard_error` takes frames for independent draws: those of one ride are not, so it is too small."""

    value: float
    standard_error: float


def kernel_distance(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> KernelDistance:
    """The unbiased squared MMD under the kernel (x·y / dim + 1)³, over all pairs; it may be below zero.

    The standard error is the jackknife's: by how much the distance changes without one frame.

    Args:
        ours, theirs: (N, dim) and (M, dim); at least 3 each. Of more than `MOST_FRAMES`, as many are taken,
            spread evenly.
    """
    x, y = _spread(ours), _spread(theirs)
    within_x, within_y = _kernel_sums(x, x) - _own_kernel(x), _kernel_sums(y, y) - _own_kernel(y)
    x_to_y, y_to_x = _kernel_sums(x, y), _kernel_sums(y, x)
    n, m = len(x), len(y)
    sum_x, sum_y, between = within_x.sum(), within_y.sum(), x_to_y.sum()
    pairs_x, pairs_y = n * (n - 1), m * (m - 1)
    value = sum_x / pairs_x + sum_y / pairs_y - 2 * between / (n * m)
    without_x = (
        (sum_x - 2 * within_x) / ((n - 1) * (n - 2))
        + sum_y / pairs_y
        - 2 * (between - x_to_y) / ((n - 1) * m)
    )
    without_y = (
        sum_x / pairs_x
        + (sum_y - 2 * within_y) / ((m - 1) * (m - 2))
        - 2 * (between - y_to_x) / (n * (m - 1))
    )
    variance = _jackknife_variance(without_x) + _jackknife_variance(without_y)
    return KernelDistance(float(value), float(np.sqrt(variance)))


def _spread(features: NDArray[np.floating]) -> Doubles:
    chosen = np.linspace(0, len(features) - 1, min(len(features), MOST_FRAMES)).round().astype(np.int64)
    return features[chosen].astype(np.float64)


def _kernel_sums(x: Doubles, y: Doubles) -> Doubles:
    """For each row of x the sum of its kernels to all rows of y, (N,); some at a time, to save memory."""
    dim = x.shape[1]
    parts = [((x[top : top + ROWS] @ y.T / dim + 1) ** 3).sum(axis=1) for top in range(0, len(x), ROWS)]
    return np.concatenate(parts)


def _own_kernel(x: Doubles) -> Doubles:
    return np.asarray((np.square(x).mean(axis=1) + 1) ** 3)


def _jackknife_variance(values: Doubles) -> float:
    return float((len(values) - 1) * np.var(values))
