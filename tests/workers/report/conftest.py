"""Reports as an experiment writes them, with invented numbers."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest

Report = dict[str, Any]
CATEGORIES = ("car", "pedestrian", "truck", "rider")
BOXES = {"car": 402, "pedestrian": 131, "truck": 68}
DAY_CARD = {"licence": "CC BY-NC-SA 4.0", "source": {"upload": "street.zip"}, "format": "yolo"}
SYNTHETIC_CARD = {
    "licence": "CC BY-NC-SA 4.0",
    "generator": {"name": "camera-night", "version": 1, "weights_sha256": "5c" * 32},
    "source": {"dataset": "ds-day", "card": DAY_CARD},
}
MAP50 = {"day": 0.19, "day+synthetic": 0.221, "enhance:enlightengan-night2day": 0.196, "day+night": 0.243}


def make_report(
    scores: Mapping[str, float] = MAP50,
    *,
    seeds: int = 3,
    upper_bound: str | None = "day+night",
    interval: Sequence[float] | None = (0.012, 0.049),
    has_histories: bool = True,
    unit: str = "scene",
) -> Report:
    """One arm for each score; an arm whose name holds `synthetic` was trained on translated frames too.

    `interval` is that of the first arm that is not the baseline; the others' are as wide.
    """
    noise = np.random.default_rng(7)
    baseline = next(iter(scores))
    arms = [_arm(name, score, seeds, noise, has_histories) for name, score in scores.items()]
    report: Report = {
        "name": "street at night",
        "preset": None,
        "verdict": "Synthetic night data helps: an invented sentence.",
        "detector": {"name": "yolov8n", "weights_sha256": None},
        "training": {
            "steps": 300,
            "epochs": 15,
            "batch": 16,
            "image_px": 320,
            "budget": "steps",
            "patience": 100,
            "optimizer": "AdamW",
            "learning_rate": 0.001,
            "pretraining": {"steps": 3000, "data": "day", "frames": 332},
        },
        "seeds": list(range(seeds)),
        "baseline": baseline,
        "upper_bound": upper_bound if upper_bound in scores else None,
        "categories": list(CATEGORIES),
        "ignored_categories": ["other vehicle"],
        "test": {
            "dataset_id": "ds-test",
            "name": "night_test",
            "selection": {"split": ["test"], "timeofday": ["night"]},
            "frames": 243,
            "boxes": sum(BOXES.values()),
            "boxes_by_category": dict(BOXES),
            "unit": unit,
            "units": 24 if unit == "scene" else 243,
            "images_sha256": "e3" * 32,
        },
        "validation": {"frames": 200, "from": ["day", "synthetic"]},
        "arms": arms,
        "differences": [],
        "gap_closed": [],
        "leakage": {"frames_compared": 1064, "identical": [], "near_duplicates": [], "insisted": False},
        "hardware": {
            "device": "cpu",
            "processor": "AMD EPYC",
            "torch": "2.11",
            "ultralytics": "8.4.190",
            "threads": 2,
        },
        "seconds": {"total": 4325.0, "pretraining": 911.0},
        "command": "nightshift experiment --day ds-day --synthetic ds-syn --test ds-test --seeds 3",
        "frames": [{"name": "n_0042.jpg", "spread": 0.5}],
    }
    report["differences"] = [
        difference
        for arm in arms[1:]
        for difference in _differences(
            arm["name"], scores[arm["name"]] - scores[baseline], interval, baseline
        )
    ]
    if report["upper_bound"]:
        gap = scores[upper_bound or ""] - scores[baseline]
        report["gap_closed"] = [
            {
                "arm": name,
                "value": (score - scores[baseline]) / gap if gap > 0 else None,
                "interval": [(score - scores[baseline]) / gap - 0.4, (score - scores[baseline]) / gap + 0.45]
                if gap > 0
                else None,
                "skipped": 0,
            }
            for name, score in scores.items()
            if name not in (baseline, upper_bound)
        ]
    return report


def _differences(
    arm: str, difference: float, interval: Sequence[float] | None, baseline: str
) -> list[dict[str, Any]]:
    middle = fmean(interval) if interval else 0.0
    shifted = [bound - middle + difference for bound in interval] if interval else None
    common = {"arm": arm, "baseline": baseline, "sd": 0.01, "units_needed": 98, "seeds_needed": 9}
    return [
        {**common, "metric": "map50", "difference": difference, "interval": shifted},
        {
            **common,
            "metric": "map50_95",
            "difference": difference / 2,
            "interval": [bound / 2 for bound in shifted] if shifted else None,
        },
    ]


def _arm(
    name: str, score: float, seeds: int, noise: np.random.Generator, has_histories: bool
) -> dict[str, Any]:
    is_enhanced = name.startswith("enhance:")
    words = ["day"] if is_enhanced else name.split("+")
    runs = [
        {
            "seed": seed,
            "map50": score + offset,
            "map50_95": 0.5 * (score + offset),
            "precision": min(1.0, 1.9 * score + offset),
            "recall": min(1.0, 1.3 * score - offset),
            "confidence": 0.31,
            "best_epoch": 12 + seed,
            "epochs": 15,
            "seconds": 301.0 + seed,
        }
        for seed, offset in enumerate(_offsets(seeds, noise))
    ]
    recall = np.linspace(0, 1, 101)
    return {
        "name": name,
        "kind": "enhance" if is_enhanced else "train",
        "generator": f"{name.removeprefix('enhance:')}:1" if is_enhanced else None,
        "frames": 332 * len(words),
        "boxes": 799 * len(words),
        "parts": [
            {
                "data": word,
                "dataset_id": f"ds-{word}",
                "dataset": f"street {word}",
                "frames": 332,
                "share": 1.0,
                "sha256": "ab" * 32,
                "card": SYNTHETIC_CARD if "synthetic" in word else DAY_CARD,
            }
            for word in words
        ],
        "seeds": runs,
        "scores": {
            key: _stat([float(run[key]) for run in runs])
            for key in ("map50", "map50_95", "precision", "recall")
        },
        "by_category": {
            category: _category(score * factor, seeds, noise, BOXES.get(category, 0))
            for category, factor in zip(CATEGORIES, (1.7, 0.8, 0.5, 0), strict=True)
        },
        "by_size": {
            group: _group(score * factor, seeds, noise, boxes)
            for group, factor, boxes in (("small", 0.5, 310), ("medium", 1.2, 220), ("large", 1.9, 71))
        },
        "by_brightness": {
            group: _group(score * factor, seeds, noise, boxes)
            for group, factor, boxes in (("dark", 0.6, 388), ("dim", 1.3, 213), ("bright", 0, 0))
        },
        "pr_curve": {
            "recall": recall.tolist(),
            "precision": (np.clip(1 - recall / (2.6 * score), 0, 1) ** 0.7).tolist(),
        },
        "confusion": _confusion(score),
        "history": [_history(score, noise) for _ in range(seeds)]
        if has_histories and not is_enhanced
        else [],
    }


def _offsets(seeds: int, noise: np.random.Generator) -> list[float]:
    """Of mean 0, so that an arm's mean is the score it was given."""
    drawn = noise.normal(0, 0.008, seeds)
    return [float(offset) for offset in drawn - drawn.mean()]


def _stat(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None}


def _near(score: float, seeds: int, noise: np.random.Generator) -> dict[str, float | None]:
    return _stat([score + offset for offset in _offsets(seeds, noise)])


def _category(score: float, seeds: int, noise: np.random.Generator, boxes: int) -> dict[str, Any]:
    if not boxes:
        return {"boxes": 0}
    names = {"ap50": 1.0, "ap50_95": 0.5, "precision": 1.4, "recall": 1.1}
    return {"boxes": boxes, **{name: _near(score * factor, seeds, noise) for name, factor in names.items()}}


def _group(score: float, seeds: int, noise: np.random.Generator, boxes: int) -> dict[str, Any]:
    if not boxes:
        return {"boxes": 0, "map50": None, "recall": None}
    return {
        "boxes": boxes,
        "map50": _near(score, seeds, noise),
        "recall": _near(1.2 * score, seeds, noise),
    }


def _confusion(score: float) -> list[list[float]]:
    found = 1.4 * score
    return [
        [402 * found, 2, 6, 0, 394 - 402 * found],
        [3, 131 * found, 0, 1, 127 - 131 * found],
        [14, 0, 68 * found, 0, 54 - 68 * found],
        [0, 0, 0, 0, 0],
        [61, 22, 9, 1, 0],
    ]


def _history(score: float, noise: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "losses": {
                "box_loss": 1.5 + 2 / epoch + float(noise.normal(0, 0.03)),
                "cls_loss": 1.2 + 3 / epoch + float(noise.normal(0, 0.03)),
                "dfl_loss": 1.0 + 1 / epoch + float(noise.normal(0, 0.03)),
            },
            "validation": {
                "map50": 1.8 * score * (1 - 0.8**epoch) + float(noise.normal(0, 0.006)),
                "map50_95": 0.8 * score * (1 - 0.8**epoch),
            },
        }
        for epoch in range(1, 16)
    ]


@pytest.fixture(name="make_report")
def _make_report() -> Callable[..., Report]:
    return make_report


@pytest.fixture(scope="module")
def a_report() -> Report:
    """Four arms, three seeds: not to be changed."""
    return make_report()
