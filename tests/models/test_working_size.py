"""The size at which a network looks at an image, and the way back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from models.generators.network import NetworkGenerator
from models.layers.working_size import at_working_size, carried_up

SIDES = st.integers(1, 40).map(lambda number: 16 * number)


@pytest.mark.parametrize(
    ("height", "width", "working_px", "stride", "seen"),
    [
        (64, 128, 32, 16, (32, 64)),
        # 1280 * 192 / 720 is 341.3, nearest to 21 * 16
        (720, 1280, 192, 16, (192, 336)),
        (1280, 720, 192, 16, (336, 192)),
        # 100 itself is no multiple of 16
        (240, 240, 100, 16, (96, 96)),
        (48, 400, 40, 4, (40, 332)),
    ],
)
def test_worked_sizes(height: int, width: int, working_px: int, stride: int, seen: tuple[int, int]) -> None:
    assert at_working_size(torch.zeros(1, 1, height, width), working_px, stride).shape[-2:] == seen


@pytest.mark.parametrize(
    "network",
    [
        EnlightenGAN(2, working_px=1, padding="reflect"),
        CycleGAN(2, 1, padding="reflect", skip=True, working_px=1),
    ],
    ids=["enlightengan", "cyclegan"],
)
def test_however_small_the_working_size_a_network_can_look_at_it(network: NetworkGenerator) -> None:
    images = torch.rand(1, 3, 64, 96)
    assert at_working_size(images, 1, network.stride).shape[-2:] == (2 * network.stride, 2 * network.stride)
    with torch.no_grad():
        assert network.eval().translate(images).shape == images.shape


@given(height=SIDES, width=SIDES, working_px=st.integers(32, 300))
def test_sides_are_multiples_of_the_stride_and_keep_their_shape(
    height: int, width: int, working_px: int
) -> None:
    images = torch.empty(1, 1, height, width)
    seen = at_working_size(images, working_px, 16)
    if min(height, width) <= working_px:
        assert seen is images
        return
    scale = working_px / min(height, width)
    assert [side % 16 for side in seen.shape[-2:]] == [0, 0]
    assert abs(seen.shape[-2] - height * scale) <= 8
    assert abs(seen.shape[-1] - width * scale) <= 8


def test_without_a_working_size_all_images_stay_as_they_are() -> None:
    images = torch.rand(1, 3, 640, 480)
    assert at_working_size(images, 0, 16) is images


def test_what_was_computed_at_the_image_s_own_size_is_not_touched() -> None:
    change = torch.rand(1, 3, 32, 48)
    assert carried_up(change, torch.zeros(1, 3, 32, 48)) is change


@pytest.mark.parametrize("level", [-1.0, 0.3])
def test_an_even_image_and_an_even_change_stay_even(level: float) -> None:
    images = torch.full((2, 3, 96, 160), level)
    seen = at_working_size(images, 32, 16)
    torch.testing.assert_close(seen, torch.full((2, 3, 32, 48), level))
    torch.testing.assert_close(carried_up(seen, images), images)


def test_a_ramp_stays_a_ramp() -> None:
    """Both ways place pixels by their middles: half a pixel further it would be off by 0.008."""
    ramp = torch.linspace(-1, 1, 128).expand(1, 1, 64, 128)
    there_and_back = carried_up(at_working_size(ramp, 32, 16), ramp)
    torch.testing.assert_close(there_and_back[..., 8:-8], ramp[..., 8:-8], atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "network",
    [EnlightenGAN(2, working_px=32), CycleGAN(2, 1, skip=True, working_px=32)],
    ids=["enlightengan", "cyclegan"],
)
def test_translations_keep_their_size(network: NetworkGenerator) -> None:
    for height, width in ((16, 32), (32, 32), (48, 80), (112, 64)):
        images = torch.rand(1, 3, height, width) * 2 - 1
        with torch.no_grad():
            assert network.eval().translate(images).shape == images.shape
