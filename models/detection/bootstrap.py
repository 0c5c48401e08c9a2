"""How far a difference between arms could be chance: a paired bootstrap over the test set and the seeds.

A *unit* is what was drawn independently into the test set: a scene, or an image where images are independent.
Units are drawn with replacement, as many as there are, and every arm is scored on the same draw: a hard scene
drawn twice weighs on all arms alike, so their differences vary less than their scores. With each resample
seeds are drawn too, by index, the same for all arms, since runs of one index share what the seed decides.
The spread of few seeds comes out too small, by a factor sqrt((seeds - 1) / seeds), and of one seed as none.
Efron, Bootstrap methods: another look at the jackknife (1979).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from models.detection.average_precision import Draws, resampled_average_precision
from models.detection.boxes import Doubles, Indices
from models.detection.matching import Matches
from models.detection.resamples import Bootstrap, Resamples


def bootstrap(
    matches: Sequence[Sequence[Matches]], units: ArrayLike, resamples: int = 1000, seed: int = 0
) -> Bootstrap:
    """Args:
        matches: by arm, then seed: of the same test set, each arm with as many seeds.
        units: (images,), a number for each image; those of one unit are drawn together.

    Raises:
        ValueError: arms differ in their number of seeds, or runs in their test set; or it has no boxes.
    """
    unit, seeds = _check(matches, units)
    dice = np.random.default_rng(seed)
    units_drawn = _draw(dice, int(unit.max()) + 1, resamples)
    seeds_drawn = _draw(dice, seeds, resamples)
    once, draws = np.ones((1, len(unit)), np.int32), units_drawn.take(unit, axis=1)
    points = np.empty((2, len(matches), seeds))
    runs = np.empty((2, resamples, len(matches), seeds))
    for arm, of_arm in enumerate(matches):
        for index, run in enumerate(of_arm):
            points[:, arm, index] = mean_average_precisions(run, once)[:, 0]
            runs[:, :, arm, index] = mean_average_precisions(run, draws)
    map50, map50_95 = (
        Resamples(point, values.mean(axis=2), np.einsum("bas,bs->ba", values, seeds_drawn / seeds))
        for point, values in zip(points, runs, strict=True)
    )
    return Bootstrap(map50, map50_95, units=units_drawn.shape[1], seeds=seeds)


def mean_average_precisions(matches: Matches, draws: Draws) -> Doubles:
    """mAP50 and mAP50-95, (2, B), had each image been there as often as drawn.

    A category without a box in a draw is left out of its means; a draw without any box has NaN.

    Args:
        draws: (B, images).
    """
    total, present = np.zeros((2, len(draws))), np.zeros(len(draws))
    for found in matches.by_category:
        if found.boxes:
            by_threshold = resampled_average_precision(found, draws)
            is_present = ~np.isnan(by_threshold[:, 0])
            total[0, is_present] += by_threshold[is_present, 0]
            total[1, is_present] += by_threshold[is_present].mean(axis=1)
            present += is_present
    return np.divide(total, present, out=np.full_like(total, np.nan), where=present > 0)


def _draw(dice: np.random.Generator, count: int, resamples: int) -> Draws:
    """How often each of `count` was drawn in each resample of as many, (resamples, count)."""
    return dice.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.int32)


def _check(matches: Sequence[Sequence[Matches]], units: ArrayLike) -> tuple[Indices, int]:
    """Units numbered from 0, (images,), and how many seeds each arm has."""
    numbers = {len(of_arm) for of_arm in matches}
    if len(numbers) != 1 or 0 in numbers:
        raise ValueError(
            f"every arm needs the same number of seeds, got {[len(of_arm) for of_arm in matches]}"
        )
    first = matches[0][0]
    if not first.boxes:
        raise ValueError("the test set has no boxes that count")
    if not all(_is_same_test_set(first, run) for of_arm in matches for run in of_arm):
        raise ValueError("every run must be scored on the same test set")
    unit = np.unique(np.asarray(units), return_inverse=True)[1]
    if unit.shape != (first.images,):
        raise ValueError(f"there are {first.images} images, got units for {unit.size}")
    return unit, numbers.pop()


def _is_same_test_set(one: Matches, other: Matches) -> bool:
    return one.images == other.images and all(
        np.array_equal(ours.box_image, theirs.box_image)
        for ours, theirs in zip(one.by_category, other.by_category, strict=True)
    )
