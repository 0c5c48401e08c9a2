"""The process that reduces images: a file in, a small JPEG out, confined before the first byte.

Ingest has decoded the file once, and it may be hostile all the same: a decoder has more than one fault.
"""

import io

from PIL import Image

from service.confined.child import Answer, refusal, serve

WIDTH_PX = 320
MAX_HEIGHT_PX = 640
QUALITY = 80


def answer(data: bytes) -> Answer:
    try:
        return Answer({}, thumbnail(data))
    except Exception as error:  # whatever a decoder trips over, it is this image's fault
        return refusal("unreadable-image", f"The image cannot be reduced: {type(error).__name__}.", "")


def thumbnail(data: bytes) -> bytes:
    """At most `WIDTH_PX` wide, and never larger than the image."""
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
        # A large JPEG is decoded at a fraction of its size, which `thumbnail` asks for by itself.
        image.thumbnail((WIDTH_PX, MAX_HEIGHT_PX))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def warm_up() -> None:
    """Whatever is only loaded when first used must be loaded before no file can be opened any more."""
    for form in ("JPEG", "PNG"):
        buffer = io.BytesIO()
        Image.new("RGB", (2 * WIDTH_PX, 8)).save(buffer, form)
        thumbnail(buffer.getvalue())
    answer(b"no image")
    answer(buffer.getvalue()[:60])


if __name__ == "__main__":
    warm_up()
    serve(answer)
