"""Where numbers lie in a drawing: in percent of its width and height, as SVG wants them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low` on the left to `high` on the right."""

    low: float
    high: float

    @classmethod
    def over(cls, numbers: Iterable[float]) -> "Scale":
        """Of all numbers and of 0, with a little room beyond the outer ones."""
        known = [0.0, *numbers]
        low, high = min(known), max(known)
        room = 0.04 * (high - low or 1.0)
        return cls(low - room if low < 0 else 0.0, high + room)

    def at(self, number: float) -> float:
        share = (number - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)


@dataclass(frozen=True, slots=True)
class Line:
    """`number` gives the colour; `points` fit into a view box of 100 by 100; `last`: where the line ends."""

    name: str
    number: int
    points: str
    last: float


def lines(named: Iterable[tuple[str, int, Sequence[tuple[float, float]]]]) -> tuple[list[Line], float]:
    """Of pairs (x, y) on common scales from 0 on, and the highest y; a line of one point is drawn flat."""
    kept = [(name, number, pairs) for name, number, pairs in named if pairs]
    across = max((x for _, _, pairs in kept for x, _ in pairs), default=1.0) or 1.0
    top = max((y for _, _, pairs in kept for _, y in pairs), default=0.0)
    scale = Scale(0.0, 1.05 * top or 1.0)
    return [
        Line(name, number, _points(pairs, across, scale), pairs[-1][1]) for name, number, pairs in kept
    ], top


def _points(pairs: Sequence[tuple[float, float]], across: float, scale: Scale) -> str:
    drawn = [(round(100 * x / across, 2), round(100 - scale.at(y), 2)) for x, y in pairs]
    if len(drawn) == 1:
        drawn = [(0.0, drawn[0][1]), (100.0, drawn[0][1])]
    return " ".join(f"{x:g},{y:g}" for x, y in drawn)
