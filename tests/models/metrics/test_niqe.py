import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFilter

from models.metrics.errors import MeasurementsRejected
from models.metrics.frame import Doubles, Image
from models.metrics.niqe import (
    NiqeModel,
    asymmetric_gaussians,
    gaussian_blur,
    gaussian_distance,
    half_scale,
    normalised_contrast,
    patches_of,
)


def drawn(shape: tuple[int, int], seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_distance_worked_by_hand() -> None:
    # mean covariances diag(2, 8): √(2² / 2 + 4² / 8)
    distance = gaussian_distance(
        np.array([1.0, 1.0]), np.diag([1.0, 4.0]), np.array([3.0, 5.0]), np.diag([3.0, 12.0])
    )
    assert distance == pytest.approx(2)


def test_distance_ignores_directions_in_which_nothing_varies() -> None:
    flat = np.diag([1.0, 0.0])
    assert gaussian_distance(np.zeros(2), flat, np.array([3.0, 0.0]), flat) == pytest.approx(3)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
def test_shape_and_scale_of_drawn_generalised_gaussians_are_found(shape: float) -> None:
    dice = np.random.default_rng(3)
    # |x|^shape of a generalised Gaussian of scale 1 is gamma distributed
    sizes = dice.gamma(1 / shape, size=(1, 400, 500)) ** (1 / shape)
    even = 2 * sizes * dice.choice((-1, 1), sizes.shape)
    found, left, right = asymmetric_gaussians(even)
    assert found[0] == pytest.approx(shape, rel=0.04)
    assert (left[0], right[0]) == (pytest.approx(2, rel=0.04), pytest.approx(2, rel=0.04))


def test_the_fit_is_the_published_one_done_value_by_value() -> None:
    block = np.random.default_rng(0).normal(0.2, 1, (1, 8, 9))
    values = block.ravel()
    left, right = (np.sqrt(np.mean(side**2)) for side in (values[values < 0], values[values > 0]))
    ratio = left / right
    flatness = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    shown = flatness * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    table = np.arange(0.2, 10.0005, 0.001)
    curve = [math.gamma(2 / a) ** 2 / (math.gamma(1 / a) * math.gamma(3 / a)) for a in table]
    shape = table[np.argmin((np.array(curve) - shown) ** 2)]
    spread = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    expected = [shape, left * spread, right * spread]
    assert np.concatenate(asymmetric_gaussians(block)) == pytest.approx(expected)


def test_window_is_a_gaussian_of_seven_by_seven() -> None:
    point = np.zeros((13, 13))
    point[6, 6] = 1
    steps = np.arange(-3, 4)
    window = np.exp(-(steps**2 + steps[:, None] ** 2) / (2 * (7 / 6) ** 2))
    assert gaussian_blur(point) == pytest.approx(window / window.sum())


def test_contrast_is_invariant_to_an_offset() -> None:
    image = drawn((40, 50)).astype(np.float64)
    for before, after in zip(normalised_contrast(image), normalised_contrast(image + 40), strict=True):
        assert after == pytest.approx(before, abs=1e-6)


def test_half_scale_is_the_antialiased_bicubic() -> None:
    image = drawn((48, 64))
    resized = Pillow.fromarray(image.astype(np.float32)).resize((32, 24), Pillow.Resampling.BICUBIC)
    # the library renormalises weights at the borders where MATLAB mirrors, so the inside is compared
    inside = (slice(2, -2), slice(2, -2))
    assert half_scale(image.astype(np.float64))[inside] == pytest.approx(
        np.asarray(resized)[inside], abs=1e-3
    )
    assert half_scale(np.full((8, 8), 7.0)) == pytest.approx(7)


def test_patches_lie_side_by_side_and_the_rest_is_cut_off() -> None:
    image = drawn((200, 300))
    patches = patches_of(image)
    assert patches.features.shape == (6, 36)
    assert patches.sharpness.shape == (6,)
    cut = patches_of(image[:192, :288])
    assert np.array_equal(cut.features, patches.features)
    assert patches_of(image[:95]).features.shape == (0, 36)


def test_features_of_a_patch_depend_on_it_and_its_near_surroundings_alone() -> None:
    image = drawn((192, 288))
    changed = image.copy()
    changed[:, 96 + 20 :] = drawn((192, 288), seed=1)[:, 96 + 20 :]
    before, after = patches_of(image), patches_of(changed)
    first_column = [0, 3]
    assert np.array_equal(before.features[first_column], after.features[first_column])
    assert not np.array_equal(before.features[1], after.features[1])


def fitted(seed: int = 0) -> NiqeModel:
    return NiqeModel.fit([drawn((192, 960), seed + number) for number in range(3)])


def test_a_model_survives_its_file_bit_for_bit() -> None:
    model = fitted()
    again = NiqeModel.from_bytes(model.to_bytes())
    assert np.array_equal(again.mean, model.mean)
    assert np.array_equal(again.covariance, model.covariance)
    assert again.sha256 == model.sha256 != fitted(seed=9).sha256


def test_only_sharp_patches_make_the_model() -> None:
    sharp = drawn((192, 1920))
    blurred = np.full((192, 1920), 90, np.uint8) + drawn((192, 1920), seed=1) // 32
    both = np.concatenate([sharp, blurred])
    patches = patches_of(both)
    chosen = patches.features[patches.sharpness > 0.75 * patches.sharpness.max()]
    assert len(chosen) == 40
    assert NiqeModel.fit([both]).mean == pytest.approx(chosen.mean(axis=0))


def test_too_few_patches_for_a_model_are_named() -> None:
    with pytest.raises(MeasurementsRejected, match="the frames hold 30"):
        NiqeModel.fit([drawn((192, 960)), drawn((96, 960)), drawn((50, 960))])


@pytest.mark.parametrize("shape", [(5, 5), (96, 96), (100, 180)])
def test_a_frame_without_two_patches_has_no_score(shape: tuple[int, int]) -> None:
    assert math.isnan(fitted().score(drawn(shape)))


def test_patches_without_texture_are_passed_over() -> None:
    model = fitted()
    assert math.isnan(model.score(np.full((192, 192), 128, np.uint8)))
    half = drawn((192, 384))
    half[:, 192:] = 77
    assert math.isfinite(model.score(half))


def published(real_data: Path) -> NiqeModel:
    stored = np.load(real_data / "weights" / "niqe_pris_params.npz")
    return NiqeModel(stored["mu_prisparam"].ravel(), stored["cov_prisparam"])


@pytest.fixture(scope="module")
def clean(real_frames: Callable[[str, int], list[Image]]) -> list[Image]:
    """Luma of real frames by day."""
    frames = real_frames("street/images/day_val", 12)
    return [np.asarray(Pillow.fromarray(frame).convert("L")) for frame in frames]


def blurred(luma: Image) -> Image:
    return np.asarray(Pillow.fromarray(luma).filter(ImageFilter.GaussianBlur(2)))


def noisy(luma: Image) -> Image:
    drawn_noise = np.random.default_rng(0).normal(0, 20, luma.shape)
    return (luma + drawn_noise).round().clip(0, 255).astype(np.uint8)


def scores(model: NiqeModel, frames: list[Image]) -> Doubles:
    return np.array([model.score(luma) for luma in frames])


def test_the_published_model_finds_natural_scores_for_real_frames(
    real_data: Path, clean: list[Image]
) -> None:
    assert 2 < np.median(scores(published(real_data), clean)) < 6


@pytest.mark.parametrize("spoil", [blurred, noisy])
def test_the_published_model_prefers_clean_frames(
    real_data: Path, clean: list[Image], spoil: Callable[[Image], Image]
) -> None:
    model = published(real_data)
    before, after = scores(model, clean), scores(model, [spoil(luma) for luma in clean])
    assert np.median(after) > np.median(before) + 1
    assert np.mean(after > before) > 0.9
