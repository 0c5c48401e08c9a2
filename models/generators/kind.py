"""KinD (arXiv:1905.04161): an image taken apart into reflectance and illumination, and lit anew."""

import copy
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from models.generators.interface import HIGHEST_RATIO, LOWEST_RATIO, Scene
from models.generators.network import ConfigValue, NetworkGenerator
from models.layers.lights import gaussian_blur
from models.layers.retinex import LEVELS, Adjustment, Decomposition, Restoration

SMALLEST_RANGE = 0.001  # of an image that is stretched


class KinD(NetworkGenerator):
    """One network for both ways: how many times as bright an image becomes is told it, image by image.

    What happens, as in the released code: the image is stretched to [0, 1] and decomposed, its illumination
    adjusted by the ratio. Brightening (from a ratio of 1 on), its reflectance is restored, where the network
    has a restoration: in the dark it is noisy and off in colour. As restoration shows the darkest regions in
    grey, its result is dimmed there; and bright regions of the image stay as they are, which spares lamps and
    sky from over-exposure. Neither is in the paper.

    Darkening (the code never does, but half of what the adjustment learns from is darkened) the image is
    reflectance times adjusted illumination and nothing else: what is well lit hides nothing that could be
    restored, and bright regions that stay as they are, a day's sky above all, would undo the darkening.

    The whole image is stretched: in tiles, each is by itself and may differ a little in contrast.

    Args:
        restoration_channels: width of the restoration's first level; 0 for a network that has none. The other
            two are always as published.
        ratio: what images are made brighter by whose scene says nothing; below 1 they become darker. The
            released code takes 0 to 5 and has 5.

    Raises:
        ValueError: the ratio lies outside what `Scene.ratio` can be.
    """

    # The restoration halves the sides four times. It is rarely left out, so padding always goes by it.
    stride = 2 ** (LEVELS - 1)
    takes_ratio = True

    def __init__(self, restoration_channels: int = 32, ratio: float = 5.0) -> None:
        super().__init__()
        self.ratio = _possible(ratio)
        self.decomposition = Decomposition()
        self.adjustment = Adjustment()
        self.restoration = Restoration(restoration_channels) if restoration_channels else None

    def translate(self, images: Tensor) -> Tensor:
        return self._relit(images, [self.ratio] * len(images))

    def translate_scenes(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
        """Raises:
        ValueError: the ratio of a scene is not possible.
        """
        return self._relit(images, [self.ratio if s.ratio is None else _possible(s.ratio) for s in scenes])

    def with_ratio(self, ratio: float) -> Self:
        """This very network, weights shared, that is told another ratio where scenes say nothing."""
        other = copy.copy(self)
        other.ratio = _possible(ratio)
        return other

    @classmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        first = state.get("restoration.de_conv1_1.weight")
        return {"restoration_channels": 0 if first is None else len(first)}

    def options(self) -> dict[str, ConfigValue]:
        return {"ratio": self.ratio}

    @property
    def fits_original_code(self) -> bool:
        """The original's is TensorFlow code."""
        return False

    def _relit(self, images: Tensor, ratios: Sequence[float]) -> Tensor:
        """Images in [-1, 1] and a ratio for each."""
        image = stretched((images.float() + 1) / 2)
        reflectance, illumination = self.decomposition(image)
        ratio = illumination.new_tensor(ratios)
        adjusted = self.adjustment(illumination, ratio)
        relit: Tensor = reflectance * adjusted
        if any(each >= 1 for each in ratios):
            brighter = self._restored(reflectance, illumination) * adjusted
            brighter = torch.lerp(brighter, image, illumination)
            relit = torch.where((ratio >= 1).view(-1, 1, 1, 1), brighter, relit)
        return relit * 2 - 1

    def _restored(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        if self.restoration is None:
            return reflectance
        restored: Tensor = self.restoration(reflectance, illumination)
        return restored * _dimming(reflectance)


def stretched(images: Tensor) -> Tensor:
    """Images (B, C, H, W), each brought to span [0, 1], as KinD expects; an even one stays as it is."""
    least, greatest = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    span = greatest - least
    return torch.where(span < SMALLEST_RANGE, images, (images - least) / span.clamp(min=SMALLEST_RANGE))


def _dimming(reflectance: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W), in [0, 1]: 1 but where the reflectance around is below half."""
    red, green, blue = reflectance.unbind(dim=1)
    grey = 0.2125 * red + 0.7154 * green + 0.0721 * blue  # CIE luma, scikit-image's
    with torch.autocast(reflectance.device.type, enabled=False):
        # (B, H, W) -> (1, B, H, W) -> (B, 1, H, W)
        around = gaussian_blur(grey[None], 3.0, reach=4.0).transpose(0, 1)
    return (2 * around).sqrt().clamp(max=1)


def _possible(ratio: float) -> float:
    # NaN is possible nowhere
    if not LOWEST_RATIO <= ratio <= HIGHEST_RATIO:
        raise ValueError(f"a ratio lies between {LOWEST_RATIO} and {HIGHEST_RATIO}, got {ratio}")
    return ratio
