"""Translations of the past, so that a discriminator does not forget what generators once did."""

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """The history of Shrivastava et al. (arXiv:1612.07828), by the rule of CycleGAN (arXiv:1703.10593).

    It fills up first and passes images through meanwhile. From then on each image has an even chance to be
    swapped for a stored one, which it replaces, or to pass through.

    Args:
        size: images to keep; 0 passes everything through.
        seed: of the pool's own dice.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._images: list[Tensor] = []
        self._dice = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self._images)

    def swap(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) of new translations -> as many, some of them from the past."""
        return torch.stack([self._swap_one(image) for image in images])

    def _swap_one(self, image: Tensor) -> Tensor:
        if len(self._images) < self.size:
            self._images.append(image.clone())
            return image
        if self.size == 0 or torch.rand((), generator=self._dice) < 0.5:
            return image
        place = int(torch.randint(self.size, (), generator=self._dice))
        stored, self._images[place] = self._images[place], image.clone()
        return stored

    def state_dict(self) -> dict[str, Any]:
        return {"images": [image.cpu() for image in self._images], "dice": self._dice.get_state()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device | None = None) -> None:
        """Takes over what `state_dict` gave; a pool that has become smaller keeps the first ones."""
        self._images = [image.to(device) for image in state["images"][: self.size]]
        self._dice.set_state(state["dice"])
