import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.losses.adversarial import LeastSquaresGANLoss, NonSaturatingLoss, RelativisticAverageLoss


@pytest.mark.parametrize(
    ("verdicts", "is_real", "expected"),
    [
        ([1.0, 1.0], True, 0.0),
        ([0.0, 0.0], False, 0.0),
        # the mean of 0.25 and 4
        ([0.5, -1.0], True, 2.125),
        # the mean of 0.25 and 1
        ([0.5, -1.0], False, 0.625),
    ],
)
def test_distance_to_the_target_is_squared_and_averaged(
    verdicts: list[float], is_real: bool, expected: float
) -> None:
    loss = LeastSquaresGANLoss()(torch.tensor(verdicts).view(1, 1, 1, 2), is_real=is_real)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(expected)


def test_gradient_pulls_towards_the_target() -> None:
    verdicts = torch.tensor([0.25, 3.0], requires_grad=True)
    LeastSquaresGANLoss()(verdicts, is_real=True).backward()
    # twice the distance, halved by the mean
    assert verdicts.grad is not None
    assert verdicts.grad.tolist() == [-0.75, 2.0]


def test_half_precision_is_summed_in_float32() -> None:
    loss = LeastSquaresGANLoss()(torch.ones(3, dtype=torch.bfloat16), is_real=False)
    assert loss.dtype == torch.float32


def test_non_saturating_is_the_cross_entropy_of_logits() -> None:
    loss = NonSaturatingLoss()
    # a logit of log 3 is a probability of 3/4
    verdicts = torch.full((1, 1, 2, 2), math.log(3))
    assert float(loss(verdicts, is_real=True)) == pytest.approx(math.log(4 / 3))
    assert float(loss(verdicts, is_real=False)) == pytest.approx(math.log(4))
    assert float(loss(torch.zeros(5), is_real=True)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("verdict", [-1000.0, 1000.0])
@pytest.mark.parametrize("is_real", [True, False])
def test_non_saturating_stays_finite_however_sure_a_verdict_is(verdict: float, is_real: bool) -> None:
    loss = NonSaturatingLoss()(torch.tensor([verdict]), is_real)
    assert float(loss) == (1000 if (verdict < 0) == is_real else 0)


def test_relativistic_average_by_hand() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])
    loss = RelativisticAverageLoss()
    # real - 0.5 is 0.5 and 2.5, which should be 1: 0.25 and 2.25; fake - 2 is -2 and -1, which should be 0
    assert float(loss(real, fake, is_generator=False)) == pytest.approx(0.5 * (1.25 + 2.5))
    # now 0 for real: 0.25 and 6.25; and 1 for fake: 9 and 4
    assert float(loss(real, fake, is_generator=True)) == pytest.approx(0.5 * (3.25 + 6.5))


@given(seed=st.integers(0, 1000), shift=st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_relativistic_average_only_compares(seed: int, shift: float) -> None:
    real, fake = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed))
    loss = RelativisticAverageLoss()
    before = loss(real, fake, is_generator=False)
    torch.testing.assert_close(
        loss(real + shift, fake + shift, is_generator=False), before, rtol=1e-4, atol=1e-5
    )
    # the generator wants what the discriminator would, were real and fake exchanged
    torch.testing.assert_close(loss(fake, real, is_generator=True), before)


def test_half_precision_verdicts_are_compared_in_float32() -> None:
    verdicts = torch.ones(3, dtype=torch.bfloat16)
    assert NonSaturatingLoss()(verdicts, is_real=True).dtype == torch.float32
    assert RelativisticAverageLoss()(verdicts, verdicts, is_generator=True).dtype == torch.float32
