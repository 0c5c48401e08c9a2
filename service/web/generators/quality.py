"""A card's figures as a table: what was measured on frames that no training has seen."""

from dataclasses import dataclass
from typing import Any

from service.api.views import GeneratorView
from service.catalogue import BUNDLED

CAMERA = "camera"
# By the names in the cards, in the order of the columns: how it is called, how many digits, what is better.
MEASURES: dict[str, tuple[str, int, str]] = {
    "kid": ("KID", 2, "distance to real frames of the other time of day; lower is better"),
    "fid": ("FID", 0, "distance to real frames of the other time of day; lower is better"),
    "niqe": ("NIQE", 2, "how far from natural the images look; lower is better"),
    "share_night": ("Night", 2, "share of images that a classifier takes for night"),
    "brightness": ("Brightness", 0, "mean grey level, 0 to 255"),
    "gradient_similarity_inside": ("Edges in boxes", 2, "how much of the objects' edges is kept; 1 is all"),
    "gradient_similarity_outside": ("Edges around", 2, "the same outside of the boxes"),
}
ROWS = {
    "source": "The frames as they are",
    "translated": "This generator",
    "camera": "For comparison: camera-night",
}


@dataclass(frozen=True, slots=True)
class QualityTable:
    """Of one set: `rows` are a name with a figure for each of `columns`, empty where there is none."""

    title: str
    frames: int
    columns: list[tuple[str, str]]
    rows: list[tuple[str, list[str]]]


def quality_of(card: GeneratorView) -> list[QualityTable]:
    """A table for each unseen set; none of a card that has no figures, or that words them otherwise."""
    unseen = _of_camera() if card.architecture == CAMERA else card.quality.get("unseen")
    if not isinstance(unseen, dict):
        return []
    return [_table(name, found) for name, found in unseen.items() if isinstance(found, dict)]


def _of_camera() -> dict[str, Any]:
    """It has no card of its own: the others' cards measure it beside themselves."""
    measured = [card.quality.get("unseen", {}) for card in BUNDLED if card.direction == "day2night"]
    sets = {name: rows for unseen in measured for name, rows in unseen.items() if CAMERA in rows}
    return {name: {"source": rows["source"], "translated": rows[CAMERA]} for name, rows in sets.items()}


def _table(name: str, found: dict[str, Any]) -> QualityTable:
    rows = {key: found[key] for key in ROWS if isinstance(found.get(key), dict)}
    measured = [key for key in MEASURES if any(key in row for row in rows.values())]
    return QualityTable(
        title=name,
        frames=max((int(row.get("frames", 0)) for row in rows.values()), default=0),
        columns=[(MEASURES[key][0], MEASURES[key][2]) for key in measured],
        rows=[(ROWS[name], [_figure(key, row.get(key)) for key in measured]) for name, row in rows.items()],
    )


def _figure(key: str, value: Any) -> str:
    return f"{value:.{MEASURES[key][1]}f}" if isinstance(value, int | float) else ""
