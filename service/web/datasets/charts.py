"""What a dataset's counts look like as bars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.datasets.dataset import Split, TimeOfDay
from service.frames.filter import UNTAGGED

SHOWN_CATEGORIES = 14
# COCO's words, with the pixels that they mean.
BOX_SIZES = {"small": "small, < 32²", "medium": "medium, < 96²", "large": "large"}


@dataclass(frozen=True, slots=True)
class Chart:
    """`bars` are shown, `others` on demand; each a word and a number of `unit`."""

    title: str
    unit: str
    bars: list[tuple[str, int]]
    others: list[tuple[str, int]]


def charts_of(counts: Mapping[str, Any]) -> list[Chart]:
    """Those that have something to show: a dataset of an earlier version counts fewer things."""
    times = (*TimeOfDay, UNTAGGED)
    charts = (
        _chart("Frames by time of day", "frame", _ordered(counts.get("timeofday", {}), times)),
        _chart("Frames by split", "frame", _ordered(counts.get("splits", {}), Split)),
        _chart("Boxes by split", "box", _ordered(counts.get("boxes_by_split", {}), Split)),
        _chart("Boxes by size in pixels", "box", _sizes(counts.get("box_sizes", {}))),
        _chart("Frames by brightness", "frame", _brightness(counts.get("brightness", []))),
        _chart("Boxes by category", "box", _most_first(counts.get("categories", {}))),
    )
    return [chart for chart in charts if any(number for _, number in chart.bars)]


def _chart(title: str, unit: str, bars: list[tuple[str, int]]) -> Chart:
    return Chart(title, unit, bars[:SHOWN_CATEGORIES], bars[SHOWN_CATEGORIES:])


def _ordered(counted: Mapping[str, int], order: Iterable[str]) -> list[tuple[str, int]]:
    """In the order in which people think of them; words that only this dataset has come last."""
    words = [str(word) for word in order if word in counted]
    return [(word, counted[word]) for word in (*words, *sorted(counted.keys() - set(words)))]


def _most_first(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def _sizes(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(meaning, counted[size]) for size, meaning in BOX_SIZES.items() if size in counted]


def _brightness(tenths: list[int]) -> list[tuple[str, int]]:
    """Without the empty ones at both ends: nearly all streets are neither black nor white."""
    used = [place for place, number in enumerate(tenths) if number]
    return [(f"{10 * place}–{10 * place + 10} %", tenths[place]) for place in _from_to(used)]


def _from_to(places: list[int]) -> range:
    return range(places[0], places[-1] + 1) if places else range(0)
