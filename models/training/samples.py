"""Pictures of how far a training has come."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def sample_grid(columns: Sequence[Tensor], gap_px: int = 2) -> bytes:
    """A PNG with one row for each image.

    Args:
        columns: each RGB, shape (B, 3, H, W), values in [-1, 1].
    """
    padded = [torch.nn.functional.pad(column.float().cpu(), (gap_px,) * 4, value=1.0) for column in columns]
    # columns side by side, images below each other: (3, B * H, columns * W)
    grid = torch.cat([torch.cat(list(column), dim=1) for column in padded], dim=2)
    pixels = grid.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    png = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.numpy())).save(png, "PNG")
    return png.getvalue()
