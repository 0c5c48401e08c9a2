from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from models.generators.enlightengan import EnlightenGAN, attention_map
from models.generators.interface import Scene

MakeState = Callable[..., dict[str, Tensor]]


def by_the_table(state: dict[str, Tensor], images: Tensor, align_corners: bool) -> Tensor:
    """The generator written out unit by unit, on [-1, 1]."""

    def conv(x: Tensor, name: str) -> Tensor:
        weight = state[f"{name}.weight"]
        return f.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def unit(x: Tensor, name: str) -> Tensor:
        x = f.leaky_relu(conv(x, f"conv{name}"), 0.2)
        if f"bn{name}.weight" not in state:
            return x
        mean, var, weight, bias = (
            state[f"bn{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return f.batch_norm(x, mean, var, weight, bias)

    def up(x: Tensor, name: str) -> Tensor:
        return conv(f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=align_corners), name)

    att1 = attention_map(images)
    att2 = f.max_pool2d(att1, 2)
    att3 = f.max_pool2d(att2, 2)
    att4 = f.max_pool2d(att3, 2)
    att5 = f.max_pool2d(att4, 2)
    one = unit(unit(torch.cat((images, att1), 1), "1_1"), "1_2")
    two = unit(unit(f.max_pool2d(one, 2), "2_1"), "2_2")
    three = unit(unit(f.max_pool2d(two, 2), "3_1"), "3_2")
    four = unit(unit(f.max_pool2d(three, 2), "4_1"), "4_2")
    x = unit(unit(f.max_pool2d(four, 2), "5_1") * att5, "5_2")
    x = unit(unit(torch.cat((up(x, "deconv5"), four * att4), 1), "6_1"), "6_2")
    x = unit(unit(torch.cat((up(x, "deconv6"), three * att3), 1), "7_1"), "7_2")
    x = unit(unit(torch.cat((up(x, "deconv7"), two * att2), 1), "8_1"), "8_2")
    x = unit(unit(torch.cat((up(x, "deconv8"), one * att1), 1), "9_1"), "9_2")
    return conv(x, "conv10") * att1 + images


def test_published_generator_has_131_tensors_and_8_636_675_parameters(unet_state: MakeState) -> None:
    with torch.device("meta"):
        network = EnlightenGAN()
    state = network.state_dict()
    assert len(state) == 131
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_636_675
    original = unet_state(channels=32)
    assert {key: tensor.shape for key, tensor in state.items()} == {k: t.shape for k, t in original.items()}


@pytest.mark.parametrize("align_corners", [True, False])
def test_network_computes_what_the_table_says(unet_state: MakeState, align_corners: bool) -> None:
    state = unet_state()
    network = EnlightenGAN.build_from_state(state, align_corners=align_corners).eval()
    images = torch.rand(2, 3, 48, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(network.translate(images), by_the_table(state, images, align_corners))


def test_align_corners_is_the_released_way_unless_told(unet_state: MakeState) -> None:
    assert EnlightenGAN.build_from_state(unet_state()).align_corners is True


def test_attention_is_one_minus_luminance() -> None:
    white, black, red = (torch.tensor(rgb).view(1, 3, 1, 1) for rgb in ([1.0] * 3, [-1.0] * 3, [1.0, -1, -1]))
    assert attention_map(white).item() == pytest.approx(0, abs=1e-6)
    assert attention_map(black).item() == 1
    assert attention_map(red).item() == pytest.approx(1 - 0.299)


def test_what_is_white_stays_white(unet_state: MakeState) -> None:
    network = EnlightenGAN.build_from_state(unet_state()).eval()
    white = torch.ones(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(white, [Scene(0)]), white)


def test_gradients_reach_every_weight(unet_state: MakeState) -> None:
    network = EnlightenGAN.build_from_state(unet_state())
    network(torch.rand(2, 3, 32, 32) * 0.5, [Scene(0), Scene(1)]).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
