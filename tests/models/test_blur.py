"""The fixed blurs that halve and double."""

import pytest
import torch
from torch.nn.functional import interpolate

from models.layers.blur import BlurDoubling, BlurHalving


def test_halving_weighs_three_neighbours_by_1_2_1() -> None:
    row = torch.tensor([8.0, 0.0, 4.0, 0.0, 16.0, 8.0])
    halved = BlurHalving(1)(row.expand(1, 1, 4, -1))
    # (0 + 2 * 8 + 0) / 4, as beyond the border the second pixel comes again; (0 + 2 * 4 + 0) / 4; 40 / 4
    assert halved.shape == (1, 1, 2, 3)
    assert halved[0, 0, 0].tolist() == [4.0, 2.0, 10.0]


def test_doubling_is_bilinear_enlargement() -> None:
    features = torch.rand(2, 3, 5, 7)
    enlarged = interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(BlurDoubling(3)(features), enlarged)


@pytest.mark.parametrize("blur", [BlurHalving(2), BlurDoubling(2)])
def test_brightness_stays_as_it_is(blur: torch.nn.Module) -> None:
    grey = torch.full((1, 2, 6, 8), 0.7)
    torch.testing.assert_close(blur(grey), torch.full_like(blur(grey), 0.7))


def test_a_pattern_finer_than_half_the_pixels_becomes_grey() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(8).expand(1, 1, 16, -1)
    assert BlurHalving(1)(stripes).unique().tolist() == [0.5]


def test_the_weights_are_in_the_checkpoint_and_are_not_learnt() -> None:
    halving, doubling = BlurHalving(5), BlurDoubling(5)
    assert {key: tuple(t.shape) for key, t in halving.state_dict().items()} == {"filt": (5, 1, 3, 3)}
    assert {key: tuple(t.shape) for key, t in doubling.state_dict().items()} == {"filt": (5, 1, 4, 4)}
    assert not list(halving.parameters()) + list(doubling.parameters())
    assert halving.filt.sum(dim=(1, 2, 3)).tolist() == [1.0] * 5
    assert doubling.filt.sum(dim=(1, 2, 3)).tolist() == [4.0] * 5
