"""Noise of a single image."""

import numpy as np

from models.metrics.frame import Image

BLOCK_PX = 16


def noise_level(luma: Image) -> float:
    """Standard deviation of the noise in a usual part of the image, in levels of 255.

    J. Immerkær, Fast noise variance estimation (CVIU 1996): the mean magnitude under a mask that answers
    neither to slopes nor to straight edges along the axes. Taken in blocks of 16 px, of which the median
    counts, so that textured parts, as long as they are the lesser, do not pass for noise. Where noise is
    cut off, in blocks of black or white, it is not seen; nor is what JPEG has smoothed away.

    Args:
        luma: uint8, (H, W); 0 for one that is smaller than 3 px.
    """
    if min(luma.shape) < 3:
        return 0.0
    levels = luma.astype(np.int16)  # the mask's answers lie within ±2040
    across = levels[:, :-2] - 2 * levels[:, 1:-1] + levels[:, 2:]
    answer = np.abs(across[:-2] - 2 * across[1:-1] + across[2:])
    height, width = answer.shape
    block_height, block_width = min(height, BLOCK_PX), min(width, BLOCK_PX)
    rows, columns = height // block_height, width // block_width
    blocks = answer[: rows * block_height, : columns * block_width]
    blocks = blocks.reshape(rows, block_height, columns, block_width)
    sums = blocks.sum(axis=1, dtype=np.int32).sum(axis=2, dtype=np.int64)
    # sums are integers: the same on every machine
    typical = float(np.median(sums)) / (block_height * block_width)
    return float(np.sqrt(np.pi / 2) / 6 * typical)
