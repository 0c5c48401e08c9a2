"""A stand-in for the backbones that perceptual losses look through."""

import pytest
import torch
from torch import Tensor, nn


class TwoLayers(nn.Module):
    """The images themselves, and twice their grey; the weights could be trained if they were allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> list[Tensor]:
        seen = self.dropout(images * self.scale)
        return [seen, 2 * seen.mean(dim=1, keepdim=True)]


@pytest.fixture
def backbone() -> nn.Module:
    return TwoLayers()
