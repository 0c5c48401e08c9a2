"""What a generator sees beyond the border: zeros, as published, or the image itself."""

import pytest
import torch
from torch import Tensor, nn

from models.generators.cut import CUT
from models.generators.cyclegan import CycleGAN
from models.layers.blocks import Padding
from models.registry import load_generator
from models.weights import ConvertedWeights, save_weights

KINDS = [CycleGAN, CUT]


def without_norms(network: CycleGAN | CUT) -> nn.Sequential:
    """They measure the whole image, and would make the smallest difference large."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.InstanceNorm2d):
                setattr(module, name, nn.Identity())
    return network.model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("padding", "is_indifferent"), [("reflect", True), ("zeros", False)])
def test_with_reflection_a_plain_image_shows_no_border(
    kind: type[CycleGAN | CUT], padding: Padding, is_indifferent: bool
) -> None:
    torch.manual_seed(0)
    layers = without_norms(kind(4, 2, padding))
    # CycleGAN's doublings leave a pattern of 4 pixels, which the last convolution would mirror at the border
    period, layers = (4, layers[:-3]) if kind is CycleGAN else (1, layers)
    with torch.no_grad():
        features = layers(torch.full((1, 3, 32, 40), 0.3))
    repeats = [torch.allclose(features, features.roll(period, dims=dim), atol=1e-5) for dim in (2, 3)]
    assert repeats == [is_indifferent] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_keys_shapes_and_sizes_are_the_same(kind: type[CycleGAN | CUT]) -> None:
    plain, reflecting = kind(2, 1, "zeros"), kind(2, 1, "reflect")
    reflecting.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 16, 24)
    assert reflecting.translate(images).shape == plain.translate(images).shape == images.shape


@pytest.mark.parametrize("kind", KINDS)
def test_far_from_the_border_nothing_changes(kind: type[CycleGAN | CUT]) -> None:
    torch.manual_seed(0)
    plain, reflecting = kind(2, 1, "zeros"), kind(2, 1, "reflect")
    reflecting.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        one, other = (without_norms(network)(images) for network in (plain, reflecting))
    torch.testing.assert_close(one[..., 40:56, 40:56], other[..., 40:56, 40:56])
    assert not torch.allclose(one, other)


@pytest.mark.parametrize(("kind", "name"), [(CycleGAN, "cyclegan"), (CUT, "cut")])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_stored_weights_remember_it(kind: type[CycleGAN | CUT], name: str, padding: Padding) -> None:
    network = kind(2, 1, padding)
    state: dict[str, Tensor] = dict(network.state_dict())
    stored = save_weights(ConvertedWeights(name, state, {**kind.config_of(state), **network.options()}))
    loaded = load_generator(name, stored)
    assert isinstance(loaded, kind)
    assert loaded.padding == padding
    images = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(loaded.translate(images), network.translate(images))
