"""Weights that are steadier than those of any single update."""

import copy
from collections.abc import Mapping

import torch
from torch import nn


class AveragedNetworks(nn.ModuleDict):
    """Exponential moving averages of the weights of some networks, by their names.

    The first averages are short, or the random weights of the beginning would stay in them for long.

    Args:
        share: of the past in the average, once it has become long.
    """

    def __init__(self, networks: Mapping[str, nn.Module], share: float) -> None:
        super().__init__({name: copy.deepcopy(network) for name, network in networks.items()})
        self.requires_grad_(False)
        self._share = share

    @torch.no_grad()
    def follow(self, networks: nn.ModuleDict, updates: int) -> None:
        """Takes in the weights after the given number of updates."""
        share = min(self._share, (1 + updates) / (10 + updates))
        for name, average in self.items():
            torch._foreach_lerp_(list(average.parameters()), list(networks[name].parameters()), 1 - share)
            # running statistics are averages already
            for mean, buffer in zip(average.buffers(), networks[name].buffers(), strict=True):
                mean.copy_(buffer)
