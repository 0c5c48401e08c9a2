from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.errors import NotEnoughMemory
from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from models.generators.identity import Identity
from models.generators.interface import Generator, Scene, SceneObject
from models.inference import Translator

DICE = np.random.default_rng(0)
ERRORS = {
    "gpu": lambda: torch.OutOfMemoryError("CUDA out of memory"),
    "cpu": lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "python": MemoryError,
}


class Negative(Generator):
    """A network of one pixel each: tiles and whole images must agree exactly. Remembers what it was given."""

    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []
        self.scenes: list[Scene] = []

    def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
        self.shapes.append(tuple(images.shape))
        self.scenes += scenes
        return 1 - images


class Cramped(Negative):
    """Runs out of memory at more than so many pixels."""

    def __init__(self, pixels: int, error: Callable[[], Exception] = ERRORS["gpu"]) -> None:
        super().__init__()
        self.pixels = pixels
        self.error = error

    def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
        if images.numel() // 3 > self.pixels:
            raise self.error()
        return super().forward(images, scenes)


class CrampedWhole(Cramped):
    is_tileable = False


def photos(count: int, height: int, width: int) -> list[np.ndarray]:
    return list(DICE.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def scenes(count: int) -> list[Scene]:
    return [Scene(seed) for seed in range(count)]


def assert_negative(nights: list[np.ndarray], days: list[np.ndarray]) -> None:
    assert len(nights) == len(days)
    for night, day in zip(nights, days, strict=True):
        np.testing.assert_array_equal(night, 255 - day)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 5), st.integers(1, 4))
def test_every_image_comes_back_in_order_and_size(height: int, width: int, count: int, batch: int) -> None:
    generator = Negative()
    days = photos(count, height, width)
    assert_negative(Translator(generator, "cpu", batch_size=batch).translate(days, scenes(count)), days)
    assert [scene.seed for scene in generator.scenes] == list(range(count))
    assert all(h % 4 == 0 and w % 4 == 0 for _, _, h, w in generator.shapes)
    assert max(shape[0] for shape in generator.shapes) == min(batch, count)


def test_every_level_survives_the_way_through_floats() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    (same,) = Translator(Identity(), "cpu").translate([levels], [Scene(0)])
    np.testing.assert_array_equal(same, levels)


def test_borders_are_mirrored_half_on_each_side() -> None:
    class Recorder(Negative):
        def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
            self.seen = images.mul(255).round()
            return super().forward(images, scenes)

    generator = Recorder()
    row = np.array([10, 20, 30, 40, 50, 60], dtype=np.uint8)
    Translator(generator, "cpu").translate([row.reshape(1, 6, 1).repeat(3, axis=2)], [Scene(0)])
    assert generator.seen.shape == (1, 3, 4, 8)
    assert generator.seen[0, 0, 0].tolist() == [20, 10, 20, 30, 40, 50, 60, 50]
    assert generator.seen[0, 0, 3].tolist() == [20, 10, 20, 30, 40, 50, 60, 50]


def test_objects_move_with_the_padding() -> None:
    generator = Negative()
    scene = Scene(7, 0.5, (SceneObject((1.0, 0.0, 3.0, 1.0), "car", {"occluded": True}),))
    Translator(generator, "cpu").translate(photos(1, 1, 6), [scene])
    # one row above (of three in all), one column to the left (of two)
    moved = SceneObject((2.0, 1.0, 4.0, 2.0), "car", {"occluded": True})
    assert generator.scenes == [Scene(7, 0.5, (moved,))]


def test_read_only_images_are_welcome_and_stay_as_they_are() -> None:
    (day,) = photos(1, 9, 9)
    day.flags.writeable = False
    before = day.copy()
    assert_negative(Translator(Negative(), "cpu").translate([day], [Scene(0)]), [before])


def test_nothing_in_nothing_out() -> None:
    assert Translator(Negative(), "cpu").translate([], []) == []


@pytest.mark.parametrize(
    ("images", "count"),
    [
        ([*photos(1, 8, 8), *photos(1, 8, 9)], 2),
        (photos(2, 8, 8), 1),
        ([np.zeros((8, 8, 3))], 1),
        ([np.zeros((8, 8), np.uint8)], 1),
        ([np.zeros((8, 8, 4), np.uint8)], 1),
    ],
)
def test_other_images_are_refused(images: list[np.ndarray], count: int) -> None:
    with pytest.raises(ValueError, match="images"):
        Translator(Negative(), "cpu").translate(images, scenes(count))


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
def test_short_memory_halves_the_batch_and_is_remembered(error: Callable[[], Exception]) -> None:
    generator = Cramped(pixels=3 * 64, error=error)
    translator = Translator(generator, "cpu", batch_size=8)
    days = photos(9, 8, 8)
    assert_negative(translator.translate(days, scenes(9)), days)
    assert_negative(translator.translate(days, scenes(9)), days)
    assert translator.notes == [
        "out of memory at batch 8: halved to 4",
        "out of memory at batch 4: halved to 2",
    ]
    assert [shape[0] for shape in generator.shapes] == [2, 2, 2, 2, 1] * 2


def test_smaller_images_keep_their_larger_batch() -> None:
    generator = Cramped(pixels=4 * 64)
    translator = Translator(generator, "cpu", batch_size=4)
    translator.translate(photos(2, 16, 16), scenes(2))
    translator.translate(photos(4, 8, 8), scenes(4))
    assert [shape[0] for shape in generator.shapes] == [1, 1, 4]


def test_short_memory_ends_in_tiles_of_half_the_side_that_join_without_a_trace() -> None:
    generator = Cramped(pixels=160 * 160)
    translator = Translator(generator, "cpu", batch_size=2)
    days = photos(2, 300, 602)
    assert_negative(translator.translate(days, scenes(2)), days)
    assert translator.notes == [
        "out of memory at batch 2: halved to 1",
        "out of memory at 602x300: in tiles of 304 px",
        "out of memory in tiles of 304 px: halved to 152 px",
    ]
    assert set(generator.shapes) == {(1, 3, 152, 152)}


def test_objects_are_cut_to_the_tile() -> None:
    generator = Negative()
    objects = (
        SceneObject((10.0, 10.0, 20.0, 20.0), "car", {}),
        SceneObject((100.0, 50.0, 200.0, 60.0), "bus", {}),
    )
    Translator(generator, "cpu", max_tile_px=128).translate(photos(1, 128, 224), [Scene(3, 1.0, objects)])
    left, right = generator.scenes
    assert [(o.category, o.xyxy) for o in left.objects] == [
        ("car", (10.0, 10.0, 20.0, 20.0)),
        ("bus", (100.0, 50.0, 128.0, 60.0)),
    ]
    assert [(o.category, o.xyxy) for o in right.objects] == [("bus", (4.0, 50.0, 104.0, 60.0))]
    assert left.seed == right.seed == 3


def test_a_longest_side_can_be_set_beforehand() -> None:
    generator = Negative()
    translator = Translator(generator, "cpu", max_tile_px=128)
    days = photos(1, 130, 300)
    assert_negative(translator.translate(days, [Scene(0)]), days)
    assert translator.notes == []
    assert set(generator.shapes) == {(1, 3, 128, 128)}


@pytest.mark.parametrize(
    "generator", [Cramped(128 * 128 - 1), CrampedWhole(300 * 300)], ids=["tiles", "whole"]
)
def test_when_nothing_fits_the_error_says_so(generator: Generator) -> None:
    translator = Translator(generator, "cpu", batch_size=2)
    with pytest.raises(NotEnoughMemory, match="An image of 400x304 does not fit into the memory of "):
        translator.translate(photos(1, 304, 400), [Scene(0)])


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="broken"):
        Translator(Cramped(0, lambda: RuntimeError("broken")), "cpu").translate(photos(1, 4, 4), [Scene(0)])


def test_networks_agree_with_themselves_in_tiles_but_for_the_seams() -> None:
    torch.manual_seed(0)
    network = EnlightenGAN(channels=2)
    (day,) = photos(1, 160, 256)
    (whole,) = Translator(network, "cpu").translate([day], [Scene(0)])
    (tiled,) = Translator(network, "cpu", max_tile_px=128).translate([day], [Scene(0)])
    assert np.abs(whole.astype(int) - tiled).mean() < 1


def test_the_layout_in_memory_is_the_one_measured_faster() -> None:
    assert Translator(EnlightenGAN(channels=2), "cpu").describe()["memory_format"] == "channels_last"
    assert Translator(CycleGAN(2, 1), "cpu").describe()["memory_format"] == "contiguous"


def test_description_says_what_the_bytes_depend_on() -> None:
    described = Translator(Identity(), "cpu", batch_size=3).describe()
    assert described.keys() == {"device", "precision", "torch", "memory_format", "batch_size"}
    assert described["precision"] == "float32"
    assert described["torch"] == torch.__version__
    assert described["batch_size"] == 3
    assert described["device"]


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"max_tile_px": 64}])
def test_senseless_limits_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Translator(Identity(), "cpu", **wrong)
