import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.losses.region import RegionLoss


def grey(*levels: float) -> Tensor:
    return torch.tensor(levels).expand(1, 3, 1, -1)


def test_five_pixels_by_hand() -> None:
    reference = grey(0.9, 0.1, 0.5, 0.3, 0.7)
    translated = grey(0.6, 0.3, 0.5, 0.7, 0.1)
    # 40 % are two pixels, those of 0.1 and 0.3: 4 * (0.2 + 0.4) / 2; the others: (0.3 + 0 + 0.6) / 3
    assert float(RegionLoss()(translated, reference)) == pytest.approx(1.2 + 0.3)
    # where the translation is dark does not matter: (0.3 + 0.6) / 2 and (0.2 + 0 + 0.4) / 3 would be 2
    assert float(RegionLoss()(translated, reference)) != pytest.approx(2.0)


def test_of_equally_dark_pixels_the_first_are_chosen() -> None:
    reference = torch.zeros(1, 3, 2, 5)
    translated = reference.clone()
    translated[..., 0, :4] = 0.5
    # four of ten: exactly the first four
    assert float(RegionLoss()(translated, reference)) == pytest.approx(4 * 0.5)


def test_each_image_has_its_own_dark_pixels() -> None:
    dark, bright = grey(0.0, 0.1, 0.2, 0.3, 0.4), grey(0.9, 0.8, 0.7, 0.6, 0.5)
    both = torch.cat([dark, bright])
    wrong = both.clone()
    wrong[0, :, :, 0] += 0.5  # among the darkest
    wrong[1, :, :, 0] -= 0.5  # among the brightest
    # 0.5 in one of four dark and in one of six bright pixels
    assert float(RegionLoss()(wrong, both)) == pytest.approx(4 * 0.125 + 0.5 / 6)


@given(seed=st.integers(0, 1000), share=st.floats(0.01, 0.99))
@settings(max_examples=20, deadline=None)
def test_equal_weights_and_halves_are_twice_l1(seed: int, share: float) -> None:
    a, b = torch.rand(2, 2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(RegionLoss(0.5, 1.0, 1.0)(a, b), 2 * torch.nn.L1Loss()(a, b))
    assert 0 <= float(RegionLoss(share)(a, b)) <= 5
    assert float(RegionLoss(share)(a, a)) == 0


@pytest.mark.parametrize("share", [0.0, 1.0, -0.4])
def test_shares_that_leave_one_side_empty_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        RegionLoss(share)
