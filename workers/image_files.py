"""JPEG and PNG files as lists of parts, so that what is not picture can be left away without decoding.

Metadata tells where a photo was taken, hides bombs, and makes one file two things at once; none of it is
needed to learn from an image. The compressed pixels stay as they are, byte for byte. Image libraries can only
drop metadata by encoding anew, so this is our own.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

JPEG_MARK = b"\xff\xd8\xff"
PNG_MARK = b"\x89PNG\r\n\x1a\n"
# What files begin with that people take for a JPEG or PNG. HEIC and AVIF say so behind their length.
OTHER_FORMATS = {
    "GIF": re.compile(rb"GIF8[79]a"),
    "TIFF": re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "BMP": re.compile(rb"BM....\0\0\0\0", re.DOTALL),
    "HEIC or AVIF": re.compile(rb"....ftyp(?:hei|hev|mif|msf|avi)", re.DOTALL),
    "JPEG 2000": re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    "JPEG XL": re.compile(rb"\0\0\0\x0cJXL |\xff\x0a"),
}
_JFIF, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_COMMENT, _SCAN, _END = 0xFE, 0xDA, 0xD9
_APPLICATION = range(0xE0, 0xF0)
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
# In the pixels of a scan a 0xFF is followed by 0 or by a restart mark.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_PIXEL_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND"})
# To read an image also: colours, transparency, orientation, and whether there are more pictures.
_READ_CHUNKS = _PIXEL_CHUNKS | {b"PLTE", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"}


@dataclass(frozen=True, slots=True)
class Parts:
    """A file's bytes by purpose.

    `to_read` is what a decoder needs to show the image as it is meant: colour profile and orientation too;
    `to_store` what is kept if it is plain; `behind` counts the bytes after the picture's end.
    """

    to_read: bytes
    to_store: bytes
    behind: int


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    stop: int
    is_read: bool
    is_stored: bool


def parts_of(data: bytes) -> Parts | None:
    """None if the file is broken, or of another kind: then only a decoder can tell what it is."""
    try:
        if data.startswith(JPEG_MARK):
            spans = list(_jpeg_spans(data))
        elif data.startswith(PNG_MARK):
            spans = list(_png_spans(data))
        else:
            return None
    except (IndexError, struct.error):
        return None  # it ends in the middle of a part
    to_read = _joined(data, [span for span in spans if span.is_read])
    to_store = _joined(data, [span for span in spans if span.is_stored])
    return Parts(to_read, to_store, len(data) - spans[-1].stop)


def other_format(data: bytes) -> str | None:
    """The name of an image format that is not read, if the file is of one."""
    return next((name for name, mark in OTHER_FORMATS.items() if mark.match(data)), None)


def _joined(data: bytes, spans: list[_Span]) -> bytes:
    length = sum(span.stop - span.start for span in spans)
    return data if length == len(data) else b"".join(data[span.start : span.stop] for span in spans)


def _jpeg_spans(data: bytes) -> Iterator[_Span]:
    yield _Span(0, 2, True, True)
    start = 2
    while True:
        if data[start] != 0xFF:
            raise IndexError
        code = data[start + 1]
        if code == _END:
            yield _Span(start, start + 2, True, True)
            return
        stop = _jpeg_stop(data, start, code)
        is_picture = code not in _APPLICATION and code != _COMMENT
        is_stored = is_picture or code in (_JFIF, _ADOBE)
        yield _Span(start, stop, is_stored or _is_wanted(data, start, code), is_stored)
        start = stop


def _jpeg_stop(data: bytes, start: int, code: int) -> int:
    if code == 0xFF:  # a filler
        return start + 1
    if code in _ALONE:
        return start + 2
    (length,) = struct.unpack_from(">H", data, start + 2)
    stop: int = start + 2 + length
    if length < 2 or stop > len(data):
        raise IndexError
    if code != _SCAN:
        return stop
    if (found := _NEXT_MARKER.search(data, stop)) is None:
        raise IndexError
    return found.start()


def _is_wanted(data: bytes, start: int, code: int) -> bool:
    """The orientation and the colour profile, not the comments, thumbnails and maker's notes beside them."""
    return (code == _EXIF and data.startswith(b"Exif\0", start + 4)) or (
        code == _ICC and data.startswith(b"ICC_PROFILE\0", start + 4)
    )


def _png_spans(data: bytes) -> Iterator[_Span]:
    yield _Span(0, 8, True, True)
    start, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, start)
        stop = start + 12 + length
        if stop > len(data):
            raise IndexError
        yield _Span(start, stop, kind in _READ_CHUNKS, kind in _PIXEL_CHUNKS)
        start = stop
