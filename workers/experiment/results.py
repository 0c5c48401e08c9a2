"""What an experiment found, as numbers: every training's detections against the truth, then arm by arm."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detection.average_precision import RECALLS
from models.detection.bootstrap import bootstrap
from models.detection.boxes import Detections, Truth
from models.detection.matching import Matches, match
from models.detection.overlaps import Overlaps, find_overlaps
from models.detection.resamples import Bootstrap, Resamples, needed
from models.detection.scores import CategoryScores, Scores, score
from models.metrics.working_size import luma
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import stored_pixels
from workers.experiment.detector import read_detections, run_prefix
from workers.experiment.frames import ExperimentFrame

SHOWN_CONFIDENCE = 0.25
METRICS = ("map50", "map50_95")


@dataclass(frozen=True, slots=True)
class TestSet:
    """The frames that all arms are scored on, with the truth."""

    frames: Sequence[ExperimentFrame]
    truths: Sequence[Truth]
    categories: Sequence[str]

    def overlaps(self, seen: NDArray[np.float32]) -> Overlaps:
        return find_overlaps(self.truths, split_by_frame(seen, len(self.frames)), len(self.categories))

    @property
    def units(self) -> list[str]:
        return [frame.scene for frame in self.frames]

    def boxes_by_category(self) -> dict[str, int]:
        counts = np.zeros(len(self.categories), int)
        for frame in self.frames:
            np.add.at(counts, list(frame.categories), 1)
        return dict(zip(self.categories, counts.tolist(), strict=True))


def read_test_set(
    store: ObjectStore, frames: Sequence[ExperimentFrame], categories: Sequence[str]
) -> TestSet:
    """Reads every image, for the brightness of its boxes."""

    def truth(frame: ExperimentFrame) -> Truth:
        return _truth(frame, luma(stored_pixels(store, frame.image)), len(categories))

    with ThreadPoolExecutor() as pool:
        return TestSet(frames, list(pool.map(truth, frames)), categories)


class Results:
    """Everything that is known of the arms once all trainings have ended."""

    def __init__(self, spec: Mapping[str, Any], test: TestSet, store: ObjectStore, plan_key: str) -> None:
        self._spec, self.test = spec, test
        self._store, self._plan_key = store, plan_key
        self.arms: list[str] = [arm["name"] for arm in spec["arms"]]

    def seen(self, arm: int, seed: int) -> NDArray[np.float32]:
        """(n, 7): frame number, xyxy in px, confidence, category."""
        key = f"{run_prefix(self._plan_key, arm, seed)}/{keys.DETECTIONS}"
        return read_detections(self._store.read(key))

    @property
    def scores(self) -> list[list[Scores]]:
        """By arm, then seed."""
        return [[scores for scores, _ in of_arm] for of_arm in self._runs]

    @property
    def matches(self) -> list[list[Matches]]:
        return [[matches for _, matches in of_arm] for of_arm in self._runs]

    @cached_property
    def resampled(self) -> Bootstrap:
        return bootstrap(self.matches, self.test.units, self._spec["resamples"])

    def arm_scores(self, arm: int) -> dict[str, Any]:
        """The part of an arm's entry that its detections decide."""
        runs = self.scores[arm]
        names = ("map50", "map50_95", "precision", "recall")
        return {
            "scores": {name: _spread(getattr(run, name) for run in runs) for name in names},
            "by_category": {
                name: _category([run.by_category[number] for run in runs])
                for number, name in enumerate(self.test.categories)
            },
            "by_size": _groups(runs, lambda run: run.by_size),
            "by_brightness": _groups(runs, lambda run: run.by_brightness),
            "pr_curve": {
                "recall": RECALLS.tolist(),
                "precision": np.mean([run.precisions for run in runs], axis=0).tolist(),
            },
            "confusion": np.mean([run.confusion for run in runs], axis=0).tolist(),
        }

    def differences(self) -> list[dict[str, Any]]:
        """Of every arm to the baseline, by both metrics."""
        baseline = self.arms.index(self._spec["baseline"])
        return [
            self._difference(arm, baseline, metric)
            for metric in METRICS
            for arm in range(len(self.arms))
            if arm != baseline
        ]

    def gap_closed(self) -> list[dict[str, Any]]:
        bound = self._spec["upper_bound"]
        if bound is None:
            return []
        baseline, upper = self.arms.index(self._spec["baseline"]), self.arms.index(bound)
        return [
            {"arm": name, **self.resampled.map50.gap_closed(arm, baseline, upper).to_json()}
            for arm, name in enumerate(self.arms)
            if arm not in (baseline, upper)
        ]

    def most_contested(self, wanted: int) -> list[tuple[int, float]]:
        """The frames on which the arms differ most in what they find, and by how many boxes: one of each
        scene, then the rest.
        """
        found = np.array([self._found(arm) for arm in range(len(self.arms))])
        spread = found.max(axis=0) - found.min(axis=0)
        order = [int(number) for number in np.argsort(-spread, kind="stable") if spread[number] > 0]
        scenes: set[str] = set()
        first: list[int] = []
        later: list[int] = []
        for number in order:
            scene = self.test.frames[number].scene
            (later if scene in scenes else first).append(number)
            scenes.add(scene)
        return [(number, float(spread[number])) for number in [*first, *later][:wanted]]

    @cached_property
    def _runs(self) -> list[list[tuple[Scores, Matches]]]:
        """Run after run: what overlaps is large, and not kept."""
        seeds = self._spec["seeds"]
        return [[self._scored(arm, seed) for seed in seeds] for arm in range(len(self.arms))]

    def _scored(self, arm: int, seed: int) -> tuple[Scores, Matches]:
        overlaps = self.test.overlaps(self.seen(arm, seed))
        return score(overlaps), match(overlaps)

    def _difference(self, arm: int, baseline: int, metric: str) -> dict[str, Any]:
        samples: Resamples = getattr(self.resampled, metric)
        found = samples.difference(arm, baseline)
        of_seeds = found.sd_seeds or 0.0
        units, seeds = None, None
        if not found.is_shown:
            units = needed(self.resampled.units, found.value, found.sd_units, of_seeds)
            if found.sd_seeds is not None:
                seeds = needed(self.resampled.seeds, found.value, of_seeds, found.sd_units)
        names = {"arm": self.arms[arm], "baseline": self.arms[baseline], "metric": metric}
        return {**names, **found.to_json(), "units_needed": units, "seeds_needed": seeds}

    def _found(self, arm: int) -> NDArray[np.float64]:
        """For each frame, boxes found less false alarms, at a usual confidence, as the mean over seeds."""
        return np.asarray(np.mean([_balance(run) for run in self.matches[arm]], axis=0))


def split_by_frame(seen: NDArray[np.float32], frames: int) -> list[Detections]:
    number = seen[:, 0].astype(int)
    order = np.argsort(number, kind="stable")
    parts = np.split(seen[order].astype(np.float64), np.searchsorted(number[order], np.arange(1, frames)))
    return [Detections(part[:, 1:5], part[:, 6].astype(int), part[:, 5].clip(0, 1)) for part in parts]


def _truth(frame: ExperimentFrame, brightness: NDArray[np.uint8], categories: int) -> Truth:
    """An ignored region counts neither way for any category."""
    boxes = [*frame.boxes, *(box for box in frame.ignored for _ in range(categories))]
    numbers = [*frame.categories, *(number for _ in frame.ignored for number in range(categories))]
    return Truth(
        np.array(boxes, float).reshape(-1, 4),
        np.array(numbers, int),
        np.arange(len(boxes)) >= len(frame.boxes),
        np.array([_mean_within(brightness, box) for box in boxes], float),
    )


def _mean_within(brightness: NDArray[np.uint8], xyxy: Sequence[float]) -> float:
    x1, y1, x2, y2 = (max(0, round(value)) for value in xyxy)
    region = brightness[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    return float(region.mean().clip(0, 255)) if region.size else 0.0


def _balance(run: Matches) -> NDArray[np.float64]:
    balance = np.zeros(run.images)
    for found in run.by_category:
        sure = (found.score >= SHOWN_CONFIDENCE) & found.is_counted[:, 0]
        np.add.at(balance, found.image[sure], np.where(found.is_true[sure, 0], 1.0, -0.5))
    return balance


def _category(runs: Sequence[CategoryScores | None]) -> dict[str, Any]:
    """One without boxes is absent, and in no mean."""
    present = [run for run in runs if run is not None]
    if not present:
        return {"boxes": 0}
    names = ("ap50", "ap50_95", "precision", "recall")
    return {
        "boxes": present[0].boxes,
        **{name: _spread(getattr(run, name) for run in present) for name in names},
    }


def _groups(runs: Sequence[Scores], of: Callable[[Scores], Mapping[str, Any]]) -> dict[str, Any]:
    groups = {}
    for name, first in of(runs[0]).items():
        values: dict[str, Any] = {"boxes": first.boxes}
        for metric in ("map50", "map50_95", "recall"):
            numbers = [getattr(of(run)[name], metric) for run in runs]
            values[metric] = None if None in numbers else _spread(numbers)
        groups[name] = values
    return groups


def _spread(values: Iterable[float]) -> dict[str, float | None]:
    """Mean and standard deviation over seeds; of one seed there is none."""
    numbers = np.array(list(values))
    return {"mean": float(numbers.mean()), "sd": float(numbers.std(ddof=1)) if len(numbers) > 1 else None}
