"""A generator that takes its time and no processor: what a GPU looks like to the machine around it."""

import time

from torch import Tensor

from models.generators.identity import Identity


def make_slow(seconds_per_frame: float) -> None:
    """From now on `identity` sleeps so long for each frame before it answers."""
    forward = Identity.forward

    def slow_forward(self: Identity, images: Tensor, *more: object) -> Tensor:
        time.sleep(seconds_per_frame * len(images))
        return forward(self, images, *more)  # type: ignore[arg-type]

    Identity.forward = slow_forward  # type: ignore[method-assign,assignment]
