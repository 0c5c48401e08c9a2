"""JSON label files read as streams: constant memory, and faults that name their place."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import ijson

from service.errors import LabelUnreadable

PIECE_BYTES = 1 << 16
# UTF-32 begins like UTF-16, so these two also catch it.
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class LabelNotUtf8(LabelUnreadable):
    """The bytes of a label file are not UTF-8 text."""

    code = "label-encoding"


def pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's bytes in order, without a UTF-8 byte order mark.

    Raises:
        LabelNotUtf8: if the text begins as UTF-16 or UTF-32 does.
    """
    head = stream.read(PIECE_BYTES)
    if head.startswith(_WIDE_MARKS) or b"\0" in head[:4]:
        raise LabelNotUtf8("byte 0", "this is UTF-16 or UTF-32 text", "Save the file as UTF-8.")
    yield head.removeprefix(codecs.BOM_UTF8)
    while piece := stream.read(PIECE_BYTES):
        yield piece


def decode_text(data: bytes, where: str) -> str:
    """One small text file (YOLO labels, data.yaml), without its byte order mark.

    Raises:
        LabelNotUtf8: naming the first bad byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"{where}, byte {error.start}"
        raise LabelNotUtf8(place, "this is not UTF-8 text", "Save the file as UTF-8.") from None


def items(source: Iterable[bytes], *prefixes: str) -> Iterator[tuple[int, Any]]:
    """The values found under each ijson prefix, with the prefix's number, in one pass over the bytes.

    Raises:
        LabelUnreadable: naming the line, or in a large file the byte, where the JSON breaks.
    """

    def start(prefix: str) -> Callable[[Any], Any]:
        return lambda sink: ijson.items_coro(sink, prefix, use_float=True)

    return _pump(source, [start(prefix) for prefix in prefixes])


def events(source: Iterable[bytes]) -> Iterator[tuple[str, str, Any]]:
    """ijson's (prefix, event, value) triples, for a look at the structure."""
    for _, event in _pump(source, [lambda sink: ijson.parse_coro(sink, use_float=True)]):
        yield event


def _pump(source: Iterable[bytes], starts: list[Callable[[Any], Any]]) -> Iterator[tuple[int, Any]]:
    sinks = [ijson.sendable_list() for _ in starts]
    parsers = [start(sink) for start, sink in zip(starts, sinks, strict=True)]
    first, offset = b"", 0
    try:
        for piece in source:
            first = first or piece
            for parser in parsers:
                parser.send(piece)
            yield from _drain(sinks)
            offset += len(piece)
        for parser in parsers:
            parser.close()
    # ijson lets half of an escaped surrogate pair through to the decoder.
    except (ijson.JSONError, UnicodeDecodeError) as error:
        whole = first if offset <= len(first) else None
        raise _unreadable(str(error), whole, offset) from None
    yield from _drain(sinks)


def _drain(sinks: list[Any]) -> Iterator[tuple[int, Any]]:
    for number, sink in enumerate(sinks):
        for item in sink:
            yield number, item
        sink.clear()


def _unreadable(problem: str, whole: bytes | None, offset: int) -> LabelUnreadable:
    """What to tell of a parser error; `whole` is the file's text if it is small enough to be at hand."""
    if "invalid bytes in UTF8" in problem:
        return LabelNotUtf8(_bad_byte(whole, offset), "this is not UTF-8 text", "Save the file as UTF-8.")
    where, short = f"near byte {offset}", problem.splitlines()[0]
    if whole is not None:
        try:
            json.loads(whole)
        except json.JSONDecodeError as error:
            where, short = f"line {error.lineno} column {error.colno}", error.msg
        except (UnicodeDecodeError, RecursionError, ValueError):
            pass
    return LabelUnreadable(where, f"this is not JSON ({short})", _cure(problem))


def _bad_byte(whole: bytes | None, offset: int) -> str:
    try:
        (whole or b"").decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start}"
    return f"near byte {offset}"


def _cure(problem: str) -> str:
    if "premature EOF" in problem:
        return "The file ends too early: copy or download it again."
    if re.search(r"\b(NaN|Infinity)\b", problem):
        return "JSON has no NaN or Infinity: mend the program that wrote the file."
    if "overflow" in problem:
        return "A number in it is too large to be a coordinate or an id."
    return "Mend the file, or leave it out."
