import pytest
import torch
from torch import nn

from models.losses.cycle import CycleLoss, IdentityLoss


@pytest.mark.parametrize("loss", [CycleLoss(), IdentityLoss()])
def test_mean_absolute_difference(loss: nn.Module) -> None:
    image = torch.tensor([[-1.0, 0.0], [0.5, 1.0]])
    other = torch.tensor([[1.0, 0.0], [0.25, 0.0]])
    # the mean of 2, 0, a quarter and 1
    assert float(loss(other, image)) == pytest.approx(0.8125)
    assert float(loss(image, image)) == 0


@pytest.mark.parametrize("loss", [CycleLoss(), IdentityLoss()])
def test_half_precision_is_summed_in_float32(loss: nn.Module) -> None:
    assert loss(torch.zeros(2, dtype=torch.bfloat16), torch.ones(2)).dtype == torch.float32
