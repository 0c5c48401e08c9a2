"""What every generator promises, asked of every generator there is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.generators.interface import Generator, Scene, SceneObject
from models.inference import Translator
from models.registry import ARCHITECTURES, GENERATORS, load_generator
from models.weights import ConvertedWeights, save_weights

MakeState = Callable[..., dict[str, Tensor]]
Image = NDArray[np.uint8]

SIZES = [(1, 1), (17, 23), (200, 300)]
NAMES = [*GENERATORS, *ARCHITECTURES]


@pytest.fixture(scope="module")
def make(resnet_state: MakeState, cut_state: MakeState, unet_state: MakeState) -> Callable[[str], Generator]:
    small = {
        "cut": ConvertedWeights("cut", cut_state(), {"channels": 4, "blocks": 2}),
        "cyclegan": ConvertedWeights("cyclegan", resnet_state(), {"channels": 4, "blocks": 2}),
        "enlightengan": ConvertedWeights("enlightengan", unet_state(), {"channels": 2}),
    }

    def build(name: str) -> Generator:
        return load_generator(name, save_weights(small[name]) if name in small else None)

    return build


def photo(height: int, width: int, seed: int = 0) -> Image:
    dice = np.random.default_rng(seed)
    slope = np.linspace(220, 60, height)[:, None, None] * np.linspace(1, 0.7, width)[:, None]
    return np.clip(slope + dice.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def scene(seed: int, strength: float = 1.0) -> Scene:
    cars = (SceneObject((2.0, 3.0, 9.0, 8.0), "car", {}), SceneObject((30.0, 60.0, 90.0, 120.0), "car", {}))
    return Scene(seed, strength, cars)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_images_keep_their_size(make: Callable[[str], Generator], name: str, size: tuple[int, int]) -> None:
    (night,) = Translator(make(name), "cpu").translate([photo(*size)], [scene(1)])
    assert night.shape == (*size, 3)
    assert night.dtype == np.uint8
    assert night.flags.c_contiguous


@pytest.mark.parametrize("name", NAMES)
def test_values_stay_between_0_and_1(make: Callable[[str], Generator], name: str) -> None:
    generator = make(name)
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        translated = generator(images.clone(), [scene(1), scene(2)])
    assert translated.shape == images.shape
    assert translated.dtype == images.dtype
    assert translated.min() >= 0
    assert translated.max() <= 1


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_no_strength_changes_nothing(
    make: Callable[[str], Generator], name: str, size: tuple[int, int]
) -> None:
    (same,) = Translator(make(name), "cpu").translate([photo(*size)], [scene(1, strength=0)])
    np.testing.assert_array_equal(same, photo(*size))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_has_the_same_bytes_alone_among_others_and_again(
    make: Callable[[str], Generator], name: str
) -> None:
    days = [photo(45, 70, seed) for seed in range(3)]
    scenes = [scene(seed) for seed in range(3)]
    together = Translator(make(name), "cpu").translate(days, scenes)
    alone = [Translator(make(name), "cpu").translate([d], [s])[0] for d, s in zip(days, scenes, strict=True)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_a_generator_declares_is_enough(
    make: Callable[[str], Generator], name: str
) -> None:
    generator = make(name)
    images = torch.rand(1, 3, generator.stride, generator.stride)
    with torch.inference_mode():
        assert generator(images, [Scene(0)]).shape == images.shape
