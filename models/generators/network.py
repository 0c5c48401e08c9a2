"""What all translating networks have in common: ranges, strength and their way from a checkpoint."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from models.generators.interface import Generator, Scene

ConfigValue: TypeAlias = int | bool | str | float
NetworkConfig: TypeAlias = Mapping[str, ConfigValue]


class NetworkGenerator(Generator):
    """A trained image-to-image network behind the generators' promise.

    A subclass computes on [-1, 1] in `translate` and takes its sizes as keyword arguments, so that a
    checkpoint and the config read from its tensors are all it takes to build it again.

    `smallest_px`: the network cannot compute on sides below this; smaller images are extended to it.
    `cpu_memory_format`: the faster layout on a CPU, as measured. `takes_ratio`: it can be told how bright to
    make an image.
    """

    smallest_px: ClassVar[int] = 1
    takes_ratio: ClassVar[bool] = False
    cpu_memory_format: ClassVar[torch.memory_format] = torch.channels_last

    @abstractmethod
    def translate(self, images: Tensor) -> Tensor:
        """Args:
            images: RGB, float, shape (B, 3, H, W), values in [-1, 1].

        Returns:
            RGB, same shape, meant to lie in [-1, 1]; what lies outside is clamped.
        """

    def translate_scenes(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:  # noqa: ARG002
        """`translate`, for networks that want to know more of a scene than its pixels."""
        return self.translate(images)

    @classmethod
    @abstractmethod
    def config_of(cls, state: Mapping[str, Tensor]) -> dict[str, ConfigValue]:
        """The constructor's arguments, as far as the tensors of a checkpoint show them."""

    @property
    def fits_original_code(self) -> bool:
        """Whether its weights do in the original's code what they do here."""
        return True

    def options(self) -> dict[str, ConfigValue]:
        """What this network was built with and its tensors do not show."""
        return {}

    @classmethod
    def build_from_state(cls, state: Mapping[str, Tensor], **options: ConfigValue) -> Self:
        """The network these tensors belong to, with them loaded; `options` add what tensors cannot show."""
        network = cls(**{**cls.config_of(state), **options})
        network.load_state_dict(state)
        return network

    def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
        height, width = images.shape[-2:]
        # In place where the memory is ours: for the smallest networks fresh memory is what takes the time.
        signed = self._extend(images.mul(2).sub_(1))
        # Autocast may have computed in half precision: the blend happens in the precision of the images.
        translated = self.translate_scenes(signed, scenes)[..., :height, :width].to(images.dtype)
        night = translated.add(1).div_(2).clamp_(0, 1)
        if all(scene.strength == 1 for scene in scenes):
            return night
        strength = images.new_tensor([scene.strength for scene in scenes]).view(-1, 1, 1, 1)
        # lerp is exact at both ends: 0 gives the image itself, 1 the network's output itself, as above.
        return torch.lerp(images, night, strength)

    def _extend(self, images: Tensor) -> Tensor:
        """Repeats the bottom and right border until both sides reach `smallest_px`."""
        height, width = images.shape[-2:]
        bottom, right = max(0, self.smallest_px - height), max(0, self.smallest_px - width)
        return functional.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
