import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.losses.retinex import (
    CrossChannelSmoothness,
    GradientDifference,
    IlluminationSmoothness,
    MutualConsistency,
    Reconstruction,
    ReflectanceSimilarity,
    normalised_gradients,
)

# A step across: its gradient is 1 in the left column, and 1 / 1.0001 once it is stretched.
STEP = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).view(1, 1, 2, 2)
EVEN = torch.full((1, 1, 2, 2), 0.3)
EDGE = 1 / 1.0001


def rgb(channel: Tensor) -> Tensor:
    return channel.expand(-1, 3, -1, -1)


def maps(seed: int, channels: int = 1) -> Tensor:
    return torch.rand(2, channels, 5, 4, generator=torch.Generator().manual_seed(seed))


def test_gradients_by_hand() -> None:
    across, down = normalised_gradients(torch.tensor([[[[0.0, 0.5], [0.25, 1.0]]]]))
    # 0.5 and 0.75 to the right, 0.25 and 0.5 downwards, over the greatest and a ten-thousandth
    assert across.flatten().tolist() == pytest.approx([0.5 / 0.7501, 0, 0.75 / 0.7501, 0])
    assert down.flatten().tolist() == pytest.approx([0.25 / 0.5001, 0.5 / 0.5001, 0, 0])


def test_gradients_of_a_batch_are_stretched_together() -> None:
    batch = torch.cat([STEP, 0.5 * STEP])
    across, _ = normalised_gradients(batch)
    assert across[1].max() == pytest.approx(0.5 * EDGE)
    alone, _ = normalised_gradients(batch[1:])
    assert alone.max() == pytest.approx(0.5 / 0.5001)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_gradients_keep_shape_and_range(seed: int) -> None:
    for gradients in normalised_gradients(maps(seed, 3)):
        assert gradients.shape == (2, 3, 5, 4)
        assert 0 <= float(gradients.min()) <= float(gradients.max()) <= 1


def test_reconstruction_by_hand() -> None:
    half, light = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 1, 2, 2), 0.5)
    # 0.25 instead of 0.75
    assert float(Reconstruction()(half, light, torch.full((1, 3, 2, 2), 0.75))) == pytest.approx(0.5)
    assert float(Reconstruction()(half, light, torch.full((1, 3, 2, 2), 0.25))) == 0


def test_reflectances_by_hand() -> None:
    # the mean of 0.3, 0.7, 0.3 and 0.7
    assert float(ReflectanceSimilarity()(rgb(EVEN), rgb(STEP))) == pytest.approx(0.5)
    assert float(ReflectanceSimilarity()(rgb(STEP), rgb(STEP))) == 0


def test_an_edge_of_light_is_dear_where_the_image_is_even() -> None:
    # a hundredth is the least of the image's gradients; half of the pixels have an edge
    assert float(IlluminationSmoothness()(STEP, rgb(EVEN))) == pytest.approx(0.5 * EDGE / 0.01)
    # with the image's own edge in the same place
    assert float(IlluminationSmoothness()(STEP, rgb(STEP))) == pytest.approx(0.5)
    # an edge downwards does not excuse one across
    assert float(IlluminationSmoothness()(STEP, rgb(STEP.mT))) == pytest.approx(0.5 * EDGE / 0.01)
    assert float(IlluminationSmoothness()(EVEN, rgb(STEP))) == 0


def test_illumination_follows_the_grey_of_the_image() -> None:
    image = torch.zeros(1, 3, 1, 3)
    image[:, 0, :, 1:] = 0.5  # red: 0.299 * 0.5
    image[:, 1, :, 2:] = 0.5  # green beside it: 0.587 * 0.5
    light = torch.tensor([0.0, 1.0, 1.0]).view(1, 1, 1, 3)
    # its edge lies on the weaker one of the image
    weaker = 0.1495 / (0.2935 + 1e-4)
    assert float(IlluminationSmoothness()(light, image)) == pytest.approx(EDGE / weaker / 3, rel=1e-5)


def test_mutual_consistency_by_hand() -> None:
    gentle = MutualConsistency(steepness=1.0)
    # an edge in one of them in half of the pixels, then in both of them
    assert float(gentle(STEP, EVEN)) == pytest.approx(0.5 * EDGE * math.exp(-EDGE))
    assert float(gentle(STEP, STEP)) == pytest.approx(0.5 * 2 * EDGE * math.exp(-2 * EDGE))
    # across in one and downwards in the other: two such edges
    assert float(gentle(STEP, STEP.mT)) == pytest.approx(EDGE * math.exp(-EDGE))
    assert float(MutualConsistency()(STEP, EVEN)) == pytest.approx(0.5 * EDGE * math.exp(-10 * EDGE))
    assert float(MutualConsistency()(EVEN, EVEN)) == 0


@given(seed=st.integers(0, 1000), steepness=st.floats(0.5, 20))
@settings(max_examples=20, deadline=None)
def test_mutual_consistency_is_symmetric_and_bounded(seed: int, steepness: float) -> None:
    loss = MutualConsistency(steepness)
    value = float(loss(maps(seed), maps(seed + 1)))
    assert 0 < value <= 2 / (math.e * steepness) + 1e-6
    assert float(loss(maps(seed + 1), maps(seed))) == pytest.approx(value)


def test_gradient_difference_by_hand() -> None:
    loss = GradientDifference()
    # one edge too many in half of the pixels; then another on the other axis as well
    assert float(loss(STEP, EVEN)) == pytest.approx(0.5 * EDGE**2)
    assert float(loss(STEP, STEP.mT)) == pytest.approx(EDGE**2)
    # colour images are compared in grey
    torch.testing.assert_close(loss(rgb(STEP), rgb(EVEN)), loss(STEP, EVEN))


@given(seed=st.integers(0, 1000), contrast=st.floats(0.3, 1), offset=st.floats(0, 0.5))
@settings(max_examples=20, deadline=None)
def test_gradient_difference_does_not_see_contrast_and_level(
    seed: int, contrast: float, offset: float
) -> None:
    image = maps(seed, 3)
    assert float(GradientDifference()(contrast * image + offset, image)) < 1e-5
    value = float(GradientDifference()(image, maps(seed + 1, 3)))
    assert 0 < value <= 2


def test_one_lit_pixel_among_nine() -> None:
    light = torch.zeros(1, 3, 3, 3)
    light[0, 0, 1, 1] = 1
    # The centre has neighbours at distance 1 alone. On an axis 2 of 6 pairs hold it, on a diagonal 2 of 4;
    # two axes and two diagonals, each in two directions: 2 * (1/3 + 1/3 + 1/2 + 1/2)
    loss = CrossChannelSmoothness()(torch.full((1, 3, 3, 3), 0.5), light)
    assert float(loss) == pytest.approx(10 / 3)
    # the same light in all channels counts three times
    loss = CrossChannelSmoothness()(torch.full((1, 3, 3, 3), 0.5), rgb(light[:, :1]))
    assert float(loss) == pytest.approx(10)


def test_all_24_neighbours_pair_by_pair() -> None:
    image, light = maps(0, 3), maps(1, 3)
    red, green, blue = image.unbind(1)
    # BT.601 from its luma weights: the colour differences are scaled to 224/255, luma to 219/255
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    colour = torch.stack(
        [219 / 255 * grey, 112 / 255 * (blue - grey) / 0.886, 112 / 255 * (red - grey) / 0.701], dim=1
    )
    expected = 0.0
    for down in range(-2, 3):
        for right in range(-2, 3):
            terms = [
                math.exp(
                    -float((colour[n, :, y, x] - colour[n, :, y + down, x + right]).square().sum()) / 0.18
                )
                * float((light[n, :, y, x] - light[n, :, y + down, x + right]).abs().sum())
                for n in range(2)
                for y in range(5)
                for x in range(4)
                if 0 <= y + down < 5 and 0 <= x + right < 4
            ]
            expected += sum(terms) / len(terms)
    assert float(CrossChannelSmoothness(sigma=0.3)(image, light)) == pytest.approx(expected, rel=1e-3)


def test_light_may_change_where_colours_do() -> None:
    loss = CrossChannelSmoothness(sigma=0.1)
    image = torch.cat([torch.zeros(1, 3, 4, 2), torch.ones(1, 3, 4, 2)], dim=-1)
    assert loss(image, image) < 0.01 * loss(image, image.mT)
    assert float(loss(image, torch.ones(1, 3, 4, 4))) == 0


@pytest.mark.parametrize(
    ("loss", "channels"),
    [
        (Reconstruction(), (3, 1, 3)),
        (ReflectanceSimilarity(), (3, 3)),
        (IlluminationSmoothness(), (1, 3)),
        (MutualConsistency(), (1, 1)),
        (GradientDifference(), (1, 1)),
        (CrossChannelSmoothness(), (3, 3)),
    ],
)
def test_gradients_are_finite_on_even_maps_and_half_precision_is_left(
    loss: nn.Module, channels: tuple[int, ...]
) -> None:
    even = [torch.full((1, number, 4, 5), 0.25, requires_grad=True) for number in channels]
    loss(*even).backward()
    for tensor in even:
        assert tensor.grad is None or tensor.grad.isfinite().all()
    assert even[0].grad is not None
    assert loss(*(tensor.detach().bfloat16() for tensor in even)).dtype == torch.float32
