"""What compares images by the features that a trained backbone sees in them."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class PerceptualLoss(nn.Module):
    """Mean squared distance of feature maps, averaged over the layers.

    Johnson et al. (arXiv:1603.08155); each layer counts alike whatever its size.

    Args:
        features: images (B, 3, H, W) in [0, 1] to a sequence of feature maps (B, channels, h, w). It is
            frozen here, in place: eval mode for good, and its parameters take no gradients.
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self._features = features.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """The features stay in eval mode: their normalisation must not drift with what is translated."""
        super().train(mode)
        self._features.eval()
        return self

    def forward(self, translated: Tensor, reference: Tensor) -> Tensor:
        """Both RGB, (B, 3, H, W), values in [0, 1]. No gradient reaches the reference."""
        # the distance of two nearly equal images would drown in the rounding of half precision
        with torch.autocast(translated.device.type, enabled=False):
            with torch.no_grad():
                wanted = [self._comparable(layer) for layer in self._features(reference.float())]
            seen = [self._comparable(layer) for layer in self._features(translated.float())]
        distances = [(a - b).square().mean() for a, b in zip(seen, wanted, strict=True)]
        return torch.stack(distances).mean()

    def _comparable(self, layer: Tensor) -> Tensor:
        return layer.float()


class SelfFeatureLoss(PerceptualLoss):
    """The same between a translation and its own *source*, each channel of the features normalised over the
    image. EnlightenGAN's self feature preserving loss (arXiv:1906.06972).

    Normalised features hardly depend on how bright the image is, so that what is in the image is kept and not
    how light it is. Feature maps need at least 2 pixels.
    """

    def _comparable(self, layer: Tensor) -> Tensor:
        return functional.instance_norm(layer.float(), eps=1e-5)
