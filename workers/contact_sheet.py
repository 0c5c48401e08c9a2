"""Pairs of images side by side, to look at before believing a number."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

CELL_WIDTH_PX = 480
GAP_PX = 8
CAPTION_PX = 18
BACKGROUND = (24, 24, 28)
INK = (220, 220, 220)


def contact_sheet(pairs: Sequence[tuple[str, bytes, bytes]]) -> bytes:
    """A JPEG with one row for each (name, source image, translated image)."""
    rows = [_row(name, source, result) for name, source, result in pairs]
    width = 2 * CELL_WIDTH_PX + 3 * GAP_PX
    height = GAP_PX + sum(row.height + GAP_PX for row in rows)
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    top = GAP_PX
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + GAP_PX
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _row(name: str, source: bytes, result: bytes) -> Image.Image:
    left, right = _cell(source), _cell(result)
    row = Image.new("RGB", (2 * CELL_WIDTH_PX + 3 * GAP_PX, left.height + CAPTION_PX), BACKGROUND)
    ImageDraw.Draw(row).text((GAP_PX, 2), _printable(name), fill=INK)
    row.paste(left, (GAP_PX, CAPTION_PX))
    row.paste(right, (CELL_WIDTH_PX + 2 * GAP_PX, CAPTION_PX))
    return row


def _cell(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
        height = max(1, round(image.height * CELL_WIDTH_PX / image.width))
        return image.convert("RGB").resize((CELL_WIDTH_PX, height), Image.Resampling.LANCZOS)


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:70]
