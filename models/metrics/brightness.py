"""Brightness of a frame."""

import numpy as np

from models.metrics.frame import BRIGHTNESS_BINS, Counts, Image


def brightness_counts(luma: Image) -> Counts:
    """How many pixels there are of each four levels, uint32, (64,); from luma, uint8, (H, W)."""
    levels = np.bincount(luma.ravel(), minlength=256)
    return np.asarray(levels.reshape(BRIGHTNESS_BINS, -1).sum(axis=1), np.uint32)
