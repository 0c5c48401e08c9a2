"""How a report writes its numbers and names.

Scores lie in 0..1 inside a report and are shown in percent; differences are shown in *points*, hundredths.
"""

from collections.abc import Mapping, Sequence
from typing import Any

MINUS = "\N{MINUS SIGN}"


def percent(score: float | None) -> str:
    """0.2234 -> 22.3"""
    return "–" if score is None else f"{100 * score:.1f}"


def with_spread(stat: Mapping[str, Any] | None) -> str:
    """Mean and standard deviation over seeds; a single seed has no spread."""
    if stat is None or stat["mean"] is None:
        return "–"
    return percent(stat["mean"]) + ("" if stat["sd"] is None else f" ± {percent(stat['sd'])}")


def points(difference: float) -> str:
    """0.0312 -> +3.1; a difference too small for one decimal gets a second, exact zero has no sign."""
    value = 100 * difference
    text = f"{value:+.1f}" if abs(value) >= 0.05 else f"{value:+.2f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def point_range(interval: Sequence[float]) -> str:
    return f"{points(interval[0])} to {points(interval[1])}"


def share(value: float) -> str:
    """0.63 -> 63 %"""
    text = f"{100 * value:.0f}"
    return f"{'0' if text == '-0' else text.replace('-', MINUS)} %"


def counted(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("x") else "s"
    return f"{number:,} {noun}{ending}"


def size_of_test(report: Mapping[str, Any]) -> str:
    """243 test frames of 24 scenes"""
    test = report["test"]
    frames = counted(test["frames"], "test frame")
    return frames if test["unit"] == "frame" else f"{frames} of {counted(test['units'], test['unit'])}"


def printable(text: str) -> str:
    """Names come with the data: no control characters, no reversed writing, no halves of a letter."""
    return "".join(letter if letter.isprintable() or letter in "\n\u00a0" else "?" for letter in text)
