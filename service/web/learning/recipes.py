"""What can be trained, in words for a form. Torch-free: a test holds the names equal to what there is."""

from collections.abc import Mapping
from dataclasses import dataclass

FEWEST_FRAMES = 8
PUBLISHED, COMPACT = "as published", "for CPUs and some hundred frames"
SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class Paper:
    """`learns`: which way. `columns`: of the pictures that its trainings leave. `recipes`: by name."""

    title: str
    learns: str
    columns: str
    recipes: Mapping[str, str]


PUBLISHED_AND_COMPACT = {"default": PUBLISHED, "compact": COMPACT}
PAPERS: Mapping[str, Paper] = {
    "cyclegan": Paper(
        "CycleGAN",
        "both directions at once",
        "day, night made of it, day again, night, day made of it",
        PUBLISHED_AND_COMPACT,
    ),
    "cut": Paper(
        "CUT",
        "one direction",
        "the source, its translation, the target, what becomes of it",
        {**PUBLISHED_AND_COMPACT, "fast": "FastCUT as published"},
    ),
    "enlightengan": Paper(
        "EnlightenGAN",
        "one direction, night to day unless told otherwise",
        "the source, its translation, the target",
        {**PUBLISHED_AND_COMPACT, "compact-night": "as compact, day to night"},
    ),
    "kind": Paper(
        "KinD",
        "both directions with one network",
        "day, what becomes of it, night, what becomes of that",
        PUBLISHED_AND_COMPACT,
    ),
    "sci": Paper("SCI", "night to day", "night, what becomes of it", PUBLISHED_AND_COMPACT),
    "zero-dce": Paper("Zero-DCE", "night to day", "night, what becomes of it", PUBLISHED_AND_COMPACT),
}
