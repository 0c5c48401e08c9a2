"""An experiment's report as rows and drawings: what the report's own page draws, in short."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from service.experiments.wording import point_range, points, share, with_spread
from service.storage import keys
from service.storage.object_store import ObjectStore
from service.web.learning.plots import Line, Scale, lines

METRIC = "map50"
SCORES = {"map50": "mAP50", "map50_95": "mAP50-95", "precision": "Precision", "recall": "Recall"}


@dataclass(frozen=True, slots=True)
class Bar:
    """In percent of the width: the mean, the ends of the spread if there is one, a dot for each seed."""

    mean: float
    spread: tuple[float, float] | None
    seeds: list[float]


@dataclass(frozen=True, slots=True)
class Gain:
    """What an arm brings over the baseline. `outcome`: helps, hurts, nothing shown (the interval holds 0)."""

    text: str
    interval: str
    outcome: str
    at: float
    ends: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class ArmRow:
    number: int
    name: str
    is_baseline: bool
    generator: str | None
    frames: int
    scores: list[str]
    bar: Bar | None
    gain: Gain | None
    gap: str
    seeds: list[int]


@dataclass(frozen=True, slots=True)
class CategoryRow:
    name: str
    boxes: int
    scores: list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Scores:
    """`zero`: where no difference lies in the drawing of the gains."""

    report: Mapping[str, Any]
    arms: list[ArmRow]
    categories: list[CategoryRow]
    curves: list[Line]
    curves_top: float
    zero: float

    @property
    def gains(self) -> list[ArmRow]:
        return [arm for arm in self.arms if arm.gain is not None]


def read_report(store: ObjectStore, job_id: str) -> Scores:
    """Raises:
    ObjectNotFound: the experiment has not been published.
    """
    return scores_of(json.loads(store.read(keys.report(job_id))))


def scores_of(report: Mapping[str, Any]) -> Scores:
    known = [arm["scores"][METRIC] for arm in report["arms"] if arm["scores"][METRIC]["mean"] is not None]
    widths = Scale.over(stat["mean"] + (stat["sd"] or 0.0) for stat in known)
    gains = _differences(report)
    ends = [end for found in gains.values() for end in (found["difference"], *(found["interval"] or ()))]
    across = Scale.over(ends)
    curves, top = lines(_validations(report))
    return Scores(
        report,
        [_arm(report, number, widths, gains, across) for number in range(len(report["arms"]))],
        list(_categories(report)),
        curves,
        top,
        across.at(0.0),
    )


def _arm(
    report: Mapping[str, Any], number: int, widths: Scale, gains: Mapping[str, Any], across: Scale
) -> ArmRow:
    arm = report["arms"][number]
    gain = gains.get(arm["name"])
    return ArmRow(
        number,
        arm["name"],
        arm["name"] == report["baseline"],
        arm["generator"],
        arm["frames"],
        [with_spread(arm["scores"][name]) for name in SCORES],
        _bar(arm, widths),
        None if gain is None else _gain(gain, across),
        _gap(report, arm["name"]),
        [seed["seed"] for seed in arm["seeds"]],
    )


def _bar(arm: Mapping[str, Any], widths: Scale) -> Bar | None:
    stat = arm["scores"][METRIC]
    if stat["mean"] is None:
        return None
    spread = None
    if stat["sd"] is not None:
        spread = widths.at(stat["mean"] - stat["sd"]), widths.at(stat["mean"] + stat["sd"])
    seeds = [widths.at(seed[METRIC]) for seed in arm["seeds"] if seed[METRIC] is not None]
    return Bar(widths.at(stat["mean"]), spread, seeds)


def _differences(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By arm, those to the baseline by mAP50 that could be worked out."""
    return {
        found["arm"]: found
        for found in report["differences"]
        if found["metric"] == METRIC
        and found["baseline"] == report["baseline"]
        and found["difference"] is not None
    }


def _gain(found: Mapping[str, Any], across: Scale) -> Gain:
    text, at = points(found["difference"]), across.at(found["difference"])
    if found["interval"] is None:
        return Gain(text, "no interval", "nothing shown", at, None)
    low, high = found["interval"]
    outcome = "helps" if low > 0 else "hurts" if high < 0 else "nothing shown"
    return Gain(text, point_range((low, high)), outcome, at, (across.at(low), across.at(high)))


def _gap(report: Mapping[str, Any], arm: str) -> str:
    """Which share of the way to what real night frames give."""
    gaps = {gap["arm"]: gap for gap in report["gap_closed"]}
    gap = gaps.get(arm)
    if gap is None or gap["value"] is None:
        return "–"
    ends = gap["interval"]
    return share(gap["value"]) + (f" ({share(ends[0])} to {share(ends[1])})" if ends else "")


def _categories(report: Mapping[str, Any]) -> Iterator[CategoryRow]:
    """The best of each row is marked; one without test boxes has no scores."""
    for category in report["categories"]:
        boxes = report["test"]["boxes_by_category"].get(category, 0)
        stats = [(arm["by_category"].get(category) or {}).get("ap50") for arm in report["arms"]]
        means = [-1.0 if stat is None or stat["mean"] is None else stat["mean"] for stat in stats]
        best = max(means, default=0.0)
        shown = [(with_spread(stat), mean == best > 0) for stat, mean in zip(stats, means, strict=True)]
        yield CategoryRow(category, boxes, shown if boxes else [("–", False) for _ in shown])


def _validations(report: Mapping[str, Any]) -> Iterator[tuple[str, int, Sequence[tuple[float, float]]]]:
    """mAP50 on the validation frames after each epoch, the mean of the seeds that reached it."""
    for number, arm in enumerate(report["arms"]):
        found: dict[int, list[float]] = {}
        for epoch in (epoch for seed in arm["history"] for epoch in seed):
            score = (epoch["validation"] or {}).get(METRIC)
            if score is not None:
                found.setdefault(epoch["epoch"], []).append(score)
        yield arm["name"], number, [(epoch, fmean(scores)) for epoch, scores in sorted(found.items())]
