import pytest
import torch

from models.losses.adversarial import LeastSquaresGANLoss


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
