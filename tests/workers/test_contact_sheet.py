"""The sheet shows pairs of any size, whatever their names."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workers.contact_sheet import BACKGROUND, CAPTION_PX, CELL_WIDTH_PX, GAP_PX, contact_sheet

WIDTH_PX = 2 * CELL_WIDTH_PX + 3 * GAP_PX


def plain(kit: Any, colour: tuple[int, int, int], width: int = 64, height: int = 32) -> bytes:
    data: bytes = kit.encoded(np.full((height, width, 3), colour, np.uint8), "PNG")
    return data


def opened(sheet: bytes) -> Image.Image:
    with Image.open(io.BytesIO(sheet)) as image:
        assert image.format == "JPEG"
        return image.convert("RGB")


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    found = np.asarray(image)[at[1], at[0]].astype(int)
    return bool(np.abs(found - colour).max() <= 8)


def test_each_pair_is_a_row_with_the_source_on_the_left(kit: Any) -> None:
    day, night = plain(kit, (200, 180, 40)), plain(kit, (20, 30, 90))
    image = opened(contact_sheet([("first", day, night), ("second", night, day)]))
    row = CAPTION_PX + CELL_WIDTH_PX // 2
    assert image.size == (WIDTH_PX, 2 * (row + GAP_PX) + GAP_PX)
    left, right = GAP_PX + CELL_WIDTH_PX // 2, 2 * GAP_PX + 3 * CELL_WIDTH_PX // 2
    for number, (one, other) in enumerate((((200, 180, 40), (20, 30, 90)), ((20, 30, 90), (200, 180, 40)))):
        middle = GAP_PX + number * (row + GAP_PX) + CAPTION_PX + CELL_WIDTH_PX // 4
        assert near(image, (left, middle), one)
        assert near(image, (right, middle), other)
    assert near(image, (GAP_PX // 2, image.height // 2), BACKGROUND)


@pytest.mark.parametrize(
    ("size", "height"), [((1, 3), 1440), ((4000, 2), 1), ((479, 101), 101), ((960, 540), 270)]
)
def test_a_row_is_as_high_as_its_image_asks(kit: Any, size: tuple[int, int], height: int) -> None:
    data = plain(kit, (9, 9, 9), *size)
    assert opened(contact_sheet([("a", data, data)])).size == (WIDTH_PX, height + CAPTION_PX + 2 * GAP_PX)


def test_no_pairs_make_an_empty_sheet() -> None:
    assert opened(contact_sheet([])).size == (WIDTH_PX, GAP_PX)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "\x00\x1b[31m\r\n\t",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "夜の街 🌃 \u202egpj.exe",
        "\ud800 half a letter",
        "n" * 10_000,
    ],
)
def test_a_hostile_name_changes_nothing_but_the_caption(kit: Any, name: str) -> None:
    data = plain(kit, (90, 90, 90))
    sheet = opened(contact_sheet([(name, data, data)]))
    usual = opened(contact_sheet([("frame", data, data)]))
    assert sheet.size == usual.size
    below = (0, GAP_PX + CAPTION_PX + 16, *sheet.size)  # past the JPEG blocks that touch the caption
    assert np.array_equal(np.asarray(sheet.crop(below)), np.asarray(usual.crop(below)))


@pytest.mark.parametrize(("name", "shown"), [("a\x00b\nc\u202ed", "a?b?c?d"), ("n" * 10_000, "n" * 70)])
def test_a_caption_is_one_short_line_of_printable_letters(kit: Any, name: str, shown: str) -> None:
    data = plain(kit, (90, 90, 90))
    assert contact_sheet([(name, data, data)]) == contact_sheet([(shown, data, data)])


def test_the_caption_shows_the_name(kit: Any) -> None:
    data = plain(kit, (90, 90, 90))
    caption = (GAP_PX, GAP_PX, WIDTH_PX, GAP_PX + CAPTION_PX)
    one, other = (
        np.asarray(opened(contact_sheet([(name, data, data)])).crop(caption)) for name in ("MMMM", "")
    )
    assert one.max() > 150 > other.max()
