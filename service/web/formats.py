"""How numbers, times and sizes are written on the pages: filters of the templates."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from service.wording import printable

MINUTE, HOUR, DAY = 60, 3600, 86400
BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(number: float) -> str:
    """`36,728`"""
    return f"{number:,.0f}"


def counted(number: int, noun: str, nouns: str = "") -> str:
    """`1 frame`, `36,728 frames`; `nouns` is the plural where an s is not enough."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def percent(share: float) -> str:
    """`0.0314` is `3.1 %`"""
    return f"{100 * share:.1f} %"


def size(number_bytes: float) -> str:
    """`1.2 GB`"""
    power = 0 if number_bytes < 1000 else min(len(BYTE_UNITS) - 1, int(math.log(number_bytes, 1000)))
    value = number_bytes / 1000**power
    return f"{value:.0f} {BYTE_UNITS[power]}" if power == 0 else f"{value:.1f} {BYTE_UNITS[power]}"


def duration(seconds: float | None) -> str:
    """`2 h 5 min`; a dash where nobody knows."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return (
            f"{whole // MINUTE} min {whole % MINUTE} s" if whole < 10 * MINUTE else f"{whole // MINUTE} min"
        )
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def ago(then: datetime) -> str:
    """`3 min ago`"""
    seconds = (datetime.now(UTC) - then).total_seconds()
    return "just now" if seconds < 10 else f"{duration(seconds)} ago"


def rate(images_per_second: float | None) -> str:
    return "–" if images_per_second is None else f"{images_per_second:.1f} images/s"


def told(value: Any) -> str:
    """What a label file says of something, whatever its type: `yes`, `12`, `red, green`."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(told, value))
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


FILTERS: dict[str, Any] = {
    "count": count,
    "counted": counted,
    "percent": percent,
    "size": size,
    "duration": duration,
    "ago": ago,
    "rate": rate,
    "told": told,
}
