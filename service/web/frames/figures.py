"""Quality figures of a translation beside those of its source and of real night, each with its meaning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.jobs.job import Job, JobState

Quality = Mapping[str, Any]
SPREADS = ("brightness", "noise")
MEANINGS = (
    ("kid", "KID", "Distance to real night by what a small network sees; 0 is no difference."),
    ("fid", "FID", "The same distance, better known, but it needs many frames."),
    ("share_night", "Called night", "Share of the frames that a day or night classifier calls night."),
    ("niqe", "NIQE", "Distance from sharp, clean night frames; lower looks more natural."),
    (
        "gradient_similarity_inside",
        "Edges kept in boxes",
        "How much of the objects' edges is left, 0 to 1: what a detector learns from.",
    ),
    (
        "gradient_similarity_outside",
        "Edges kept elsewhere",
        "How much of everything else is left, 0 to 1.",
    ),
    ("brightness", "Brightness", "Median of the pixels, of 255; below it the range of 90 %."),
    ("noise", "Noise", "Median of the frames' grain, in levels of 255; below it the range of 90 %."),
)
# What the real night frames that come along score themselves. A test holds them equal to what is measured.
REFERENCES: Mapping[str, Quality] = {
    "474 real night frames": {
        "kid": {"value": 0.0},
        "fid": {"value": 0.0},
        "share_night": {"value": 1.0},
        "niqe": {"value": 3.108},
        "gradient_similarity_inside": {"value": None},
        "gradient_similarity_outside": {"value": None},
        "brightness": {"p5": 14.5, "median": 84.9, "p95": 188.4},
        "noise": {"p5": 0.3, "median": 0.5, "p95": 2.7},
    }
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure in words: `hint` has its range, its error, or why there is none."""

    value: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of all that are compared; `meaning` is one plain sentence."""

    title: str
    meaning: str
    ours: Shown
    source: Shown
    reference: Shown


def rows(ours: Quality, source: Quality | None) -> list[Row]:
    """Those that somebody has a value of."""
    reference = REFERENCES.get(ours["reference"] or "", {})
    found = [
        Row(title, meaning, *(shown(figures, key) for figures in (ours, source or {}, reference)))
        for key, title, meaning in MEANINGS
    ]
    return [row for row in found if row.ours.value or row.source.value]


def shown(figures: Quality, key: str) -> Shown:
    figure = figures.get(key)
    if figure is None:
        return Shown("")
    if key in SPREADS:
        return _spread(figure)
    if figure["value"] is None:
        return Shown("", figure.get("reason", ""))
    if key == "share_night":
        return Shown(f"{100 * figure['value']:.0f} %")
    error = figure.get("standard_error")
    return Shown(f"{figure['value']:.3g}", "" if error is None else f"± {error:.2g}")


def measured(jobs: Sequence[Job], dataset_id: str, like: Quality | None = None) -> Quality | None:
    """The newest figures that somebody had measured of a whole dataset; `like`: by the same yardstick."""
    for job in jobs:
        is_of_it = job.dataset_id == dataset_id and job.state is JobState.SUCCEEDED
        if is_of_it and not job.spec["dataset"]["selection"] and _is_like(job.outcome["quality"], like):
            found: Quality = job.outcome["quality"]
            return found
    return None


def _is_like(figures: Quality, like: Quality | None) -> bool:
    """Distances to different references, or on different features, cannot be compared."""
    return like is None or all(figures[key] == like[key] for key in ("reference", "backbone_sha256"))


def _spread(figure: Mapping[str, Any]) -> Shown:
    if figure["median"] is None:
        return Shown("")
    return Shown(f"{figure['median']:.1f}", f"{figure['p5']:.1f} to {figure['p95']:.1f}")
