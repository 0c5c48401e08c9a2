"""JSON label files read as streams: constant memory, and faults that name their place."""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import ijson

from service.datasets.json_guard import DuplicateKey, JsonGuard, LabelLimits
from service.errors import LabelUnreadable
from service.wording import cut

PIECE_BYTES = 1 << 16
MAX_LABEL_BYTES = 4 * 10**9
# One frame, annotation or file of one image; beyond that a stream would not be one.
MAX_RECORD_BYTES = 32_000_000
# UTF-32 begins like UTF-16, so these two also catch it.
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class LabelNotUtf8(LabelUnreadable):
    """The bytes of a label file are not UTF-8 text."""

    code = "label-encoding"


class LabelTooLarge(LabelUnreadable):
    """More text than labels of any dataset take."""

    code = "label-too-large"

    def __init__(self, where: str, limit_bytes: int) -> None:
        super().__init__(cut(where), f"it is larger than {limit_bytes:,} bytes", "Split the dataset.")


def pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's JSON in order, without a UTF-8 byte order mark, cut behind commas.

    Raises:
        LabelNotUtf8: if the text begins as UTF-16 or UTF-32 does.
        LabelLimits, DuplicateKey, LabelTooLarge: before a parser sees any of it.
    """
    guard, rest, size_bytes = JsonGuard(), b"", 0
    head = stream.read(PIECE_BYTES)
    if head.startswith(_WIDE_MARKS) or b"\0" in head[:4]:
        raise LabelNotUtf8("byte 0", "this is UTF-16 or UTF-32 text", "Save the file as UTF-8.")
    piece = head.removeprefix(codecs.BOM_UTF8)
    if not piece:
        yield piece  # the parser then says what is missing
    while piece:
        size_bytes += len(piece)
        if size_bytes > MAX_LABEL_BYTES:
            raise LabelTooLarge(f"byte {MAX_LABEL_BYTES}", MAX_LABEL_BYTES)
        following = stream.read(PIECE_BYTES)
        whole = rest + piece
        end = whole.rfind(b",") + 1  # a number is not to be cut in two
        if not following or (not end and len(whole) >= PIECE_BYTES):
            end = len(whole)
        if end:
            yield guard.check(whole[:end])
        rest, piece = whole[end:], following


def decode_text(data: bytes, where: str) -> str:
    """One small text file (YOLO labels, data.yaml), without its byte order mark.

    Raises:
        LabelNotUtf8: naming the first bad byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"{cut(where)}, byte {error.start}"
        raise LabelNotUtf8(place, "this is not UTF-8 text", "Save the file as UTF-8.") from None


def items(source: Iterable[bytes], *prefixes: str) -> Iterator[tuple[int, Any]]:
    """The values found under each ijson prefix, with the prefix's number, in one pass over the bytes.

    Raises:
        LabelUnreadable: naming the line, or in a large file the byte, where the JSON breaks.
    """
    twice: list[str] = []

    class NotingDict(dict[str, Any]):
        """A dict that notes what is set twice: the parser would swallow an exception."""

        __slots__ = ()

        def __setitem__(self, key: str, value: Any) -> None:
            if key in self:
                twice.append(key)
            dict.__setitem__(self, key, value)

    def start(prefix: str) -> Callable[[Any], Any]:
        return lambda sink: ijson.items_coro(sink, prefix, use_float=True, map_type=NotingDict)

    return _pump(source, [start(prefix) for prefix in prefixes], twice)


def events(source: Iterable[bytes]) -> Iterator[tuple[str, str, Any]]:
    """ijson's (prefix, event, value) triples, for a look at the structure."""
    for _, event in _pump(source, [lambda sink: ijson.parse_coro(sink, use_float=True)], []):
        yield event


def _pump(
    source: Iterable[bytes], starts: list[Callable[[Any], Any]], twice: list[str]
) -> Iterator[tuple[int, Any]]:
    sinks = [ijson.sendable_list() for _ in starts]
    parsers = [start(sink) for start, sink in zip(starts, sinks, strict=True)]
    first, offset, last_item = b"", 0, 0
    try:
        for piece in source:
            first = first or piece
            for parser in parsers:
                parser.send(piece)
            if twice:
                raise DuplicateKey(f"near byte {offset}", twice[0])
            if any(sinks):
                last_item = offset
            elif offset - last_item > MAX_RECORD_BYTES:
                problem = f"one record is larger than {MAX_RECORD_BYTES:,} bytes"
                raise LabelLimits(f"near byte {last_item}", problem, "Mend the file, or leave it out.")
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
    if "overflow" in problem:
        return "A number in it is too large to be a coordinate or an id."
    return "Mend the file, or leave it out."
