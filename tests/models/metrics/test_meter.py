import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image as Pillow
from torch import Tensor

from models.metrics.backbone import Backbone
from models.metrics.backbones import load_backbone
from models.metrics.frame import Image
from models.metrics.measurements import Measurements
from models.metrics.meter import FrameMeter


@pytest.fixture(scope="module")
def meter() -> FrameMeter:
    return FrameMeter()


class MeanColour(Backbone):
    def __init__(self) -> None:
        super().__init__("mean colour", "c" * 64, 3)

    def embed(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def test_the_same_pixels_give_the_same_numbers(meter: FrameMeter, picture: Image) -> None:
    boxes = [(10.0, 10.0, 90.0, 80.0)]
    first = meter.measure(picture, picture[::-1], boxes)
    assert meter.measure(picture.copy(), picture[::-1].copy(), boxes) == first
    assert FrameMeter().measure(picture, picture[::-1], boxes) == first


def test_many_threads_may_measure_at_once(meter: FrameMeter, picture: Image) -> None:
    frames = [np.roll(picture, 10 * number, axis=1) for number in range(8)]
    one_by_one = [meter.measure(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(meter.measure, frames)) == one_by_one


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 700, 3), (97, 200, 3), (64, 64, 3), (480, 300, 3)])
def test_any_size_can_be_measured(meter: FrameMeter, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    row = meter.measure(image, image, [(0.0, 0.0, 20.0, 20.0)])
    assert 0 <= row.night <= 1
    assert row.features.shape == (128,)
    scale = min(1.0, 640 / max(shape))
    assert int(row.brightness.sum()) == max(1, round(shape[0] * scale)) * round(shape[1] * scale)
    assert row.similarity_outside == pytest.approx(1) or math.isnan(row.similarity_outside)


def test_numbers_of_a_flat_frame_are_known(meter: FrameMeter) -> None:
    row = meter.measure(np.full((192, 192, 3), 50, np.uint8))
    assert (row.luma, row.noise) == (50, 0)
    assert row.brightness[12] == 192 * 192
    assert math.isnan(row.niqe)


def test_large_frames_are_measured_at_the_working_size(meter: FrameMeter) -> None:
    dice = np.random.default_rng(0)
    large = dice.integers(0, 256, (720, 1280, 3)).astype(np.uint8)
    small = np.asarray(Pillow.fromarray(large).resize((640, 360), Pillow.Resampling.BICUBIC))
    boxes = [(100.0, 100.0, 300.0, 200.0)]
    half = [(50.0, 50.0, 150.0, 100.0)]
    assert meter.measure(large, large[::-1], boxes) == meter.measure(
        small, np.asarray(Pillow.fromarray(large[::-1]).resize((640, 360), Pillow.Resampling.BICUBIC)), half
    )


def test_without_a_source_nothing_is_compared(meter: FrameMeter, picture: Image) -> None:
    row = meter.measure(picture, boxes=[(0.0, 0.0, 50.0, 50.0)])
    assert (row.similarity_inside, row.boxes) == (0, 0)
    assert math.isnan(row.similarity_outside)


def test_the_bundled_backbone_is_not_computed_twice(meter: FrameMeter, picture: Image) -> None:
    backbone = load_backbone()
    named = FrameMeter(backbone)
    assert named.backbone is named._judge is backbone
    assert named.measure(picture) == meter.measure(picture)


def test_another_backbone_gives_its_features_and_streetnet_the_verdict(
    meter: FrameMeter, picture: Image
) -> None:
    other = FrameMeter(MeanColour())
    row = other.measure(picture)
    assert row.features == pytest.approx(picture.mean(axis=(0, 1)) / 255, abs=1e-3)
    assert row.night == meter.measure(picture).night
    assert (other.yardstick.backbone, other.yardstick.dim) == ("mean colour", 3)
    assert other.yardstick.niqe_sha256 == meter.yardstick.niqe_sha256


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
    ],
)
def test_what_is_no_rgb_of_uint8_is_refused(meter: FrameMeter, image: Image) -> None:
    with pytest.raises(ValueError, match="expected an RGB image of uint8"):
        meter.measure(image)


def test_a_source_of_another_shape_is_refused(meter: FrameMeter, picture: Image) -> None:
    with pytest.raises(ValueError, match="source must be of the image's shape"):
        meter.measure(picture, picture[:-1])


def measured(meter: FrameMeter, frames: dict[int, Image]) -> Measurements:
    measurements = Measurements(meter.yardstick)
    for number, frame in frames.items():
        measurements.add(number, meter.measure(frame))
    return measurements


def test_shards_measured_apart_are_one_pass_bit_for_bit(meter: FrameMeter, picture: Image) -> None:
    frames = {number: np.roll(picture, 30 * number, axis=1) for number in range(6)}
    whole = measured(meter, frames)
    even, odd = (
        measured(FrameMeter(), {number: frames[number] for number in range(first, 6, 2)}) for first in (0, 1)
    )
    odd.merge([even])
    assert odd.to_bytes() == whole.to_bytes()
