"""The process that looks at strangers' images: bytes in, a plain image out, confined before the first byte.

A message is three lengths and three blocks: JSON, the image file to store, the pixels of its thumbnail. What
is sent here may be hostile, and so may be what comes back: the other end believes none of it.
"""

import io
import json
import os
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, MpoImagePlugin

from workers.confinement import confine, grant_cpu
from workers.images import ImageRejected, PlainImage, make_plain

PIPE = 0  # a socket, read and written
REQUEST = struct.Struct(">Q")
ANSWER = struct.Struct(">QQQ")


def serve(check: Callable[[bytes], PlainImage]) -> None:
    """Answer until the other end closes the pipe."""
    confine()
    _send({"ready": True})
    while head := _receive(REQUEST.size):
        data = _receive(*REQUEST.unpack(head))
        grant_cpu()
        try:
            plain = check(data)
        except ImageRejected as error:
            _send({"refused": [error.code, error.message, error.cure]})
        except MemoryError:
            cure = "Reduce it, and its boxes with it."
            _send({"refused": ["image-too-large", "The image takes more memory than it may have.", cure]})
        except Exception as error:  # whatever a decoder trips over, it is this image's fault
            problem = f"The image cannot be decoded: {type(error).__name__}."
            _send({"refused": ["truncated-image", problem, "Export it again; it is damaged."]})
        else:
            _send_image(plain, is_same=plain.data == data)


def _send_image(plain: PlainImage, is_same: bool) -> None:
    facts = {
        "suffix": plain.suffix,
        "width_px": plain.width_px,
        "height_px": plain.height_px,
        "small": plain.small.shape[:2],
        "notes": plain.notes,
        "is_same": is_same,
    }
    _send(facts, b"" if is_same else plain.data, plain.small.tobytes())


def _send(facts: dict[str, Any], data: bytes = b"", small: bytes = b"") -> None:
    text = json.dumps(facts).encode()
    for block in (ANSWER.pack(len(text), len(data), len(small)) + text, data, small):
        left = memoryview(block)
        while left:
            left = left[os.write(PIPE, left) :]


def _receive(size: int) -> bytes:
    data = bytearray(size)
    left = memoryview(data)
    while left:
        count = os.readv(PIPE, [left])
        if not count:
            return b""
        left = left[count:]
    return bytes(data)


def warm_up() -> None:
    """Whatever is only loaded when first used must be loaded before no file can be opened any more."""
    assert MpoImagePlugin  # noqa: S101 - Pillow imports it when it meets a phone's picture
    picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    for mode, form in (("RGB", "JPEG"), ("RGB", "PNG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG")):
        buffer = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.convert(mode).save(buffer, form, exif=exif)
        make_plain(buffer.getvalue())
    for broken in (b"", b"no image", buffer.getvalue()[:60]):
        try:
            make_plain(broken)
        except ImageRejected:
            continue


if __name__ == "__main__":
    warm_up()
    serve(make_plain)
