"""Tiles show the truth and each arm's boxes where they lie, in the arm's colour."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from workers.report.drawing import DARK
from workers.report.montage import CAPTION_PX, GAP_PX, TRUTH, montage


def dark(width: int = 480, height: int = 270) -> Image.Image:
    return Image.new("RGB", (width, height), (8, 8, 12))


def has_colour(image: Image.Image, box: tuple[int, int, int, int], colour: str) -> bool:
    pixels = np.asarray(image.crop(box)).reshape(-1, 3)
    return bool((pixels == ImageColor.getrgb(colour)).all(axis=1).any())


def tile(number: int, width: int = 480, height: int = 270, columns: int = 2) -> tuple[int, int, int, int]:
    """The picture of a tile, without its caption."""
    row, column = divmod(number, columns)
    left = GAP_PX + column * (width + GAP_PX)
    top = GAP_PX + row * (height + CAPTION_PX + GAP_PX) + CAPTION_PX
    return left, top, left + width, top + height


def test_the_truth_is_in_the_first_tile_and_each_arm_in_one_of_its_own() -> None:
    sheet = montage(
        dark(), [((50, 60, 120, 110), "car")], {"day": [], "day+night": [((300, 60, 400, 200), "car", 0.9)]}
    )
    assert has_colour(sheet, tile(0), TRUTH)
    assert not has_colour(sheet, tile(1), DARK[0])
    assert has_colour(sheet, tile(2), DARK[1])
    assert sheet.size == (2 * 480 + 3 * GAP_PX, 2 * (270 + CAPTION_PX) + 3 * GAP_PX)


def test_a_box_is_drawn_where_it_lies_in_a_frame_made_smaller() -> None:
    sheet = montage(dark(960, 540), [], {"day": [((400, 300, 800, 500), "car", 0.5)]})
    left, top, _, _ = tile(1)
    for x, y in ((200, 200), (400, 200), (300, 250)):  # left, right and lower edge, at half the size
        assert has_colour(sheet, (left + x - 2, top + y - 2, left + x + 3, top + y + 3), DARK[0])
    assert not has_colour(sheet, (left + 210, top + 160, left + 390, top + 240), DARK[0])


def test_what_an_arm_missed_shows_as_a_thin_line_of_truth() -> None:
    sheet = montage(dark(), [((50, 60, 120, 110), "car")], {"day": []})
    assert has_colour(sheet, tile(1), TRUTH)


@pytest.mark.parametrize(("arms", "columns"), [(0, 1), (1, 2), (3, 2), (4, 3), (11, 3)])
def test_tiles_stand_in_rows(arms: int, columns: int) -> None:
    sheet = montage(dark(), [], {f"arm {number}": [] for number in range(arms)})
    rows = -(-(arms + 1) // columns)
    assert sheet.size == (
        columns * 480 + (columns + 1) * GAP_PX,
        rows * (270 + CAPTION_PX) + (rows + 1) * GAP_PX,
    )


@pytest.mark.parametrize("size", [(1, 1), (4000, 3), (3, 4000), (64, 64)])
def test_a_frame_of_any_size_becomes_a_tile(size: tuple[int, int]) -> None:
    sheet = montage(dark(*size), [((0, 0, 1, 1), "car")], {"day": [((0, 0, 1, 1), "car", 1.0)]})
    assert max(sheet.size) <= 2 * 480 + 3 * GAP_PX


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_any_kind_of_image_is_drawn_on(mode: str) -> None:
    assert montage(dark().convert(mode), [], {"day": []}).mode == "RGB"


@pytest.mark.parametrize("name", ["", "<script>", "夜" * 500, "a\x00\u202e\ud800\n", "x" * 10_000])
def test_a_hostile_name_changes_no_size(name: str) -> None:
    box = (-50.0, -50.0, 9000.0, 9000.0)
    sheet = montage(dark(), [(box, name)], {name: [(box, name, 0.5)]})
    assert sheet.size == montage(dark(), [], {"day": []}).size
