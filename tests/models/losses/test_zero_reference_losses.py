import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.losses.zero_reference import ColourConstancy, CurveSmoothness, Exposure, SpatialConsistency


def images(seed: int) -> Tensor:
    return torch.rand(2, 3, 9, 13, generator=torch.Generator().manual_seed(seed))


def test_colour_constancy_by_hand() -> None:
    bluish, grey = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.1)
    bluish[:, 2, 0] = 1.0
    # means 0.5, 0.5 and 0.75: squared differences 0, 1/16 and 1/16, of which the norm
    assert float(ColourConstancy()(bluish)) == pytest.approx(math.sqrt(2) / 16)
    assert float(ColourConstancy()(torch.cat([bluish, grey]))) == pytest.approx(math.sqrt(2) / 32)


@given(seed=st.integers(0, 1000), order=st.permutations([0, 1, 2]))
@settings(max_examples=20, deadline=None)
def test_colours_and_pixels_may_change_places(seed: int, order: list[int]) -> None:
    image = images(seed)
    value = ColourConstancy()(image)
    assert 0 <= float(value) <= math.sqrt(2)
    torch.testing.assert_close(ColourConstancy()(image[:, order].flip(-1)), value, rtol=1e-4, atol=1e-7)


def test_grey_images_pull_nowhere() -> None:
    grey = torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
    ColourConstancy()(grey).backward()
    assert grey.grad is not None
    assert not grey.grad.any()


def test_exposure_by_hand() -> None:
    image = torch.tensor([[1.0, 0.5, 0.5, 0.5, 9.0], [1.0, 0.5, 0.5, 0.5, 9.0]]).view(1, 1, 2, 5)
    # means 0.75 and 0.5; the last column fills no patch
    assert float(Exposure(level=0.5, patch_px=2)(image)) == pytest.approx(0.25**2 / 2)
    assert float(Exposure()(torch.full((1, 3, 16, 16), 0.6))) == pytest.approx(0, abs=1e-12)
    assert float(Exposure()(torch.zeros(1, 3, 16, 32))) == pytest.approx(0.36)


def test_spatial_consistency_by_hand() -> None:
    source = torch.zeros(1, 3, 1, 2)
    translated = torch.tensor([1.0, 0.0]).expand(1, 3, 1, 2)
    # the lit patch differs by 1 from all four around it, the other one from the lit one alone
    assert float(SpatialConsistency(patch_px=1)(translated, source)) == pytest.approx((4 + 1) / 2)


def test_a_brighter_whole_is_felt_at_the_border_alone() -> None:
    source = torch.zeros(1, 3, 12, 12)
    # 3 x 3 patches: 2 sides of each corner and 1 of each edge are the border, 12 of 0.5 squared
    assert float(SpatialConsistency()(source + 0.5, source)) == pytest.approx(12 * 0.25 / 9)


@given(seed=st.integers(0, 1000), factor=st.floats(0.1, 2))
@settings(max_examples=20, deadline=None)
def test_spatial_consistency_is_symmetric_and_grows_with_the_change(seed: int, factor: float) -> None:
    loss = SpatialConsistency()
    source, change = images(seed), images(seed + 1) - 0.5
    value = float(loss(source + change, source))
    assert float(loss(source, source + change)) == pytest.approx(value, rel=1e-4)
    assert float(loss(source + factor * change, source)) == pytest.approx(factor**2 * value, rel=1e-3)
    assert float(loss(source, source)) == 0


def test_total_variation_by_hand() -> None:
    maps = torch.tensor([[0.0, 1.0], [0.0, 0.0]]).view(1, 1, 2, 2)
    # one of two pairs differs on either axis: 2 * (1/2 + 1/2)
    assert float(CurveSmoothness()(maps)) == pytest.approx(2)
    # channels are added, images averaged
    assert float(CurveSmoothness()(maps.expand(5, 4, 2, 2))) == pytest.approx(8)


def test_total_variation_counts_the_pairs_of_each_axis() -> None:
    # 2 x 3: down 3 pairs, one of which is 0.5 squared; across 4 pairs, three of which are
    maps = torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.5, 0.0]]).view(1, 1, 2, 3)
    assert float(CurveSmoothness()(maps)) == pytest.approx(2 * (0.25 / 3 + 3 * 0.25 / 4))


@given(seed=st.integers(0, 1000), offset=st.floats(-1, 1))
@settings(max_examples=20, deadline=None)
def test_total_variation_is_blind_to_level_and_in_range(seed: int, offset: float) -> None:
    image = images(seed)
    value = float(CurveSmoothness()(image))
    assert 0 <= value <= 12
    assert float(CurveSmoothness()(image + offset)) == pytest.approx(value, rel=1e-4)
