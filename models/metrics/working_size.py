"""The size at which frames are measured, so that those of large cameras compare with those of small ones."""

import numpy as np
from PIL import Image as Pillow

from models.metrics.frame import Image

WORKING_PX = 640  # of the longer side; also the size at which detectors usually look


def reduced(image: Image) -> Image:
    """The frame with its longer side at most 640 px, by an antialiased bicubic; smaller ones stay.

    Args:
        image: RGB, uint8, (H, W, 3).
    """
    height, width = image.shape[:2]
    scale = WORKING_PX / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.BICUBIC))


def luma(image: Image) -> Image:
    """BT.601, rounded to levels, uint8, (H, W): integers, so the same everywhere."""
    return np.asarray(Pillow.fromarray(image).convert("L"))
