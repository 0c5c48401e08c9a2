"""Reading a vehicle in the day image: red lamp glass as told from red paint, and mirror symmetry."""

import torch
from torch import Tensor

_WINDOW = 0.10  # half the size of the place that must hold a lamp's red, as a share of the box


def glass_places(patch: Tensor, top: float, bottom: float, columns: int = 2) -> list[tuple[float, float]]:
    """Where lamp glass shows, (across, down) in [0, 1], at most one place in each of `columns` strips.

    Glass is a small compact red place. Red that spreads over the box is paint, lettering, clothes or a
    neighbour, and such a strip tells nothing.

    Args:
        patch: what the day image shows inside the box, (3, h, w) in [0, 1].
        top, bottom: the rows to look at, as shares of the height.
    """
    rows, width = patch.shape[-2:]
    if is_small(patch) or is_painted_red(patch):
        return []
    first, last = int(top * rows), max(int(bottom * rows), int(top * rows) + 1)
    band = patch[:, first:last]
    # Orange indicators keep half as much green as red, red glass far less.
    redness = band[0] - 1.5 * torch.maximum(band[1], band[2])
    places = []
    for strip in range(columns):
        left, right = strip * width // columns, (strip + 1) * width // columns
        part = redness[:, left:right]
        if float(part.max()) < 0.12:
            continue
        is_red = part > 0.06
        row, column = divmod(int(part.argmax()), right - left)
        down, across = max(1, int(_WINDOW * rows)), max(1, int(_WINDOW * width))
        near = is_red[max(0, row - down) : row + down + 1, max(0, column - across) : column + across + 1]
        if int(near.sum()) > 0.7 * int(is_red.sum()):
            places.append(((left + column + 0.5) / width, (first + row + 0.5) / rows))
    return places


def is_small(patch: Tensor) -> bool:
    """Too small to judge, and too small for a lamp to look wrong."""
    return patch.shape[-2] < 20 or patch.shape[-1] < 20


def is_painted_red(patch: Tensor) -> bool:
    """Lamp glass is a small part of a vehicle, paint is most of it."""
    redness = patch[0] - torch.maximum(patch[1], patch[2])
    return float((redness > 0.10).float().mean()) > 0.12


def lacks_red(patch: Tensor) -> bool:
    """Large enough to show the red glass that every rear has, and shows none."""
    if is_small(patch):
        return False
    rows = patch.shape[-2]
    band = patch[:, rows // 4 : -rows // 6]
    return float((band[0] - torch.maximum(band[1], band[2])).max()) < 0.16


def is_mirrored(patch: Tensor) -> bool:
    """Seen from straight ahead or behind: the picture agrees with its mirror image."""
    grey = patch.mean(0)
    grey = grey - grey.mean(1, keepdim=True)
    return float((grey * grey.flip(1)).sum()) > 0.30 * float(grey.square().sum())
