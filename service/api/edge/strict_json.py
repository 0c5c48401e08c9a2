"""JSON that means the same to every reader: no key twice, no NaN, nothing too deep, too long or not text.

The standard library (and pydantic) keep the last of two equal keys, take `NaN`, and let a lone surrogate or a
NUL pass that a database or an answer in UTF-8 fails on later. A fault found while parsing stays in the value
as a marker, so that the walk over the value can say where it is.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_LEVELS = 32
MOST_DIGITS = 64
# A string without an end runs to the end of the body: tried anew at each quote it would cost the square.
TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)
UNFIT = re.compile("[\ud800-\udfff\x00]")  # no UTF-8 holds the first, no text column of PostgreSQL the second


@dataclass(frozen=True, slots=True)
class Fault:
    """`pointer` as in RFC 6901; empty: the whole document."""

    code: str
    message: str
    pointer: str = ""


def fault_in(body: bytes) -> Fault | None:
    """The first reason not to accept a JSON document."""
    if _levels(body) > MOST_LEVELS:
        return Fault("too-deep", f"It is nested more than {MOST_LEVELS} levels deep")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return Fault("not-utf-8", f"Byte {error.start} is not UTF-8")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_real
        )
    except json.JSONDecodeError as error:
        return Fault("not-json", f"It is no JSON: {error.msg} in line {error.lineno}, column {error.colno}")
    return next(_faults(value, ""), None)


def _levels(body: bytes) -> int:
    """How deep it is nested; counted beforehand, because the parser recurses."""
    depth = deepest = 0
    for token in TOKENS.finditer(body):
        match body[token.start()]:
            case 0x5B | 0x7B:
                depth += 1
                deepest = max(deepest, depth)
            case 0x5D | 0x7D:
                depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Fault:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return Fault("duplicate-key", "The key is there twice", _step(twice))


def _constant(name: str) -> Fault:
    return Fault("bad-number", f"{name} is no number in JSON")


def _integer(digits: str) -> int | Fault:
    return int(digits) if len(digits) <= MOST_DIGITS else _too_long()


def _real(digits: str) -> float | Fault:
    if len(digits) > MOST_DIGITS:
        return _too_long()
    number = float(digits)
    return number if math.isfinite(number) else Fault("bad-number", "The number is too large")


def _too_long() -> Fault:
    return Fault("bad-number", f"A number has at most {MOST_DIGITS} digits")


def _faults(value: Any, pointer: str) -> Iterator[Fault]:
    if isinstance(value, Fault):
        yield Fault(value.code, value.message, pointer + value.pointer)
    elif isinstance(value, str) and UNFIT.search(value):
        yield Fault("bad-text", "A NUL or half a character is no text", pointer)
    elif isinstance(value, dict):
        for key, each in value.items():
            if UNFIT.search(key):
                yield Fault("bad-text", "A key holds a NUL or half a character", pointer)
            yield from _faults(each, pointer + _step(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _faults(each, f"{pointer}/{number}")


def _step(key: str) -> str:
    return "/" + UNFIT.sub("\N{REPLACEMENT CHARACTER}", key).replace("~", "~0").replace("/", "~1")
