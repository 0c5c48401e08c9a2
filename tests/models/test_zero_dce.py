from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from models.errors import CheckpointRejected
from models.generators.zero_dce import ROUNDS, ZeroDCE, bent
from models.training.data import Batch
from models.training.zero_dce_step import ZeroDCERecipe, ZeroDCEStep
from models.weights import build_network, convert_checkpoint

Array = NDArray[np.float64]


def convolved(image: Array, weight: Array, bias: Array) -> Array:
    """(C, H, W) by 3x3 kernels, zeros beyond the border, pixel by pixel."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    height, width = image.shape[1:]
    return np.stack(
        [
            [
                [(padded[:, y : y + 3, x : x + 3] * kernel).sum() + offset for x in range(width)]
                for y in range(height)
            ]
            for kernel, offset in zip(weight, bias, strict=True)
        ]
    )


def enhanced(image: Array, state: dict[str, Tensor]) -> Array:
    """The paper's network and curves, written out again."""

    def layer(number: int, features: Array) -> Array:
        weight, bias = (state[f"e_conv{number}.{part}"].double().numpy() for part in ("weight", "bias"))
        return convolved(features, weight, bias)

    one = np.maximum(layer(1, image), 0)
    two = np.maximum(layer(2, one), 0)
    three = np.maximum(layer(3, two), 0)
    four = np.maximum(layer(4, three), 0)
    five = np.maximum(layer(5, np.concatenate([three, four])), 0)
    six = np.maximum(layer(6, np.concatenate([two, five])), 0)
    curves = np.tanh(layer(7, np.concatenate([one, six])))
    for first in range(0, 24, 3):
        image = image + curves[first : first + 3] * (image**2 - image)
    return image


def test_a_curve_by_hand() -> None:
    # a = -1: x + x - x^2; 0.5 -> 0.75 -> 0.9375, then a = 0 six times
    curves = torch.zeros(1, 24, 1, 1)
    curves[:, :6] = -1
    torch.testing.assert_close(bent(torch.full((1, 3, 1, 1), 0.5), curves), torch.full((1, 3, 1, 1), 0.9375))


@given(
    strengths=st.lists(st.floats(-1, 1), min_size=ROUNDS, max_size=ROUNDS),
    levels=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
)
def test_curves_keep_range_ends_and_order(strengths: list[float], levels: list[float]) -> None:
    curves = torch.tensor(strengths).repeat_interleave(3).view(1, 24, 1, 1).expand(1, 24, 1, 4)
    shown = torch.tensor([0.0, *levels, 1.0]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    found = bent(shown, curves)[0, 0, 0]
    assert float(found[0]) == 0
    assert float(found[-1]) == 1
    assert found.diff().min() >= -1e-6


@pytest.mark.parametrize("published", [False, True])
def test_the_forward_pass_is_the_papers(published: bool, request: pytest.FixtureRequest) -> None:
    if published:
        folder: Path = request.getfixturevalue("real_weights")
        network = build_network(convert_checkpoint(folder / "zerodce_Epoch99.pth", "zero-dce"))
    else:
        torch.manual_seed(0)
        network = ZeroDCE(4)
    image = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = (network.translate(image * 2 - 1)[0] + 1) / 2
    expected = enhanced(image[0].double().numpy(), network.state_dict())
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


def test_published_weights_load_strictly_and_brighten(real_weights: Path) -> None:
    weights = convert_checkpoint(real_weights / "zerodce_Epoch99.pth", "zero-dce")
    assert weights.config == {"channels": 32}
    assert sum(tensor.numel() for tensor in weights.state.values()) == 79_416
    dark = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 0.2
    with torch.no_grad():
        lit = (build_network(weights).translate(dark * 2 - 1) + 1) / 2
    assert float(lit.mean()) > 2 * float(dark.mean())


def test_its_successor_is_another_network(real_weights: Path) -> None:
    with pytest.raises(CheckpointRejected, match=r"missing: e_conv1.bias.*surplus: e_conv1.depth_conv.bias"):
        convert_checkpoint(real_weights / "zerodcepp_Epoch99.pth", "zero-dce")


def test_losses_are_those_of_the_published_loop() -> None:
    dice = torch.Generator().manual_seed(0)
    day, night = (torch.rand(2, 3, 32, 32, generator=dice) * 2 - 1 for _ in range(2))
    step = ZeroDCEStep(ZeroDCERecipe())
    image = (night + 1) / 2
    with torch.no_grad():
        network = step.networks["G"]
        assert isinstance(network, ZeroDCE)
        curves = network.curves(image)
        lit = bent(image, curves)
    losses = step.update(Batch(day, night), 1.0)

    means = lit.mean(dim=(2, 3))
    red, green, blue = means.unbind(1)
    colours = ((red - green) ** 4 + (red - blue) ** 4 + (green - blue) ** 4).sqrt().mean()
    patches = lit.mean(dim=1, keepdim=True).unfold(2, 16, 16).unfold(3, 16, 16).mean(dim=(4, 5))
    across, down = curves.diff(dim=3).square().sum(), curves.diff(dim=2).square().sum()
    expected = {
        "colour_constancy": colours,
        "exposure": (patches - 0.6).square().mean(),
        # the original counts differences of one channel, and the images
        "curve_smoothness": 2 * (across + down) / (31 * 32) / 2,
    }
    for term, value in expected.items():
        assert float(losses[term]) == pytest.approx(float(value), rel=1e-4), term
    assert losses.keys() == {*expected, "spatial_consistency"}
