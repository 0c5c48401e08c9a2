import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from models.losses.structure import LaplacianLoss, MultiScaleSSIMLoss, SSIMLoss, laplacian_pyramid

# of two even images, 0.5 and 0.25: (2 * 0.125 + 0.0001) / (0.25 + 0.0625 + 0.0001)
EVEN = 0.2501 / 0.3126


def images(seed: int, height: int = 12, width: int = 13) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def ssim(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Of one channel, by the formula of the paper; borders are reflected, as torchmetrics does."""
    line = np.exp(-(np.arange(-5.0, 6.0) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def averaged(values: NDArray[np.float64]) -> NDArray[np.float64]:
        averages = (sliding_window_view(values, (11, 11)) * window).sum(axis=(-1, -2))
        return np.asarray(averages, dtype=np.float64)

    a, b = np.pad(a, 5, mode="reflect"), np.pad(b, 5, mode="reflect")
    mean_a, mean_b = averaged(a), averaged(b)
    variances = averaged(a * a) - mean_a**2 + averaged(b * b) - mean_b**2
    covariance = averaged(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return float((luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean())


def test_ssim_of_even_images_compares_their_brightness() -> None:
    loss = SSIMLoss()(torch.full((1, 3, 11, 11), 0.5), torch.full((1, 3, 11, 11), 0.25))
    assert float(loss) == pytest.approx(1 - EVEN, abs=1e-5)


def test_ssim_agrees_with_the_formula_in_numpy() -> None:
    a = images(0)
    b = 0.5 * a + 0.4 * images(1)
    expected = np.mean(
        [
            ssim(first.double().numpy(), second.double().numpy())
            for first, second in zip(a.flatten(0, 1), b.flatten(0, 1), strict=True)
        ]
    )
    assert float(SSIMLoss()(a, b)) == pytest.approx(1 - float(expected), abs=1e-5)


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_ssim_is_symmetric_and_in_range(seed: int) -> None:
    a, b = images(seed), images(seed + 1)
    loss = float(SSIMLoss()(a, b))
    assert 0 < loss <= 2
    assert float(SSIMLoss()(b, a)) == pytest.approx(loss, abs=1e-6)
    # the negative of an image is less like it than another image is
    assert float(SSIMLoss()(a, 1 - a)) > 1


def test_several_scales_of_even_images_compare_the_brightness_of_the_coarsest() -> None:
    loss = MultiScaleSSIMLoss()(torch.full((1, 1, 176, 176), 0.5), torch.full((1, 1, 176, 176), 0.25))
    assert float(loss) == pytest.approx(1 - EVEN**0.1333, abs=1e-5)


def test_several_scales_agree_with_torchmetrics_where_images_are_alike() -> None:
    a = images(0, 180, 176)
    b = 0.8 * a + 0.2 * images(1, 180, 176)
    expected = 1 - multiscale_structural_similarity_index_measure(a, b, data_range=1.0)
    torch.testing.assert_close(MultiScaleSSIMLoss()(a, b), expected)


def test_a_scale_that_is_opposite_leaves_the_gradient_of_the_others() -> None:
    reference = images(0, 176, 176)[:1]
    # fine details are inverted, large ones kept
    large = torch.linspace(0, 1, 176).expand_as(reference)
    translated = (0.5 * large + 0.5 * (1 - reference)).requires_grad_()
    loss = MultiScaleSSIMLoss()(translated, 0.5 * large + 0.5 * reference)
    loss.backward()
    assert 0 < loss.item() < 1
    assert translated.grad is not None
    assert translated.grad.isfinite().all()
    assert translated.grad.any()


@pytest.mark.parametrize(
    ("loss", "size", "needed"),
    [
        (SSIMLoss(), (10, 40), "11x11 px, got 40x10"),
        (MultiScaleSSIMLoss(), (200, 175), "176x176 px, got 175x200"),
    ],
)
def test_small_images_are_refused_with_the_size_needed(
    loss: torch.nn.Module, size: tuple[int, int], needed: str
) -> None:
    with pytest.raises(ValueError, match=needed):
        loss(torch.zeros(1, 3, *size), torch.zeros(1, 3, *size))


def test_two_levels_by_hand() -> None:
    translated = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # the corner and its repetition beyond the border weigh 6 + 4 + 1 of 16 on each axis: the rest is 121/256;
    # the band is 135/256 in the corner and -121/256 in three pixels
    expected = (135 + 3 * 121) / 256 / 4 + 121 / 256
    assert float(LaplacianLoss(levels=2)(translated, torch.zeros(1, 1, 2, 2))) == pytest.approx(expected)


def test_doubling_spreads_a_single_pixel_by_hand() -> None:
    # only the middle of 1 x 5 pixels is lit: halving leaves (1, 6, 1)/16, and doubling on one axis weighs
    # 1-6-1 over 8 where there is a pixel and 1-1 over 2 between two
    image = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 5)
    band, rest = laplacian_pyramid(image, 2)
    assert rest.flatten().tolist() == pytest.approx([1 / 16, 6 / 16, 1 / 16])
    doubled = [13 / 128, 7 / 32, 38 / 128, 7 / 32, 13 / 128]
    assert (image - band).flatten().tolist() == pytest.approx(doubled)


@given(height=st.integers(1, 21), width=st.integers(1, 21), step=st.floats(-0.5, 0.5))
@settings(max_examples=25, deadline=None)
def test_even_differences_are_found_in_the_rest_alone(height: int, width: int, step: float) -> None:
    image = images(0, height, width)
    assert float(LaplacianLoss()(image + step, image)) == pytest.approx(abs(step), abs=1e-5)


@given(seed=st.integers(0, 1000), levels=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_laplacian_is_symmetric_and_one_level_is_l1(seed: int, levels: int) -> None:
    a, b = images(seed), images(seed + 1)
    torch.testing.assert_close(LaplacianLoss(levels)(a, b), LaplacianLoss(levels)(b, a))
    torch.testing.assert_close(LaplacianLoss(1)(a, b), torch.nn.L1Loss()(a, b))


def test_a_pyramid_has_a_level() -> None:
    with pytest.raises(ValueError, match="at least one level, got 0"):
        LaplacianLoss(levels=0)
