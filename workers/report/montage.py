"""One test frame, many times: with its true boxes, and with the boxes that each arm found."""

from collections.abc import Iterator, Mapping, Sequence

from PIL import Image, ImageColor, ImageDraw, ImageFont

from service.experiments.wording import printable
from workers.report.drawing import DARK

XYXY = tuple[float, float, float, float]
TILE_PX = 480
GAP_PX = 6
CAPTION_PX = 22
PAPER = (21, 24, 29)
TRUTH = "#f4f6f8"
_CAPTION_FONT = ImageFont.load_default(13)
_LABEL_FONT = ImageFont.load_default(11)


def montage(
    image: Image.Image,
    truth: Sequence[tuple[XYXY, str]],
    by_arm: Mapping[str, Sequence[tuple[XYXY, str, float]]],
) -> Image.Image:
    """Tiles in rows of two or three: the truth, then each arm with the truth in thin lines below its boxes.

    Arms are to come in the report's order, all of them: their place gives them their colour.

    Args:
        image: any mode; drawn in RGB.
        truth: boxes in the image's pixels, with their categories.
        by_arm: boxes, categories and scores in [0, 1] that each arm found.
    """
    scale = min(1.0, TILE_PX / image.width, TILE_PX / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    labelled = [(_scaled(xyxy, scale), label) for xyxy, label in truth]
    tiles = [_truth_tile(small, labelled)]
    for colour, (arm, found) in zip(_colours(), by_arm.items(), strict=False):
        boxes = [(_scaled(xyxy, scale), f"{label} {score:.2f}") for xyxy, label, score in found]
        tiles.append(_arm_tile(small, arm, colour, labelled, boxes))
    return _grid(tiles)


def _colours() -> Iterator[str]:
    while True:
        yield from DARK


def _scaled(xyxy: XYXY, scale: float) -> XYXY:
    x1, y1, x2, y2 = (value * scale for value in xyxy)
    return x1, y1, x2, y2


def _truth_tile(image: Image.Image, truth: Sequence[tuple[XYXY, str]]) -> Image.Image:
    tile = image.copy()
    for xyxy, label in truth:
        _draw_box(tile, xyxy, TRUTH, label)
    return _captioned(tile, f"truth · {len(truth)}", TRUTH)


def _arm_tile(
    image: Image.Image,
    arm: str,
    colour: str,
    truth: Sequence[tuple[XYXY, str]],
    found: Sequence[tuple[XYXY, str]],
) -> Image.Image:
    tile = image.copy()
    for xyxy, _ in truth:
        _draw_outline(tile, xyxy, TRUTH, width_px=1)
    for xyxy, label in found:
        _draw_box(tile, xyxy, colour, label)
    return _captioned(tile, f"{arm} · {len(found)}", colour)


def _draw_box(tile: Image.Image, xyxy: XYXY, colour: str, label: str) -> None:
    """The label stands above its box, or inside where there is no room above."""
    _draw_outline(tile, xyxy, colour, width_px=2)
    draw = ImageDraw.Draw(tile)
    text = _fitting(label, _LABEL_FONT, tile.width / 3)
    width, height = draw.textlength(text, font=_LABEL_FONT) + 4, 13
    left = min(max(0.0, xyxy[0]), max(0.0, tile.width - width))
    top = xyxy[1] - height if xyxy[1] >= height else max(0.0, xyxy[1])
    draw.rectangle((left, top, left + width, top + height), fill=colour)
    draw.text((left + 2, top), text, fill=PAPER, font=_LABEL_FONT)


def _draw_outline(tile: Image.Image, xyxy: XYXY, colour: str, width_px: int) -> None:
    x1, y1, x2, y2 = xyxy
    ImageDraw.Draw(tile).rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=colour, width=width_px)


def _captioned(tile: Image.Image, caption: str, colour: str) -> Image.Image:
    whole = Image.new("RGB", (tile.width, tile.height + CAPTION_PX), PAPER)
    whole.paste(tile, (0, CAPTION_PX))
    draw = ImageDraw.Draw(whole)
    draw.rectangle((0, 5, 10, 15), fill=ImageColor.getrgb(colour))
    text = _fitting(caption, _CAPTION_FONT, tile.width - 20)
    draw.text((16, 2), text, fill=TRUTH, font=_CAPTION_FONT)
    return whole


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
    """As much of the text as fits on one line."""
    text = printable(text).replace("\n", " ")[:200]
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(f"{text}…") > width_px:
        text = text[:-1]
    return f"{text}…"


def _grid(tiles: Sequence[Image.Image]) -> Image.Image:
    columns = min(len(tiles), 2 if len(tiles) <= 4 else 3)
    rows = -(-len(tiles) // columns)
    width, height = tiles[0].size
    sheet = Image.new("RGB", (columns * (width + GAP_PX) + GAP_PX, rows * (height + GAP_PX) + GAP_PX), PAPER)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (GAP_PX + column * (width + GAP_PX), GAP_PX + row * (height + GAP_PX)))
    return sheet
