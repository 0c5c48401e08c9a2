"""The process that looks at strangers' images: bytes in, a plain image out, confined before the first byte.

Its answer is what there is to say of the image, the file to store, and the pixels of its thumbnail.
"""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, MpoImagePlugin

from service.confined.child import Answer, refusal, serve
from workers.images import ImageRejected, PlainImage, make_plain


def answer(check: Callable[[bytes], PlainImage], data: bytes) -> Answer:
    try:
        plain = check(data)
    except ImageRejected as error:
        return refusal(error.code, error.message, error.cure)
    except MemoryError:
        cure = "Reduce it, and its boxes with it."
        return refusal("image-too-large", "The image takes more memory than it may have.", cure)
    except Exception as error:  # whatever a decoder trips over, it is this image's fault
        problem = f"The image cannot be decoded: {type(error).__name__}."
        return refusal("truncated-image", problem, "Export it again; it is damaged.")
    is_same = plain.data == data
    facts = {
        "suffix": plain.suffix,
        "width_px": plain.width_px,
        "height_px": plain.height_px,
        "small": plain.small.shape[:2],
        "notes": plain.notes,
        "is_same": is_same,
    }
    return Answer(facts, b"" if is_same else plain.data, plain.small.tobytes())


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
    serve(partial(answer, make_plain))
