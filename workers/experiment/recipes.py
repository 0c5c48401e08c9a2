"""From an arm's recipe to the list of frames it trains on: lists, never copies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import InvalidRequest
from workers.experiment.frames import ExperimentFrame, Role, shuffled


def training_frames(
    spec: Mapping[str, Any], arm: Mapping[str, Any], frames: Sequence[ExperimentFrame], seed: int
) -> list[ExperimentFrame]:
    """What an arm trains on. A share of 0.5 is another half for every seed; one of 2 is every frame twice.

    Frames come in one order of their origins, and each part takes up where the one before left off: half of
    the day frames and half of their translations show every scene once; so do three thirds of translations.

    Raises:
        InvalidRequest: the arm asks for more frames than a dataset has, and may not be made smaller.
    """
    available = Counter(frame.data for frame in frames if frame.role is Role.TRAIN)
    factor = _factor(spec, available) if spec["scales"] else 1.0
    counts = [max(1, int(_wanted(part, available) * factor)) for part in arm["parts"]]
    counts = _limited(counts, spec["frames_at_most"])
    chosen: list[ExperimentFrame] = []
    begin = 0.0
    for part, count in zip(arm["parts"], counts, strict=True):
        ordered = _of(part["data"], frames, seed)
        _refuse_too_many(arm, part, len(ordered), count)
        first = round(begin * len(ordered))
        chosen += [ordered[(first + place) % len(ordered)] for place in range(count)]
        begin += count / len(ordered)
    return chosen


def _factor(spec: Mapping[str, Any], available: Mapping[str, int]) -> float:
    """By how much all arms shrink where some data has fewer frames than one of them asks for: a half stays a
    half, and all stay equally large.
    """
    parts = [part for arm in spec["arms"] if arm["enhance"] is None for part in arm["parts"]]
    return min([1.0, *(available[part["data"]] / _wanted(part, available) for part in parts)])


def _wanted(part: Mapping[str, Any], available: Mapping[str, int]) -> int:
    return int(part["frames"] or max(1, round(part["share"] * available[part["data"]])))


def _limited(counts: list[int], at_most: int | None) -> list[int]:
    total = sum(counts)
    if at_most is None or total <= at_most:
        return counts
    return [max(1, count * at_most // total) for count in counts]


def _of(data: str, frames: Sequence[ExperimentFrame], seed: int) -> list[ExperimentFrame]:
    return shuffled((frame for frame in frames if frame.role is Role.TRAIN and frame.data == data), seed)


def _refuse_too_many(arm: Mapping[str, Any], part: Mapping[str, Any], available: int, count: int) -> None:
    if part["frames"] is not None and count > available:
        raise InvalidRequest(
            f"Arm {arm['name']!r} asks for {count:,} frames of {part['data']!r}, which has {available:,}.",
            f"Write {part['data']} for all of them, or {part['data']}:0.5 for half.",
        )
