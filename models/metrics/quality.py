"""The figures of a set, from the rows of its frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.metrics.fid import fewest_for_fid, frechet_distance
from models.metrics.frame import BRIGHTNESS_BINS
from models.metrics.kid import FEWEST_FOR_KID, kernel_distance
from models.metrics.measurements import Measurements

BIN_LEVELS = 256 // BRIGHTNESS_BINS
NOISE_BIN_LEVELS = 0.5
NOISE_BINS = 41  # the last one for all that is above 20 levels
NIGHT_FROM = 0.5
Features = NDArray[np.floating[Any]]
NO_FRAMES = "there are no frames"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, or why there is none. `standard_error`: where the number has one."""

    value: float | None
    standard_error: float | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        given = {"value": self.value, "standard_error": self.standard_error, "reason": self.reason}
        return {key: value for key, value in given.items() if value is not None or key == "value"}


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram of equal bins from 0 on, in levels of 255, as shares; all None and empty without frames.

    Percentiles of brightness are interpolated within bins of 4 levels, those of noise are exact.
    """

    bin_levels: float
    shares: tuple[float, ...]
    p5: float | None
    median: float | None
    p95: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "bin_levels": self.bin_levels,
            "shares": list(self.shares),
            "p5": self.p5,
            "median": self.median,
            "p95": self.p95,
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """What a report says of a set of frames.

    `kid`, `fid`: distance to the reference on the backbone's features; 0 is the same distribution.
    `niqe`: mean over the frames; lower is more like pristine night frames.
    `share_night`: of the frames that the bundled classifier calls night.
    `gradient_similarity_inside`: mean over `boxes` boxes; `…_outside`: mean over frames. Both to the source.
    `brightness`: of the frames' pixels, each frame weighing as many as it has.
    `noise`: of the frames.
    """

    frames: int
    backbone: str
    backbone_sha256: str
    reference: str | None
    reference_frames: int | None
    kid: Figure
    fid: Figure
    niqe: Figure
    share_night: Figure
    gradient_similarity_inside: Figure
    gradient_similarity_outside: Figure
    boxes: int
    brightness: Distribution
    noise: Distribution

    def to_json(self) -> dict[str, Any]:
        """Numbers, strings, None, lists and dicts only; no NaN."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: value.to_json() if isinstance(value, Figure | Distribution) else value
            for name, value in values.items()
        }


def quality(measurements: Measurements, reference: Measurements | None = None) -> Quality:
    """The figures of a set; a figure that cannot be given is None, with the reason.

    Args:
        reference: real night frames, measured with the same yardstick.
    """
    columns = measurements.columns()
    boxes = int(columns["boxes"].sum())
    kid, fid = _distances(measurements, reference)
    return Quality(
        frames=len(measurements),
        backbone=measurements.yardstick.backbone,
        backbone_sha256=measurements.yardstick.backbone_sha256,
        reference=None if reference is None else reference.name,
        reference_frames=None if reference is None else len(reference),
        kid=kid,
        fid=fid,
        niqe=_mean(columns["niqe"], "no frame holds two patches of 96 px with any texture"),
        share_night=_mean((columns["night"] >= NIGHT_FROM).astype(np.float64), NO_FRAMES),
        gradient_similarity_inside=(
            Figure(float(columns["similarity_inside"].sum()) / boxes)
            if boxes
            else Figure(None, reason="no boxes, or no source frames to compare with")
        ),
        gradient_similarity_outside=_mean(columns["similarity_outside"], "no source frames to compare with"),
        boxes=boxes,
        brightness=_brightness(columns["brightness"]),
        noise=_noise(columns["noise"]),
    )


def _distances(measurements: Measurements, reference: Measurements | None) -> tuple[Figure, Figure]:
    """KID and FID."""
    reason = _incomparable(measurements, reference)
    if reference is None or reason:
        return Figure(None, reason=reason), Figure(None, reason=reason)
    ours, theirs = measurements.columns()["features"], reference.columns()["features"]
    return _kid(ours, theirs), _fid(ours, theirs)


def _kid(ours: Features, theirs: Features) -> Figure:
    fewest = min(len(ours), len(theirs))
    if fewest < FEWEST_FOR_KID:
        return _too_few(FEWEST_FOR_KID, fewest)
    distance = kernel_distance(ours, theirs)
    return Figure(distance.value, distance.standard_error)


def _fid(ours: Features, theirs: Features) -> Figure:
    fewest, needed = min(len(ours), len(theirs)), fewest_for_fid(ours.shape[1])
    return Figure(frechet_distance(ours, theirs)) if fewest >= needed else _too_few(needed, fewest)


def _incomparable(measurements: Measurements, reference: Measurements | None) -> str | None:
    if reference is None:
        return "no reference was given"
    ours, theirs = measurements.yardstick, reference.yardstick
    if ours.backbone_sha256 != theirs.backbone_sha256:
        return f"features are of {ours.backbone!r}, those of the reference of {theirs.backbone!r}"
    return None


def _too_few(needed: int, found: int) -> Figure:
    return Figure(None, reason=f"needs at least {needed} frames a side, got {found}")


def _mean(values: NDArray[np.float64], reason: str) -> Figure:
    """Of the values there are: missing ones are NaN."""
    found = values[~np.isnan(values)]
    return Figure(float(found.mean())) if len(found) else Figure(None, reason=reason)


def _brightness(histograms: NDArray[np.uint32]) -> Distribution:
    """(N, 64) counts."""
    counts = histograms.sum(axis=0, dtype=np.int64)
    total = int(counts.sum())
    if not total:
        return Distribution(BIN_LEVELS, (), None, None, None)
    edges = np.arange(BRIGHTNESS_BINS + 1) * BIN_LEVELS
    below = np.concatenate(([0], np.cumsum(counts))) / total
    p5, median, p95 = (_quantile(share, below, edges) for share in (0.05, 0.5, 0.95))
    return Distribution(BIN_LEVELS, tuple((counts / total).tolist()), p5, median, p95)


def _quantile(share: float, below: NDArray[np.float64], edges: NDArray[np.int64]) -> float:
    """Within the bin that reaches the share, as if its pixels were spread evenly."""
    bin_number = int(np.searchsorted(below, share)) - 1
    inside = (share - below[bin_number]) / (below[bin_number + 1] - below[bin_number])
    return float(edges[bin_number] + inside * (edges[bin_number + 1] - edges[bin_number]))


def _noise(levels: NDArray[np.float64]) -> Distribution:
    if not len(levels):
        return Distribution(NOISE_BIN_LEVELS, (), None, None, None)
    bins = np.minimum(levels / NOISE_BIN_LEVELS, NOISE_BINS - 1).astype(np.int64)
    shares = np.bincount(bins, minlength=NOISE_BINS) / len(levels)
    p5, median, p95 = (float(value) for value in np.percentile(levels, (5, 50, 95)))
    return Distribution(NOISE_BIN_LEVELS, tuple(shares.tolist()), p5, median, p95)
