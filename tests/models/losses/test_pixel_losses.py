import math

import pytest
import torch

from models.losses.pixel import LogMSELoss


def test_a_ratio_counts_alike_up_and_down() -> None:
    translated = torch.tensor([[0.75, 0.0], [0.25, 1.0]])
    reference = torch.tensor([[0.25, 0.0], [0.75, 1.0]])
    # with 0.25 added: 1 against 0.5, equal, 0.5 against 1, equal
    loss = LogMSELoss(epsilon=0.25)(translated, reference)
    assert float(loss) == pytest.approx(math.log(2) ** 2 / 2)


def test_black_against_white_is_the_worst() -> None:
    black, white = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    # 1/255 against 256/255
    assert float(LogMSELoss()(black, white)) == pytest.approx(math.log(256) ** 2)
    assert float(LogMSELoss()(white, black)) == pytest.approx(math.log(256) ** 2)
