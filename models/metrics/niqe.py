"""Natural image quality evaluator: how far a frame's local statistics lie from those of pristine frames.

Mittal, Soundararajan, Bovik, Making a "completely blind" image quality analyzer (IEEE SPL 2013). As in the
authors' MATLAB code: luma in levels of 255, double precision, the half scale by an antialiased bicubic with
mirrored borders, gradients of neighbours around each patch's own borders, and a table of shapes.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from models.metrics.errors import MeasurementsRejected
from models.metrics.frame import Doubles, Image

PATCH_PX = 96
FEATURES = 36  # 18 a scale
SHARPEST = 0.75  # of the sharpest patch: from here on a patch is fit for the pristine model
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows, columns: across, down and the two diagonals
REACH_PX = 3  # of the window: it is 7x7 px, with a sigma of 7/6
_WINDOW = np.exp(-0.5 * (np.arange(REACH_PX + 1) * 6 / 7) ** 2)  # of 0, 1, 2, 3 px away
_WINDOW /= _WINDOW[0] + 2 * _WINDOW[1:].sum()
_CUBIC_HALF = np.array((-0.01171875, -0.03515625, 0.11328125, 0.43359375))  # of 3.5, 2.5, 1.5, 0.5 px away


@dataclass(frozen=True, slots=True)
class Patches:
    """Features (P, 36) and sharpness (P,) of a frame's patches; NaN features where a patch has no texture."""

    features: Doubles
    sharpness: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class NiqeModel:
    """What pristine patches are like: a Gaussian of `mean` (36,) and `covariance` (36, 36)."""

    mean: Doubles
    covariance: Doubles

    def __post_init__(self) -> None:
        if self.mean.shape != (FEATURES,) or self.covariance.shape != (FEATURES, FEATURES):
            raise ValueError(f"expected 36 features, got {self.mean.shape}, {self.covariance.shape}")

    @classmethod
    def fit(cls, frames: Iterable[Image]) -> "NiqeModel":
        """To the sharp patches of pristine frames.

        Args:
            frames: luma, uint8, (H, W); those too small for a patch are passed over.

        Raises:
            MeasurementsRejected: there are fewer patches than a covariance of 36 features needs.
        """
        chosen = [patches.features[_is_sharp(patches)] for patches in map(patches_of, frames)]
        features = np.concatenate([np.empty((0, FEATURES)), *chosen])
        features = features[np.isfinite(features).all(axis=1)]
        if len(features) <= FEATURES:
            raise MeasurementsRejected(
                f"NIQE needs more than {FEATURES} sharp patches of 96 px, the frames hold {len(features)}.",
                "Use more or larger frames.",
            )
        return cls(features.mean(axis=0), np.cov(features.T))

    @property
    def sha256(self) -> str:
        """Of the file that `to_bytes` makes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        return safetensors.numpy.save({"mean": self.mean, "covariance": self.covariance})

    @classmethod
    def from_bytes(cls, content: bytes) -> "NiqeModel":
        """What `to_bytes` wrote."""
        return cls(**safetensors.numpy.load(content))

    def score(self, luma: Image) -> float:
        """The distance of a frame, 0 and up; published models find 2 to 6 for natural images.

        NaN if there are not two patches with texture.

        Args:
            luma: uint8, (H, W).
        """
        features = patches_of(luma).features
        features = features[np.isfinite(features).all(axis=1)]
        if len(features) < 2:
            return math.nan
        return gaussian_distance(self.mean, self.covariance, features.mean(axis=0), np.cov(features.T))


def gaussian_distance(mean: Doubles, covariance: Doubles, other_mean: Doubles, other: Doubles) -> float:
    """√((μ₁ - μ₂)ᵀ ((Σ₁ + Σ₂) / 2)⁺ (μ₁ - μ₂))."""
    difference = mean - other_mean
    squared = float(difference @ np.linalg.pinv((covariance + other) / 2) @ difference)
    return math.sqrt(max(0.0, squared))


def patches_of(luma: Image) -> Patches:
    """The patches of 96x96 px side by side from the top left, row by row; what is left over is cut off."""
    rows, columns = (side // PATCH_PX for side in luma.shape)
    if not rows or not columns:
        return Patches(np.empty((0, FEATURES)), np.empty(0))
    whole = luma[: rows * PATCH_PX, : columns * PATCH_PX].astype(np.float64)
    features, sharpness = _measure_scale(whole, PATCH_PX)
    half_features, _ = _measure_scale(half_scale(whole), PATCH_PX // 2)
    return Patches(np.concatenate([features, half_features], axis=1), sharpness)


def _measure_scale(image: Doubles, patch_px: int) -> tuple[Doubles, Doubles]:
    """The 18 features of each patch at one scale, (P, 18), and its sharpness, (P,)."""
    padded = np.pad(image, REACH_PX, mode="edge")
    features, sharpness = [], []
    # One row of patches at a time: what lies between stays in the cache, measured three times as fast.
    for top in range(0, len(image), patch_px):
        contrast, deviation = normalised_contrast(padded[top : top + patch_px + 2 * REACH_PX])
        features.append(scale_features(_blocks(contrast, patch_px)))
        sharpness.append(_blocks(deviation, patch_px).mean(axis=(1, 2)))
    return np.concatenate(features), np.concatenate(sharpness)


def normalised_contrast(padded: Doubles) -> tuple[Doubles, Doubles]:
    """Mean-subtracted, contrast-normalised coefficients (MSCN), and the local standard deviation.

    Args:
        padded: (H + 6, W + 6); both results are (H, W).
    """
    image = padded[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    mean = gaussian_blur(padded)
    deviation = np.sqrt(np.abs(gaussian_blur(padded * padded) - mean * mean))
    return (image - mean) / (deviation + 1), deviation


def half_scale(image: Doubles) -> Doubles:
    """MATLAB's imresize(image, 0.5), for even sides: the cubic kernel stretched to 8 px, borders mirrored."""
    return _half_rows(_half_rows(image).T).T


def scale_features(blocks: Doubles) -> Doubles:
    """The 18 features of each patch of MSCN coefficients: (P, h, w) -> (P, 18)."""
    shape, left, right = asymmetric_gaussians(blocks)
    columns = [shape, (left + right) / 2]
    for shift in NEIGHBOURS:
        shape, left, right = asymmetric_gaussians(blocks * np.roll(blocks, shift, axis=(1, 2)))
        columns += [shape, (right - left) * _gamma_ratio(2 / shape, 1 / shape), left, right]
    return np.stack(columns, axis=1)


def asymmetric_gaussians(blocks: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Fits an asymmetric generalised Gaussian to the values of each patch by their moments.

    Lasmar, Stitou, Berthoumieu, Multiscale skewed heavy tailed model for texture analysis (ICIP 2009).

    Args:
        blocks: (P, h, w).

    Returns:
        Shape, left and right scale, (P,) each; NaN for a patch without values on both sides of zero.
    """
    values = blocks.reshape(len(blocks), -1)
    below = np.minimum(values, 0)
    squares, squares_below = _dot(values, values), _dot(below, below)
    counts = np.stack([np.count_nonzero(side, axis=1) for side in (below, values)])
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt(squares_below / counts[0])
        right = np.sqrt((squares - squares_below) / (counts[1] - counts[0]))
        ratio = left / right
        flatness = (values.sum(axis=1) - 2 * below.sum(axis=1)) ** 2 / (squares * values.shape[1])
        shape = _shapes(flatness * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2)
    spread = np.sqrt(_gamma_ratio(1 / shape, 3 / shape))
    return shape, left * spread, right * spread


@cache
def _table() -> tuple[Doubles, Doubles]:
    """Shapes from 0.2 to 10 and for each the Γ(2/a)² / (Γ(1/a) Γ(3/a)) that a sample of it would show."""
    shapes = np.arange(200, 10_001) / 1000
    shown = [math.gamma(2 / a) ** 2 / (math.gamma(1 / a) * math.gamma(3 / a)) for a in shapes.tolist()]
    return shapes, np.array(shown)


def _shapes(shown: Doubles) -> Doubles:
    """The nearest shape in the table, which rises steadily."""
    shapes, table = _table()
    after = np.searchsorted((table[1:] + table[:-1]) / 2, shown)
    return np.where(np.isfinite(shown), shapes[after.clip(max=len(shapes) - 1)], np.nan)


def _gamma_ratio(numerator: Doubles, denominator: Doubles) -> Doubles:
    """Γ(numerator) / Γ(denominator) for a handful of values, which numpy does not offer."""
    pairs = zip(numerator.tolist(), denominator.tolist(), strict=True)
    return np.array([math.gamma(a) / math.gamma(b) for a, b in pairs])


def _is_sharp(patches: Patches) -> NDArray[np.bool_]:
    """Empty for a frame without patches."""
    return np.asarray(patches.sharpness > SHARPEST * patches.sharpness.max(initial=0))


def _dot(first: Doubles, second: Doubles) -> Doubles:
    """Row by row, (P,)."""
    return np.asarray(np.einsum("pi,pi->p", first, second))


def _blocks(image: Doubles, side_px: int) -> Doubles:
    """(H, W) -> (P, side, side)."""
    rows, columns = (side // side_px for side in image.shape)
    blocks = image.reshape(rows, side_px, columns, side_px).swapaxes(1, 2)
    return blocks.reshape(rows * columns, side_px, side_px)


def gaussian_blur(padded: Doubles) -> Doubles:
    """By a window of 7x7 px, sigma 7/6: (H + 6, W + 6) -> (H, W)."""
    height, width = (side - 2 * REACH_PX for side in padded.shape)
    down = _WINDOW[0] * padded[REACH_PX:][:height]
    for away in range(1, REACH_PX + 1):
        down += _WINDOW[away] * (padded[REACH_PX - away :][:height] + padded[REACH_PX + away :][:height])
    blurred = _WINDOW[0] * down[:, REACH_PX:][:, :width]
    for away in range(1, REACH_PX + 1):
        left, right = down[:, REACH_PX - away :], down[:, REACH_PX + away :]
        blurred += _WINDOW[away] * (left[:, :width] + right[:, :width])
    return np.asarray(blurred)


def _half_rows(image: Doubles) -> Doubles:
    """Every two rows become one, from the four on either side of the border between them."""
    padded = np.pad(image, ((3, 3), (0, 0)), mode="symmetric")
    count = len(image) // 2
    above = sum(weight * padded[tap::2][:count] for tap, weight in enumerate(_CUBIC_HALF))
    below = sum(weight * padded[7 - tap :: 2][:count] for tap, weight in enumerate(_CUBIC_HALF))
    return np.asarray(above + below)
