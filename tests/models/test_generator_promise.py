"""What every generator promises, asked of every generator there is."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.generators.interface import Direction, Generator, Scene, SceneObject
from models.generators.network import ConfigValue
from models.generators.sci import SCI
from models.generators.zero_dce import ZeroDCE
from models.inference import Translator
from models.layouts import LAYOUTS, clean_kind
from models.registry import BUNDLED, GENERATORS, load_generator
from models.weights import ConvertedWeights, save_weights

MakeState = Callable[..., dict[str, Tensor]]
MakeVariables = Callable[..., dict[str, NDArray[np.float32]]]
Image = NDArray[np.uint8]

SIZES = [(1, 1), (17, 23), (200, 300)]
# options that change what a network computes
VARIANTS: dict[str, tuple[str, dict[str, ConfigValue]]] = {
    "enlightengan to night": (
        "enlightengan",
        {"attention": "bright", "working_px": 32, "padding": "reflect"},
    ),
    "cyclegan at 32 px": ("cyclegan", {"skip": True, "working_px": 32, "padding": "reflect"}),
}
NAMES = [*GENERATORS, *LAYOUTS, *VARIANTS, *BUNDLED]


@pytest.fixture(scope="module")
def make(
    resnet_state: MakeState, cut_state: MakeState, unet_state: MakeState, kind_variables: MakeVariables
) -> Callable[[str], Generator]:
    small = {
        "cut": ConvertedWeights("cut", cut_state(), {"channels": 4, "blocks": 2}),
        "cyclegan": ConvertedWeights("cyclegan", resnet_state(), {"channels": 4, "blocks": 2}),
        "enlightengan": ConvertedWeights("enlightengan", unet_state(), {"channels": 2}),
        "kind": ConvertedWeights("kind", cleaned(kind_variables()), {"restoration_channels": 2}),
        "sci": ConvertedWeights("sci", sci_state(), {"channels": 3}),
        "zero-dce": ConvertedWeights("zero-dce", ZeroDCE(4).state_dict(), {"channels": 4}),
    }

    def build(name: str) -> Generator:
        architecture, options = VARIANTS.get(name, (name, {}))
        if architecture not in small:
            return load_generator(name)
        weights = small[architecture]
        return load_generator(
            architecture, save_weights(replace(weights, config={**weights.config, **options}))
        )

    return build


def cleaned(variables: dict[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    state = clean_kind({name: torch.from_numpy(array) for name, array in variables.items()})
    return {name: tensor.contiguous() for name, tensor in state.items()}


def sci_state() -> dict[str, Tensor]:
    """Not the first weights of a training, which say nearly the same of all images."""
    dice = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(tensor.shape, generator=dice) - 0.5 * (not key.endswith("running_var"))
        if tensor.is_floating_point()
        else tensor
        for key, tensor in SCI(3).state_dict().items()
    }


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


@pytest.mark.parametrize("name", [*GENERATORS.keys() - {"identity"}, *BUNDLED])
def test_the_way_to_night_darkens_and_the_way_to_day_brightens(name: str) -> None:
    card = {**GENERATORS, **BUNDLED}[name]
    is_to_night = card.direction is Direction.DAY2NIGHT
    shown = photo(160, 240) if is_to_night else (photo(160, 240) // 4)
    (made,) = Translator(load_generator(name), "cpu").translate([shown], [Scene(1)])
    assert (made.mean() < 0.8 * shown.mean()) if is_to_night else (made.mean() > 1.1 * shown.mean())
