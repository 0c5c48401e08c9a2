"""How bright a picture is: one number, for the chart of a dataset and for whoever looks for its darkest."""

import numpy as np

from workers.images import Pixels

REDUCED_WIDTH_PX = 160
_LUMA = (0.299, 0.587, 0.114)


def brightness(pixels: Pixels) -> float:
    """Mean luma from 0 to 1, to three digits; of a large picture a hundred pixels or so a line are enough."""
    step = max(1, pixels.shape[1] // REDUCED_WIDTH_PX)
    # The sum of whole numbers is exact, in whatever order: the same picture has the same number everywhere.
    means: list[float] = pixels[::step, ::step].mean(axis=(0, 1), dtype=np.float64).tolist()
    return round(sum(weight * mean for weight, mean in zip(_LUMA, means, strict=True)) / 255, 3)
