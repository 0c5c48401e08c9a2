"""Fréchet inception distance: between two Gaussians fitted to two sets of features.

Heusel et al. (arXiv:1706.08500). torchmetrics' class has images go through its network and its sums depend
on the order of shards; the formula is written out here and tested against it.
"""

import numpy as np
from numpy.typing import NDArray

from models.metrics.frame import Doubles


def fewest_for_fid(dim: int) -> int:
    """With fewer the covariance is singular. Few frames make FID too large: compare equal numbers."""
    return dim + 1


def frechet_distance(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    """|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½), in the features' squared units.

    Args:
        ours, theirs: (N, dim) and (M, dim).
    """
    x, y = ours.astype(np.float64), theirs.astype(np.float64)
    difference = x.mean(axis=0) - y.mean(axis=0)
    covariance_x, covariance_y = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    # Σ₁ Σ₂ has the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric: they are real, and found without loss.
    root = _square_root(covariance_x)
    shared = np.linalg.eigvalsh(root @ covariance_y @ root)
    trace_of_root = np.sqrt(shared.clip(min=0)).sum()
    distance = difference @ difference + covariance_x.trace() + covariance_y.trace() - 2 * trace_of_root
    return max(0.0, float(distance))


def _square_root(covariance: Doubles) -> Doubles:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(values.clip(min=0))) @ vectors.T)
