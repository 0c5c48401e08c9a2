"""What ties an image to its reflectance and its illumination.

KinD (Zhang et al., arXiv:1905.04161) decomposes, adjusts and restores; where paper and released code differ,
the code counts, as its weights were trained with it. SCI (Ma et al., arXiv:2204.10137) smooths illumination.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# BT.601, as both papers' code converts: luma; then luma and the two colour differences of digital video
_GREY = (0.299, 0.587, 0.114)
_YCBCR = ((0.2568, 0.5041, 0.0979), (-0.1482, -0.2910, 0.4392), (0.4392, -0.3678, -0.0714))
# half of the 24 neighbours in a window of 5 x 5, as (down, right); the others are their mirror images
_HALF_OF_NEIGHBOURS = ((1, 0), (2, 0), *((down, right) for right in (1, 2) for down in (-2, -1, 0, 1, 2)))


class Reconstruction(nn.Module):
    """Reflectance times illumination should be the image: mean absolute difference. KinD."""

    def forward(self, reflectance: Tensor, illumination: Tensor, image: Tensor) -> Tensor:
        """Args:
        reflectance, image: RGB, (B, 3, H, W), values in [0, 1].
        illumination: (B, 1, H, W), values in [0, 1].
        """
        return (reflectance.float() * illumination.float() - image.float()).abs().mean()


class ReflectanceSimilarity(nn.Module):
    """The same scene reflects the same in any light: mean absolute difference of two reflectances. KinD."""

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Both (B, 3, H, W), values in [0, 1], of the darker and of the brighter image."""
        return (low.float() - high.float()).abs().mean()


class IlluminationSmoothness(nn.Module):
    """Illumination may change where the image has edges and should be even elsewhere. KinD.

    The mean of normalised gradients of the illumination over those of the grey image, summed over both axes:
    in [0, 2 / smallest_gradient].

    Args:
        smallest_gradient: of the image, below which it counts as even.
    """

    def __init__(self, smallest_gradient: float = 0.01) -> None:
        super().__init__()
        self._smallest_gradient = smallest_gradient

    def forward(self, illumination: Tensor, image: Tensor) -> Tensor:
        """Args:
        illumination: (B, 1, H, W), values in [0, 1].
        image: RGB, (B, 3, H, W), values in [0, 1].
        """
        across, down = normalised_gradients(illumination)
        image_across, image_down = normalised_gradients(_grey(image))
        smallest = self._smallest_gradient
        return (across / image_across.clamp(min=smallest) + down / image_down.clamp(min=smallest)).mean()


class MutualConsistency(nn.Module):
    """Two illuminations of a scene should both have an edge or both have none. KinD.

    The mean of g * exp(-steepness * g), g being the sum of the two normalised gradients, summed over both
    axes. No edge costs nothing, strong edges in both cost little and weak ones most: in
    [0, 2 / (e * steepness)].
    """

    def __init__(self, steepness: float = 10.0) -> None:
        super().__init__()
        self._steepness = steepness

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Both (B, 1, H, W), values in [0, 1], of the darker and of the brighter image."""
        low_across, low_down = normalised_gradients(low)
        high_across, high_down = normalised_gradients(high)
        return (self._cost(low_across + high_across) + self._cost(low_down + high_down)).mean()

    def _cost(self, edges: Tensor) -> Tensor:
        return edges * torch.exp(-self._steepness * edges)


class GradientDifference(nn.Module):
    """Mean squared difference of normalised gradients, summed over both axes: in [0, 2]. KinD.

    It compares where edges are and how strong each is beside the strongest, not contrast as such: halving the
    contrast of a whole batch costs nearly nothing.
    """

    def forward(self, translated: Tensor, reference: Tensor) -> Tensor:
        """Both (B, 1, H, W), or RGB, which is compared in grey; values in [0, 1]. No gradient reaches the
        reference.
        """
        across, down = normalised_gradients(_grey(translated))
        wanted_across, wanted_down = normalised_gradients(_grey(reference.detach()))
        return ((across - wanted_across).square() + (down - wanted_down).square()).mean()


class CrossChannelSmoothness(nn.Module):
    """Neighbouring pixels should be lit alike, the more the nearer their colours are. SCI.

    For each of the 24 neighbours in a window of 5 x 5 the mean over the pixels that have it of
    exp(-|difference in YCbCr|^2 / (2 sigma^2)) times the absolute difference of illumination, summed over
    channels as in the released code; then the sum of the 24 means: in [0, 72].

    Args:
        sigma: the paper's 10 is far more than colours in [0, 1] can differ by: all weights are nearly 1.
    """

    def __init__(self, sigma: float = 10.0) -> None:
        super().__init__()
        self._sigma = sigma

    def forward(self, image: Tensor, illumination: Tensor) -> Tensor:
        """Both RGB, (B, 3, H, W) with sides of at least 3, values in [0, 1]."""
        colours, light = _ycbcr(image), illumination.float()
        loss = light.new_zeros(())
        for down, right in _HALF_OF_NEIGHBOURS:
            colour, colour_there = _neighbours(colours, down, right)
            here, there = _neighbours(light, down, right)
            distance = (colour - colour_there).square().sum(dim=1)
            weight = torch.exp(-distance / (2 * self._sigma**2))
            loss = loss + (weight * (here - there).abs().sum(dim=1)).mean()
        return 2 * loss


def normalised_gradients(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """How much each pixel differs from its right and from its lower neighbour: two tensors of the same shape.

    Absolute forward differences, 0 in the last column and row, stretched to [0, 1]. As in KinD's code the
    least and the greatest are those of the whole tensor, so that images of a batch depend on each other. The
    zeros that it puts beyond the border, which draw an edge along each image, are left out.
    """
    values = tensor.float()
    across = functional.pad(values.diff(dim=-1).abs(), (0, 1))
    down = functional.pad(values.diff(dim=-2).abs(), (0, 0, 0, 1))
    return _stretch(across), _stretch(down)


def _stretch(gradients: Tensor) -> Tensor:
    least, greatest = gradients.min(), gradients.max()
    # KinD's constant: without any edge the result is 0
    return (gradients - least) / (greatest - least + 1e-4)


def _grey(image: Tensor) -> Tensor:
    """RGB (B, 3, H, W) to (B, 1, H, W); a single channel stays as it is."""
    if image.shape[1] == 1:
        return image.float()
    return _weighted(image.float(), _GREY).unsqueeze(1)


def _ycbcr(image: Tensor) -> Tensor:
    """Without the offsets, which cancel in differences; (B, 3, H, W) both."""
    return torch.stack([_weighted(image.float(), weights) for weights in _YCBCR], dim=1)


def _weighted(image: Tensor, weights: tuple[float, float, float]) -> Tensor:
    red, green, blue = image.unbind(1)
    return weights[0] * red + weights[1] * green + weights[2] * blue


def _neighbours(values: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
    """All pixels that have a neighbour `down` (up, if negative) and `right` of them, and those neighbours."""
    height, width = values.shape[-2:]
    here = values[..., max(-down, 0) : height - max(down, 0), : width - right]
    there = values[..., max(down, 0) : height + min(down, 0), right:]
    return here, there
