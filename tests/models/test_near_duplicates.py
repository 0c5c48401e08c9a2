"""Near-duplicates: copies of a moment are found; other places, other nights and other moments are not."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from models.near_duplicates import Fingerprints, fingerprint, near_pairs

Copy = Callable[[Image.Image], Image.Image]
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
WIDTH_PX, HEIGHT_PX = 320, 180


def drawn_place(seed: int, vehicles: int | None = None, night: bool = False) -> Image.Image:
    """Walls and windows under a sky, and `vehicles` (their seed) on the road; almost black by `night`."""
    dice = np.random.default_rng(seed)
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), (150, 180, 220))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 100, WIDTH_PX, HEIGHT_PX), fill=(100, 100, 105))
    x = 0
    while x < WIDTH_PX:
        width, top = int(dice.integers(15, 70)), int(dice.integers(10, 85))
        draw.rectangle(
            (x, top, x + width, 105), fill=tuple(int(level) for level in dice.integers(30, 200, 3))
        )
        for y in range(top + 5, 95, 14):
            if dice.random() < 0.6:
                draw.rectangle((x + 4, y, x + 4 + width // 3, y + 7), fill=(240, 220, 150))
        x += width
    if vehicles is not None:
        road = np.random.default_rng(vehicles)
        for x1, y1 in zip(road.integers(0, 270, 4), (108, 118, 130, 145), strict=True):
            paint = tuple(int(level) for level in road.choice((20, 230), 3))
            draw.rectangle((int(x1), y1, int(x1) + 45, y1 + 24), fill=paint)
    return ImageEnhance.Brightness(image).enhance(0.12) if night else image


def lamps(seed: int, count: int = 5) -> Image.Image:
    """A black frame with a few lamps and the noise of a camera."""
    dice = np.random.default_rng(seed)
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX))
    draw = ImageDraw.Draw(image)
    for x, y in zip(dice.integers(0, WIDTH_PX - 8, count), dice.integers(20, 140, count), strict=True):
        draw.ellipse((int(x), int(y), int(x) + 8, int(y) + 8), fill=(255, 230, 180))
    return noisy(image, seed)


def noisy(image: Image.Image, seed: int = 0) -> Image.Image:
    pixels = np.asarray(image) + np.random.default_rng(seed).normal(0, 4, (image.height, image.width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def cropped(image: Image.Image, share: float) -> Image.Image:
    x, y = round(share * image.width), round(share * image.height)
    return image.crop((x, y, image.width - x, image.height - y))


COPIES: dict[str, Copy] = {
    "encoded at quality 30": lambda image: jpeg(image, 30),
    "at half the size": lambda image: image.reduce(2),
    "squeezed to a square": lambda image: image.resize((416, 416)),
    "cropped by 2 % at each side": lambda image: cropped(image, 0.02),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darkened": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "noisy": noisy,
    "cropped, brightened, shrunk, encoded": lambda image: jpeg(
        ImageEnhance.Brightness(cropped(image, 0.01)).enhance(1.1).resize((240, 130)), 40
    ),
}


def prints(images: Iterable[Image.Image]) -> Fingerprints:
    return np.stack([fingerprint(image) for image in images])


def noise(count: int, seed: int = 0) -> Fingerprints:
    return np.random.default_rng(seed).integers(-60, 61, (count, 32, 32), dtype=np.int8)


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("night", [False, True], ids=["day", "night"])
def test_every_copy_is_found_and_paired_with_its_original(copy: Copy, night: bool) -> None:
    places = [drawn_place(seed, vehicles=seed, night=night) for seed in range(12)]
    pairs = near_pairs(prints(copy(place) for place in places), prints(places))
    assert [(pair.tested, pair.other) for pair in pairs] == [(index, index) for index in range(12)]


@pytest.mark.parametrize("night", [False, True], ids=["day", "night"])
def test_other_places_are_not_near(night: bool) -> None:
    places = prints(drawn_place(seed, vehicles=seed, night=night) for seed in range(80))
    assert near_pairs(places[:40], places[40:]) == []


def test_dark_frames_with_lamps_in_other_places_are_not_near() -> None:
    dark = prints(lamps(seed) for seed in range(80))
    assert near_pairs(dark[:40], dark[40:]) == []
    assert dark.any(axis=(1, 2)).all()


def test_dark_frame_is_found_again_under_other_noise() -> None:
    (pair,) = near_pairs(prints([lamps(7)]), prints([lamps(6), noisy(jpeg(lamps(7), 40), seed=99), lamps(8)]))
    assert pair.other == 1


@pytest.mark.parametrize("night", [False, True], ids=["day", "night"])
def test_other_moment_of_a_fixed_camera_is_not_near_but_the_same_moment_is(night: bool) -> None:
    moments = [drawn_place(3, vehicles=seed, night=night) for seed in range(12)]
    assert near_pairs(prints(moments[:6]), prints(moments[6:])) == []
    again = near_pairs(prints(jpeg(moment, 30) for moment in moments), prints(moments))
    assert [pair.other for pair in again] == list(range(12))


def test_mirrored_copy_is_not_near() -> None:
    place = drawn_place(1)
    mirrored = place.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert near_pairs(prints([mirrored]), prints([place])) == []


@pytest.mark.parametrize("level", [0, 3, 128, 255])
def test_frame_without_structure_is_near_nothing_not_even_itself(level: int) -> None:
    blank = jpeg(noisy(Image.new("RGB", (WIDTH_PX, HEIGHT_PX), (level,) * 3)), 60)
    flat = prints([blank])
    assert not flat.any()
    assert near_pairs(flat, flat) == []


def test_array_an_image_and_a_shrunk_one_have_the_same_fingerprint() -> None:
    place = drawn_place(5, vehicles=5)
    whole = fingerprint(place)
    assert whole.shape == (32, 32)
    assert whole.dtype == np.int8
    np.testing.assert_array_equal(fingerprint(np.asarray(place)), whole)
    (pair,) = near_pairs(fingerprint(place.reduce(3))[None], whole[None])
    assert pair.changed_cells == 0


def slope() -> NDArray[np.int8]:
    """Ever brighter from left to right, by 2 a cell: neighbours never differ by a change."""
    return np.tile(np.arange(-31, 33, 2, dtype=np.int8), (32, 1))


@pytest.mark.parametrize(("changed", "is_near"), [(0, True), (1, True), (16, True), (17, False)])
def test_up_to_sixteen_cells_may_change(changed: int, is_near: bool) -> None:
    other = slope()
    places = [(y, x) for y in range(1, 31, 5) for x in range(1, 31, 5)][:changed]
    for y, x in places:
        other[y, x] += 14  # 12 above the brightest of the nine: the one to the right is 2 brighter
    pairs = near_pairs(slope()[None], other[None])
    assert [pair.changed_cells for pair in pairs] == ([changed] if is_near else [])


@pytest.mark.parametrize(("above", "changed"), [(10, 0), (11, 1)])
def test_cell_has_changed_when_more_than_ten_steps_above_its_neighbours(above: int, changed: int) -> None:
    other = slope()
    other[9, 9] = slope()[9, 10] + above
    (pair,) = near_pairs(slope()[None], other[None])
    assert pair.changed_cells == changed


def test_pattern_moved_by_one_cell_has_not_changed() -> None:
    # two waves a thumbnail, flat at its borders; in between up to 39 steps a cell, four times a change
    cells = np.tile(100 * np.cos(np.arange(33) * 2 * np.pi / 16), (32, 1)).astype(np.int8)
    (pair,) = near_pairs(cells[None, :, :32], cells[None, :, 1:])
    assert pair.changed_cells == 0


def test_least_changed_of_several_is_named_and_of_equals_the_most_correlated() -> None:
    moved, dimmed = slope(), slope()
    moved[5, 5] += 14
    dimmed[5, 5] += 6
    (pair,) = near_pairs(slope()[None], np.stack([moved, dimmed, slope()]))
    assert pair.other == 2
    assert pair.correlation == pytest.approx(1.0, abs=1e-5)
    (pair,) = near_pairs(slope()[None], np.stack([moved, dimmed]))
    assert (pair.other, pair.changed_cells) == (1, 0)


@pytest.mark.parametrize(("tested", "others"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_is_near_when_one_side_is_empty(tested: int, others: int) -> None:
    assert near_pairs(noise(tested), noise(others)) == []


def test_blocks_leave_no_frame_out() -> None:
    others = noise(300)
    order = np.random.default_rng(1).permutation(300)
    pairs = near_pairs(others[order], others)
    assert [(pair.tested, pair.other) for pair in pairs] == list(enumerate(order))


def test_more_pairs_than_are_compared_at_once_give_one_pair_a_frame() -> None:
    pairs = near_pairs(np.stack([slope()] * 40), np.stack([slope()] * 40))
    assert [pair.tested for pair in pairs] == list(range(40))


@given(seed=st.integers(0, 2**32 - 1), wobble=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_nearness_is_mutual(seed: int, wobble: int) -> None:
    one = noise(1, seed)
    shaken = one + np.random.default_rng(seed).integers(-wobble, wobble + 1, one.shape, dtype=np.int8)
    forth, back = near_pairs(one, shaken), near_pairs(shaken, one)
    assert [pair.changed_cells for pair in forth] == [pair.changed_cells for pair in back]
    assert bool(forth) or wobble > 5


def real_frames(folder: str, every: int = 1) -> list[Image.Image]:
    files = sorted((REAL / folder).glob("*.jpg"))
    if not files:
        pytest.skip(f"real frames are not at hand (../shared/data/{folder})")
    frames = []
    for path in files[::every]:
        with Image.open(path) as image:
            image.draft("RGB", (160, 80))  # a JPEG decoded at a quarter of its size is enough
            frames.append(image.convert("RGB"))
    return frames


def test_real_night_streets_hold_no_frame_of_the_streets_trained_on() -> None:
    night_test = prints(real_frames("street/images/night_test", every=2))
    night_train = prints(real_frames("street/images/night_train"))
    assert near_pairs(night_test, night_train) == []


def test_real_fixed_camera_by_night_shows_other_moments() -> None:
    night_test = prints(real_frames("motorway/images/night_test"))
    night_train = prints(real_frames("motorway/images/night_train"))
    assert near_pairs(night_test, night_train) == []


def test_real_night_frames_are_found_when_cropped_and_encoded_again() -> None:
    frames = real_frames("street/images/night_test", every=4)
    copies = prints(jpeg(cropped(frame, 0.02), 40) for frame in frames)
    assert len(near_pairs(copies, prints(frames))) >= 0.95 * len(frames)
