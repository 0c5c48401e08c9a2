"""Light in the picture: colours of lamps, soft spots on a canvas, and the bloom of a lens."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

Colour = tuple[float, float, float]

# Linear RGB of night illuminants relative to a daylight white balance, luma about 1.
SODIUM: Colour = (1.75, 0.86, 0.20)  # about 2000 K
WARM_LED: Colour = (1.38, 0.94, 0.50)  # 2700 to 3000 K
NEUTRAL_LED: Colour = (1.12, 0.99, 0.80)  # 4000 K
COOL_LED: Colour = (0.97, 1.00, 1.07)  # 5700 to 6500 K
MERCURY: Colour = (0.86, 1.06, 0.93)  # old, greenish
AMBIENT: Colour = (0.86, 1.00, 1.22)  # what comes from the night sky
NEON: tuple[Colour, ...] = ((2.6, 0.55, 0.35), (0.35, 1.20, 0.85), (0.40, 1.05, 2.0))


@dataclass(frozen=True, slots=True)
class Spot:
    """An elliptical light: centre and radii in pixels of the full image, peak value in linear light.

    `edge` shapes the profile exp(-d^edge), d being the distance in radii: 2 fades like a Gaussian, 4 and more
    gives a disc with soft rim. A square spot fills its box but for rounded corners.
    """

    x_px: float
    y_px: float
    radius_x_px: float
    radius_y_px: float
    colour: Colour
    edge: float = 2.0
    is_square: bool = False


def paint(spots: Iterable[Spot], size: tuple[int, int], canvas: tuple[int, int]) -> Tensor:
    """The sum of the spots on a canvas (h, w) of an image of `size` (H, W): (1, 3, h, w) on the CPU."""
    rows, columns = canvas
    scale_y, scale_x = rows / size[0], columns / size[1]
    light = torch.zeros((1, 3, rows, columns))
    for spot in spots:
        # Never thinner than a canvas pixel, or it would fall between the samples; energy is kept instead.
        radius_y, radius_x = spot.radius_y_px * scale_y, spot.radius_x_px * scale_x
        kept_y, kept_x = max(radius_y, 0.7), max(radius_x, 0.7)
        dim = (radius_y / kept_y) * (radius_x / kept_x)
        reach = 3.2 if spot.edge <= 2 else 1.8
        y, x = spot.y_px * scale_y - 0.5, spot.x_px * scale_x - 0.5
        top, bottom = max(0, int(y - reach * kept_y)), min(rows, int(y + reach * kept_y) + 2)
        left, right = max(0, int(x - reach * kept_x)), min(columns, int(x + reach * kept_x) + 2)
        if top >= bottom or left >= right:
            continue
        down = ((torch.arange(top, bottom) - y) / kept_y).square()
        across = ((torch.arange(left, right) - x) / kept_x).square()
        if spot.is_square:
            distance = (down.square()[:, None] + across.square()[None, :]).sqrt_()
        else:
            distance = down[:, None] + across[None, :]
        profile = torch.exp(-distance.pow_(spot.edge / 2)).mul_(dim)
        light[0, :, top:bottom, left:right] += torch.tensor(spot.colour)[:, None, None] * profile
    return light


def gaussian_blur(image: Tensor, sigma_px: float, reach: float = 2.5) -> Tensor:
    """Separable Gaussian blur of (1, C, h, w), borders repeated; the kernel ends at `reach` sigmas."""
    radius = max(1, int(reach * sigma_px + 0.5))
    steps = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (steps / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    channels = image.shape[1]
    flat = image.reshape(channels, 1, *image.shape[-2:])  # (1, C, h, w) -> (C, 1, h, w)
    flat = conv2d(pad(flat, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    flat = conv2d(pad(flat, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return flat.reshape(image.shape)


def bloom(emission: Tensor) -> Tensor:
    """Light that the lens scatters around emitters, (1, 3, h, w) to the same shape.

    The scatter is a sum of three Gaussians whose widths (about 0.3, 1.2 and 5 % of the image width) and
    falling weights mimic the long tail of a glare spread function; the wide ones are worked out on
    small canvases.
    """
    height, width = emission.shape[-2:]
    scatter = torch.zeros((1, 3, 1, 1), dtype=emission.dtype, device=emission.device)
    for fraction, columns, weight in ((0.05, 80, 0.06), (0.012, 160, 0.13), (0.003, 320, 0.30)):
        small = (max(1, round(height * columns / width)), columns) if columns < width else (height, width)
        blurred = gaussian_blur(interpolate(emission, size=small, mode="area"), fraction * small[1] + 0.3)
        grown = scatter if scatter.shape[-1] == 1 else _resize(scatter, small)
        scatter = grown + weight * blurred
    return _resize(scatter, (height, width))


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(image, size=size, mode="bilinear", align_corners=False)
