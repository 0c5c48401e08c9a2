"""SCI beside its published formula, written out in NumPy, and beside its published weights."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.errors import CheckpointRejected
from models.generators.interface import Scene
from models.generators.sci import DARKEST, SCI, Illumination, relit
from models.training.sci_networks import Calibration
from models.weights import ConvertedWeights, build_network, convert_checkpoint, load_weights, save_weights

State = dict[str, Tensor]
Array = NDArray[np.float64]

PUBLISHED = ("sci_easy.pt", "sci_medium.pt", "sci_difficult.pt")
BLOCK = {
    "in_conv.0.weight": (3, 3, 3, 3), "in_conv.0.bias": (3,),
    "conv.0.weight": (3, 3, 3, 3), "conv.0.bias": (3,),
    "conv.1.weight": (3,), "conv.1.bias": (3,),
    "conv.1.running_mean": (3,), "conv.1.running_var": (3,), "conv.1.num_batches_tracked": (),
    "out_conv.0.weight": (3, 3, 3, 3), "out_conv.0.bias": (3,),
}  # fmt: skip


def drawn_state(channels: int = 3, seed: int = 0) -> State:
    """Weights that have something to say, unlike the first ones of a training."""
    dice = torch.Generator().manual_seed(seed)
    state = SCI(channels).state_dict()
    for key, tensor in state.items():
        if key.endswith("num_batches_tracked"):
            tensor.fill_(5)
        else:
            tensor.normal_(0, 0.3, generator=dice)
        if key.endswith("running_var"):
            tensor.abs_().add_(0.2)
    return dict(state)


def in_training(state: State) -> State:
    """`weights_….pt`: beside the block its copy, and its teacher, whose copies there are three of."""
    teacher = Calibration().state_dict()
    copies = {
        f"calibrate.blocks.{number}.{key.removeprefix('convs.')}": tensor
        for number in range(3)
        for key, tensor in teacher.items()
        if key.startswith("convs.")
    }
    twins = {key.replace(".conv.", ".blocks.0."): tensor for key, tensor in state.items() if ".conv." in key}
    return {**state, **twins, **{f"calibrate.{key}": tensor for key, tensor in teacher.items()}, **copies}


def saved(state: State) -> bytes:
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def by_the_formula(state: State, image: Array) -> tuple[Array, Array]:
    """(3, H, W) in [0, 1]: its illumination, and itself divided by it."""
    weights = {key.removeprefix("enhance."): tensor.double().numpy() for key, tensor in state.items()}

    def convolved(x: Array, name: str) -> Array:
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        windows = sliding_window_view(padded, (3, 3), axis=(1, 2))
        found: Array = np.einsum("chwij,ocij->ohw", windows, weights[f"{name}.weight"])
        return found + np.asarray(weights[f"{name}.bias"][:, None, None], np.float64)

    def normalised(x: Array, name: str) -> Array:
        mean, var, scale, shift = (
            weights[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        found: Array = (x - mean) / np.sqrt(var + 1e-5) * scale + shift
        return found

    features = np.maximum(convolved(image, "in_conv.0"), 0)
    features = features + np.maximum(normalised(convolved(features, "conv.0"), "conv.1"), 0)
    illumination = 1 / (1 + np.exp(-convolved(features, "out_conv.0"))) + image
    illumination = np.clip(illumination, 1e-4, 1)
    return illumination, np.clip(image / illumination, 0, 1)


def assert_computes_the_formula(state: State, image: Array) -> None:
    network = SCI.build_from_state(state).eval()
    images = torch.from_numpy(image)[None].float()
    with torch.no_grad():
        light, enhanced = network.enhance(images), network(images, [Scene(0)])
    expected_light, expected = by_the_formula(state, image)
    np.testing.assert_allclose(light[0].numpy(), expected_light, atol=1e-5)
    np.testing.assert_allclose(enhanced[0].numpy(), expected, atol=1e-5)


def noisy(height: int, width: int, brightest: float = 0.4, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0, brightest, (3, height, width))


@pytest.fixture(scope="module")
def night_frames() -> list[Array]:
    """A few real ones at a quarter of their size; they lie beside the repository where they are at hand."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "street" / "images" / "night_test"
    if not folder.is_dir():
        pytest.skip("night frames are not at hand (../shared/data/street/images/night_test)")
    frames = []
    for path in sorted(folder.glob("*.jpg"))[::12][:4]:
        with Image.open(path) as opened:
            frames.append(np.asarray(opened.convert("RGB").reduce(4)).transpose(2, 0, 1) / 255)
    return frames


def test_published_network_has_258_parameters_at_the_published_places() -> None:
    with torch.device("meta"):
        network = SCI()
    assert sum(parameter.numel() for parameter in network.parameters()) == 258
    expected = {f"enhance.{key}": shape for key, shape in BLOCK.items()}
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == expected


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 14)], ids=str)
def test_network_computes_the_published_formula(channels: int, size: tuple[int, int]) -> None:
    assert_computes_the_formula(drawn_state(channels), noisy(*size))


@pytest.mark.parametrize("file", PUBLISHED)
def test_with_published_weights_too(real_weights: Path, file: str) -> None:
    weights = convert_checkpoint(real_weights / file, "sci")
    for brightest in (0.02, 0.3, 1.0):
        assert_computes_the_formula(weights.state, noisy(12, 17, brightest))


def test_in_full_light_and_in_the_dark_by_hand() -> None:
    network = SCI.build_from_state({key: tensor.fill_(0) for key, tensor in drawn_state().items()}).eval()
    # without weights the sigmoid says 0.5: 0.1 / 0.6, 0.5 / 1, and black stays black
    image = torch.tensor([0.1, 0.5, 0.0]).view(1, 3, 1, 1)
    with torch.no_grad():
        enhanced = network(image, [Scene(0)]).flatten()
    torch.testing.assert_close(enhanced, torch.tensor([1 / 6, 0.5, 0.0]), atol=1e-6, rtol=0)


def test_nothing_is_divided_by_zero() -> None:
    block = Illumination().eval()
    block.load_state_dict({**block.state_dict(), "out_conv.0.bias": torch.full((3,), -1e4)})
    with torch.no_grad():
        light = block(torch.zeros(1, 3, 4, 4))
    assert torch.equal(light, torch.full_like(light, DARKEST))
    assert torch.equal(relit(torch.zeros(1, 3, 4, 4), light), torch.zeros(1, 3, 4, 4))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    brightest=st.floats(0, 1),
    strength=st.floats(0, 1),
)
def test_whatever_the_weights_nothing_gets_darker_or_leaves_the_range(
    seed: int, size: tuple[int, int], brightest: float, strength: float
) -> None:
    network = SCI.build_from_state(drawn_state(seed=seed)).eval()
    images = torch.from_numpy(noisy(*size, brightest, seed))[None].float()
    with torch.no_grad():
        enhanced = network(images, [Scene(0, strength)])
        assert (relit(images, network.enhance(images)) >= images).all()
    # on the way through [-1, 1] the last digits are lost
    assert (enhanced >= images - 1e-6).all()
    assert enhanced.min() >= 0
    assert enhanced.max() <= 1


@pytest.mark.parametrize("file", PUBLISHED)
def test_published_checkpoints_brighten_real_night_frames(
    real_weights: Path, night_frames: list[Array], file: str
) -> None:
    network = build_network(convert_checkpoint(real_weights / file, "sci")).eval()
    for frame in night_frames:
        night = torch.from_numpy(frame)[None].float()
        with torch.no_grad():
            day = network(night, [Scene(0)])
        assert (day >= night - 1e-6).all()
        before, after = (
            float(0.299 * i[:, 0].mean() + 0.587 * i[:, 1].mean() + 0.114 * i[:, 2].mean())
            for i in (night, day)
        )
        assert after > 1.2 * before


@pytest.mark.parametrize("file", PUBLISHED)
def test_of_published_checkpoints_258_weights_remain(real_weights: Path, file: str) -> None:
    weights = convert_checkpoint(real_weights / file, "sci")
    network = build_network(weights)
    assert weights.config == {"channels": 3}
    assert weights.state.keys() == network.state_dict().keys() == {f"enhance.{key}" for key in BLOCK}
    assert sum(parameter.numel() for parameter in network.parameters()) == 258
    published = torch.load(real_weights / file, map_location="cpu", weights_only=True)
    assert all(torch.equal(tensor, published[key]) for key, tensor in weights.state.items())


@pytest.mark.parametrize("file", PUBLISHED)
def test_the_teacher_in_published_checkpoints_is_the_one_that_is_trained_here(
    real_weights: Path, file: str
) -> None:
    published = torch.load(real_weights / file, map_location="cpu", weights_only=True)
    teacher = {
        key.removeprefix("calibrate."): tensor
        for key, tensor in published.items()
        if key.startswith("calibrate.") and ".blocks." not in key
    }
    network = Calibration()
    network.load_state_dict(teacher)
    with torch.no_grad():
        added = network.eval()(torch.rand(1, 3, 9, 7))
    assert added.shape == (1, 3, 9, 7)
    assert added.abs().max() <= 1
    # what is left out are copies
    for key, tensor in published.items():
        twin = ".".join(["calibrate.convs", *key.split(".")[3:]]) if "calibrate.blocks" in key else key
        assert torch.equal(published[twin], tensor), key


@pytest.mark.parametrize("channels", [3, 5])
def test_checkpoints_import_with_and_without_what_training_adds(channels: int) -> None:
    state = drawn_state(channels)
    under_module = {f"module.{key}": tensor for key, tensor in in_training(state).items()}
    for content in (state, in_training(state), under_module):
        weights = convert_checkpoint(saved(content), "sci")
        assert weights.config == {"channels": channels}
        assert weights.state.keys() == state.keys()
        assert all(torch.equal(weights.state[key], tensor) for key, tensor in state.items())


def test_blocks_that_do_not_share_their_weights_are_refused() -> None:
    state = in_training(drawn_state())
    state["enhance.blocks.0.0.weight"] = state["enhance.blocks.0.0.weight"] + 1e-3
    with pytest.raises(CheckpointRejected) as caught:
        convert_checkpoint(saved(state), "sci")
    assert "'enhance.blocks.0.0.weight' and 'enhance.conv.0.weight' differ" in caught.value.message
    assert "whose blocks do" in caught.value.cure


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("enhance.out_conv.0.bias"), "missing: enhance.out_conv.0.bias"),
        (
            lambda state: state.update({"enhance.blocks.1.0.weight": torch.zeros(3, 3, 3, 3)}),
            "surplus: enhance.blocks.1.0.weight",
        ),
        (
            lambda state: state.update({"calibrate.convs.6.weight": torch.zeros(16)}),
            "surplus: calibrate.convs.6.weight",
        ),
        (
            lambda state: state.update({"enhance.out_conv.0.weight": torch.zeros(1, 3, 3, 3)}),
            "of another shape: enhance.out_conv.0.weight (1, 3, 3, 3) instead of (3, 3, 3, 3)",
        ),
    ],
)
def test_missing_surplus_and_misshapen_tensors_are_named(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    state = in_training(drawn_state())
    change(state)
    with pytest.raises(CheckpointRejected) as caught:
        convert_checkpoint(saved(state), "sci")
    assert caught.value.message == f"The tensors do not fit an SCI enhancer: {message}."


def test_weights_survive_being_saved_and_loaded() -> None:
    state = drawn_state(5)
    again = load_weights(save_weights(ConvertedWeights("sci", state, {"channels": 5})))
    assert again.config == {"channels": 5}
    assert all(torch.equal(build_network(again).state_dict()[key], tensor) for key, tensor in state.items())


def test_the_original_s_code_wants_its_copies_too() -> None:
    assert not SCI().fits_original_code
    assert len(in_training(drawn_state())) == 83


def test_gradients_reach_every_weight() -> None:
    network = SCI()
    network(torch.rand(2, 3, 8, 8) * 0.3, [Scene(0), Scene(1)]).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
