"""Looks at JSON text before a parser does: nothing may nest, stretch or repeat beyond what labels need.

The streaming parser bounds neither depth nor strings nor numbers, and keeps the last of two equal keys; no
library does. This is no second parser: it finds the strings and counts what lies between them, by the piece.
"""

import re
from itertools import accumulate

from service.errors import LabelUnreadable
from service.wording import shown

MAX_DEPTH = 32
MAX_STRING_BYTES = 64 * 1024
MAX_DIGITS = 64
_MAX_TOP_KEYS = 10_000
_CURE = "Mend the program that wrote the file, or leave the file out."

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_TOKEN = re.compile(rb'"[^"]*"?|[\[\]{}:]')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]
_DIGIT_MARKS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_TOO_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)
# What some programs write for numbers that JSON does not have, and numbers beyond those a computer has.
_NO_NUMBER = re.compile(rb"-?\b(?:NaN|Infinity)\b|-?\d[\d.]*[eE]\+?\d{3,}")
_HUGE = re.compile(rb"[eE]\+?\d{3}")
_STRING_OR_NO_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*"?|' + _NO_NUMBER.pattern, re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]|\\.)*', re.DOTALL)


class LabelLimits(LabelUnreadable):
    """JSON that no labelling program writes: too deep, too long."""

    code = "label-limits"


class DuplicateKey(LabelUnreadable):
    """An object says one thing twice. Which of the two is meant is unknowable."""

    code = "duplicate-key"

    def __init__(self, where: str, key: str) -> None:
        super().__init__(where, f"the key {shown(key)} occurs twice in one object", "Keep one of the two.")


class JsonGuard:
    """Passes on the pieces of one document, in order."""

    def __init__(self) -> None:
        self._seen_bytes = 0
        self._depth = 0
        self._is_in_string = False
        self._string_bytes = 0
        self._held = b""
        self._digits = b""
        self._is_map: bool | None = None
        self._top_keys: set[bytes] = set()

    def check(self, piece: bytes) -> bytes:
        """The piece, with `null` for NaN and the like: then it is one box that has no number, not the file.

        Raises:
            LabelLimits, DuplicateKey: near the byte that they name.
        """
        if self._is_map is None and (begin := piece.lstrip()):
            self._is_map = begin.startswith(b"{")
        text = _ESCAPED.sub(b"", self._held + piece) if self._held or b"\\" in piece else piece
        self._held = b"\\" if text.endswith(b"\\") else b""
        parts = text.removesuffix(b"\\").split(b'"')
        was_in_string = self._is_in_string
        between = b"".join(parts[was_in_string::2])
        self._check_strings(parts)
        self._check_numbers(between)
        self._check_depth(between, text, was_in_string)
        self._seen_bytes += len(piece)
        return _without_odd_numbers(piece, was_in_string) if _has_odd_numbers(between) else piece

    def _check_strings(self, parts: list[bytes]) -> None:
        first = self._string_bytes + len(parts[0]) if self._is_in_string else 0
        inside = parts[2 if self._is_in_string else 1 :: 2]
        if max(first, max(map(len, inside), default=0)) > MAX_STRING_BYTES:
            raise LabelLimits(self._where, f"a text is longer than {MAX_STRING_BYTES // 1024} kB", _CURE)
        is_one = len(parts) == 1
        self._is_in_string ^= len(parts) % 2 == 0
        self._string_bytes = (first if is_one else len(parts[-1])) if self._is_in_string else 0

    def _check_numbers(self, between: bytes) -> None:
        digits = self._digits + between.translate(_DIGIT_MARKS)
        if _TOO_MANY_DIGITS in digits:
            raise LabelLimits(self._where, f"a number has more than {MAX_DIGITS} digits", _CURE)
        self._digits = digits[-MAX_DIGITS:]

    def _check_depth(self, between: bytes, text: bytes, was_in_string: bool) -> None:
        brackets = between.translate(None, _NOT_BRACKETS)
        depths = list(accumulate(map(_STEPS.__getitem__, brackets), initial=self._depth))
        if max(depths) > MAX_DEPTH:
            raise LabelLimits(self._where, f"it nests deeper than {MAX_DEPTH}", _CURE)
        # Objects further in are built whole, and their keys are compared then.
        if self._is_map and min(depths) <= 1 and len(self._top_keys) < _MAX_TOP_KEYS:
            self._note_top_keys(b'"' + text if was_in_string else text)
        self._depth = depths[-1]

    def _note_top_keys(self, text: bytes) -> None:
        depth, last = self._depth, b""
        for token in _TOKEN.findall(text):
            if token[:1] == b'"':
                last = token
            elif token != b":":
                depth += _STEPS[token[0]]
            elif depth == 1:
                if last in self._top_keys:
                    raise DuplicateKey(self._where, last.strip(b'"').decode(errors="replace"))
                self._top_keys.add(last)

    @property
    def _where(self) -> str:
        return f"near byte {self._seen_bytes}"


def _has_odd_numbers(between: bytes) -> bool:
    return b"NaN" in between or b"Infinity" in between or _HUGE.search(between) is not None


def _without_odd_numbers(piece: bytes, is_in_string: bool) -> bytes:
    start = match.end() if is_in_string and (match := _REST_OF_STRING.match(piece)) else 0
    # The quote that ends such a string must not be taken for one that begins another.
    start += is_in_string
    return piece[:start] + _STRING_OR_NO_NUMBER.sub(_text_or_null, piece[start:])


def _text_or_null(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0].startswith(b'"') else b"null"
