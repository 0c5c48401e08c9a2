from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from models.generators.enlightengan import Attention, EnlightenGAN, attention_map
from models.generators.interface import Scene
from models.weights import ConvertedWeights, build_network, load_weights, save_weights

MakeState = Callable[..., dict[str, Tensor]]
ATTENTIONS: tuple[Attention, ...] = get_args(Attention)


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


def dark_images(height: int, width: int) -> Tensor:
    """Nowhere white, so that attention may be divided by; in [-1, 0.5]."""
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(2)) * 1.5 - 1


@pytest.mark.parametrize(("attention", "level"), [("dark", 1.0), ("bright", -1.0)])
def test_nothing_changes_where_there_is_no_attention(
    unet_state: MakeState, attention: Attention, level: float
) -> None:
    network = EnlightenGAN.build_from_state(unet_state(), attention=attention).eval()
    images = dark_images(32, 48)
    images[..., 8:24, 16:40] = level
    with torch.no_grad():
        change = network.translate(images) - images
    assert change[..., 8:24, 16:40].abs().max() < 1e-6
    assert change[..., :8, :].abs().mean() > 1e-3


def test_attention_to_what_is_bright_mirrors_that_to_what_is_dark() -> None:
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    dark, bright = (EnlightenGAN(1, attention=each)._attention_map for each in ATTENTIONS)
    torch.testing.assert_close(bright(images), dark(-images))
    torch.testing.assert_close(bright(images) + dark(images), torch.ones(1, 1, 16, 16))


@pytest.mark.parametrize("attention", ["dark", "bright"])
@pytest.mark.parametrize("size", [(16, 32), (32, 48)])
def test_images_of_the_working_size_or_smaller_are_seen_as_they_are(
    unet_state: MakeState, attention: Attention, size: tuple[int, int]
) -> None:
    plain, working = (
        EnlightenGAN.build_from_state(unet_state(), attention=attention, working_px=px).eval()
        for px in (0, 32)
    )
    images = dark_images(*size)
    with torch.no_grad():
        assert torch.equal(working.translate(images), plain.translate(images))


def test_of_larger_images_the_residual_is_that_of_the_image_at_the_working_size(
    unet_state: MakeState,
) -> None:
    plain, working = (EnlightenGAN.build_from_state(unet_state(), working_px=px).eval() for px in (0, 32))
    images = dark_images(64, 96)
    small = f.interpolate(images, (32, 48), mode="bilinear", antialias=True)
    with torch.no_grad():
        residual = (plain.translate(small) - small) / attention_map(small)
        expected = images + f.interpolate(residual, (64, 96), mode="bicubic") * attention_map(images)
        torch.testing.assert_close(working.translate(images), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({}, True),
        ({"align_corners": False}, True),
        ({"attention": "bright"}, False),
        ({"working_px": 64}, False),
        ({"attention": "bright", "working_px": 64}, False),
    ],
)
def test_the_original_s_code_knows_no_other_attention_and_no_working_size(
    options: dict[str, Any], fits: bool
) -> None:
    assert EnlightenGAN(1, **options).fits_original_code is fits


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"align_corners": False, "attention": "bright", "working_px": 32, "padding": "reflect"},
    ],
)
def test_options_survive_being_saved_and_loaded(unet_state: MakeState, options: dict[str, Any]) -> None:
    network = EnlightenGAN.build_from_state(unet_state(), **options).eval()
    state = network.state_dict()
    config = {**network.config_of(state), **network.options()}
    again = build_network(load_weights(save_weights(ConvertedWeights("enlightengan", state, config))))
    assert again.options() == network.options()
    images = dark_images(48, 64)
    with torch.no_grad():
        assert torch.equal(again.eval().translate(images), network.translate(images))


def test_with_reflection_weights_stay_where_they_are_and_no_border_shows() -> None:
    torch.manual_seed(0)
    plain, reflecting = EnlightenGAN(2), EnlightenGAN(2, padding="reflect")
    reflecting.load_state_dict(plain.state_dict())
    images = torch.full((1, 3, 64, 64), -0.5)
    with torch.no_grad():
        spread = [network.eval().translate(images).std(dim=(2, 3)).max() for network in (plain, reflecting)]
    assert spread[0] > 10 * spread[1]
    assert spread[1] < 1e-5
