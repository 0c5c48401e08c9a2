"""What ties a translation to its source patch by patch (CUT, arXiv:2007.15651)."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchNCELoss(nn.Module):
    """Each patch of the translation should resemble the patch at the same place of its source, and no other
    patch of that image: cross entropy over similarities, in nats. Equation 3; InfoNCE (arXiv:1807.03748).

    The source's patches are what is aimed at: no gradient reaches them.

    Args:
        temperature: divides the similarities; the smaller, the more the most similar patches count.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self._temperature = temperature

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Args:
        queries: of the translations, (B, patches, channels), each vector of length 1.
        keys: of their sources, the same; patches of equal number are from the same place.
        """
        # (B, patches, patches): each query against each key of its own image
        similarities = queries.float() @ keys.detach().float().transpose(1, 2) / self._temperature
        own = torch.arange(queries.shape[1], device=queries.device).expand(len(queries), -1)
        return functional.cross_entropy(similarities.transpose(1, 2), own)
