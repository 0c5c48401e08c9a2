from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from models.generators.cyclegan import CycleGAN
from models.generators.interface import Scene

MakeState = Callable[..., dict[str, Tensor]]


def by_the_table(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The 2-block generator written out by index, on [-1, 1]."""

    def conv(x: Tensor, key: str, **how: int) -> Tensor:
        return f.conv2d(x, state[f"{key}.weight"], state[f"{key}.bias"], **how)

    def up(x: Tensor, key: str) -> Tensor:
        weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
        return f.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)

    def mirror(x: Tensor, width: int) -> Tensor:
        return f.pad(x, (width, width, width, width), mode="reflect")

    x = f.relu(f.instance_norm(conv(mirror(images, 3), "model.1")))
    x = f.relu(f.instance_norm(conv(x, "model.4", stride=2, padding=1)))
    x = f.relu(f.instance_norm(conv(x, "model.7", stride=2, padding=1)))
    for block in ("model.10.conv_block", "model.11.conv_block"):
        inner = f.relu(f.instance_norm(conv(mirror(x, 1), f"{block}.1")))
        x = x + f.instance_norm(conv(mirror(inner, 1), f"{block}.5"))
    x = f.relu(f.instance_norm(up(x, "model.12")))
    x = f.relu(f.instance_norm(up(x, "model.15")))
    return torch.tanh(conv(mirror(x, 3), "model.19"))


def test_published_generator_has_48_tensors_and_11_378_179_parameters(resnet_state: MakeState) -> None:
    with torch.device("meta"):
        network = CycleGAN()
    state = network.state_dict()
    assert len(state) == 48
    assert sum(tensor.numel() for tensor in state.values()) == 11_378_179
    original = resnet_state(channels=64, blocks=9)
    assert {key: tensor.shape for key, tensor in state.items()} == {k: t.shape for k, t in original.items()}


@pytest.mark.parametrize(("channels", "blocks"), [(4, 2), (2, 6), (3, 9)])
def test_sizes_are_read_from_the_tensors(resnet_state: MakeState, channels: int, blocks: int) -> None:
    state = resnet_state(channels, blocks)
    assert CycleGAN.config_of(state) == {"channels": channels, "blocks": blocks}
    assert CycleGAN.build_from_state(state).state_dict().keys() == state.keys()


def test_network_computes_what_the_table_says(resnet_state: MakeState) -> None:
    state = resnet_state()
    network = CycleGAN.build_from_state(state).eval()
    images = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(network.translate(images), by_the_table(state, images))


def test_strength_blends_between_the_image_and_its_translation(resnet_state: MakeState) -> None:
    network = CycleGAN.build_from_state(resnet_state()).eval()
    day = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        none, half, full = network(day.expand(3, -1, -1, -1), [Scene(0, s) for s in (0.0, 0.5, 1.0)])
        night = (network.translate(day * 2 - 1)[0] + 1) / 2
    assert torch.equal(none, day[0])
    torch.testing.assert_close(full, night)
    torch.testing.assert_close(half, (day[0] + night) / 2)


def test_gradients_reach_every_weight(resnet_state: MakeState) -> None:
    network = CycleGAN.build_from_state(resnet_state())
    # a weighted sum: instance norm holds the plain mean still
    output = network(torch.rand(1, 3, 16, 16), [Scene(0)])
    (output * torch.rand(16, 16)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_with_a_skip_a_network_that_says_nothing_changes_little() -> None:
    network = CycleGAN(channels=4, blocks=1, skip=True)
    for parameter in network.model[-2].parameters():
        torch.nn.init.zeros_(parameter)
    images = torch.rand(2, 3, 16, 12) * 2 - 1
    assert torch.allclose(network.translate(images), 0.95 * images, atol=1e-6)
    black_and_white = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 16, 12)
    assert network.translate(black_and_white).isfinite().all()


def test_a_skip_needs_no_weights_of_its_own_but_is_no_longer_the_originals_network() -> None:
    with_skip, without = CycleGAN(channels=4, blocks=1, skip=True), CycleGAN(channels=4, blocks=1)
    assert with_skip.state_dict().keys() == without.state_dict().keys()
    assert (with_skip.fits_original_code, without.fits_original_code) == (False, True)
    assert with_skip.options()["skip"] is True


def test_at_its_working_size_a_network_sees_the_same_whatever_the_image_s() -> None:
    torch.manual_seed(0)
    network = CycleGAN(channels=4, blocks=1, padding="reflect", skip=True, working_px=32)
    network.requires_grad_(False)
    few = torch.rand(1, 3, 8, 12) * 2 - 1
    small, large = (f.interpolate(few, scale_factor=scale, mode="bilinear") for scale in (4, 16))
    difference = f.avg_pool2d(network.translate(large), 4) - network.translate(small)
    unaware = CycleGAN(channels=4, blocks=1, padding="reflect", skip=True)
    unaware.load_state_dict(network.state_dict())
    elsewhere = f.avg_pool2d(unaware.translate(large), 4) - unaware.translate(small)
    assert difference.abs().mean() < 0.3 * elsewhere.abs().mean()
    assert torch.equal(network.translate(small), unaware.translate(small))


@pytest.mark.parametrize("size", [(33, 50), (64, 36), (100, 100)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int]) -> None:
    network = CycleGAN(channels=4, blocks=1, padding="reflect", skip=True, working_px=32)
    assert network.translate(torch.zeros(2, 3, *size)).shape == (2, 3, *size)


def test_only_a_change_has_a_working_size() -> None:
    with pytest.raises(ValueError, match="change"):
        CycleGAN(channels=4, blocks=1, working_px=32)


def test_an_amplified_change_is_larger_by_just_that_much() -> None:
    torch.manual_seed(0)
    network = CycleGAN(channels=4, blocks=1, skip=True).requires_grad_(False)
    images = torch.rand(1, 3, 16, 16) - 0.5
    before = torch.atanh(network.translate(images)) - torch.atanh(0.95 * images)
    network.amplify(1.5)
    after = torch.atanh(network.translate(images)) - torch.atanh(0.95 * images)
    torch.testing.assert_close(after, 1.5 * before, atol=1e-4, rtol=1e-3)
    with pytest.raises(ValueError, match="change"):
        CycleGAN(channels=4, blocks=1).amplify(2.0)
