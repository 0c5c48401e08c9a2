"""What is read off a bootstrap: differences between arms, and the gap that an arm closes, with intervals."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.detection.boxes import Doubles

NORMAL_QUANTILE = 1.96
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two arms' means over seeds. `interval`: the middle 95 % of the resamples; `sd`: their spread.

    `sd_units`: how much of the spread is the test set's, with the seeds as they are. `sd_seeds`: how much is
    the seeds', the standard error of the mean of their differences; None for a single seed.
    """

    value: float
    interval: Interval
    sd: float
    sd_units: float
    sd_seeds: float | None

    @property
    def is_shown(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.interval[0] > 0 or self.interval[1] < 0

    def to_json(self) -> dict[str, Any]:
        return {
            "difference": self.value,
            "interval": list(self.interval),
            "sd": self.sd,
            "sd_units": self.sd_units,
            "sd_seeds": self.sd_seeds,
        }


@dataclass(frozen=True, slots=True)
class GapClosed:
    """(arm - baseline) / (upper bound - baseline): 0 as good as the baseline, 1 as the upper bound.

    `value` and `interval` are None if the upper bound is no better than the baseline: there is no gap.
    `skipped`: resamples without a gap, which the interval leaves out; many of them make it too narrow.
    """

    value: float | None
    interval: Interval | None
    skipped: int

    def to_json(self) -> dict[str, Any]:
        interval = None if self.interval is None else list(self.interval)
        return {"value": self.value, "interval": interval, "skipped": self.skipped}


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """One score of every arm.

    `point`: (arms, seeds), on the test set as it is. `of_units`: (B, arms), of each resample of the test set,
    as the mean over all seeds. `values`: (B, arms), with the seeds drawn as well. NaN in a resample without a
    box.
    """

    point: Doubles
    of_units: Doubles
    values: Doubles

    def difference(self, arm: int, baseline: int) -> Difference:
        by_seed = self.point[arm] - self.point[baseline]
        values = _valid(self.values[:, arm] - self.values[:, baseline])
        of_units = _valid(self.of_units[:, arm] - self.of_units[:, baseline])
        seeds = len(by_seed)
        return Difference(
            float(by_seed.mean()),
            _middle(values),
            float(values.std()),
            float(of_units.std()),
            float(by_seed.std(ddof=1) / math.sqrt(seeds)) if seeds > 1 else None,
        )

    def gap_closed(self, arm: int, baseline: int, upper_bound: int) -> GapClosed:
        def gap(of: int) -> Doubles:
            return np.asarray(self.values[:, of] - self.values[:, baseline])

        mean = self.point.mean(axis=1)
        has_gap = gap(upper_bound) > 0
        skipped = int((~has_gap).sum())
        if mean[upper_bound] <= mean[baseline]:
            return GapClosed(None, None, skipped)
        ratios = gap(arm)[has_gap] / gap(upper_bound)[has_gap]
        value = (mean[arm] - mean[baseline]) / (mean[upper_bound] - mean[baseline])
        return GapClosed(float(value), _middle(ratios) if len(ratios) else None, skipped)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """`units`, `seeds`: how many there are to draw from."""

    map50: Resamples
    map50_95: Resamples
    units: int
    seeds: int


def needed(count: int, difference: float, sd: float, remaining_sd: float = 0.0) -> int | None:
    """How many units (or seeds) would show this difference, were it real: a rough guess, by the normal.

    The variance `sd`² falls in proportion to their number, until 1.96 standard deviations are no more than
    the difference. It is for planning: with so many, a real difference of this size is missed half the time.

    Args:
        count: how many there were.
        sd: that part of the difference's standard deviation which more of them lessen.
        remaining_sd: the part that stays: that of the seeds when asking for units, of the units for seeds.

    Returns:
        None if no number is enough: nothing differs, or what remains is too much by itself.
    """
    allowed = (abs(difference) / NORMAL_QUANTILE) ** 2 - remaining_sd**2
    if difference == 0 or allowed <= 0:
        return None
    return max(1, math.ceil(count * sd**2 / allowed))


def _middle(values: Doubles) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _valid(values: Doubles) -> Doubles:
    return values[~np.isnan(values)]
