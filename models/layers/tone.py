"""From rendered pixels to linear light and back, and the noise of a sensor in between.

Camera rendering is modelled as gamma followed by an S-curve (Brooks et al., "Unprocessing Images for Learned
Raw Denoising", CVPR 2019). Their smoothstep is replaced by a logistic curve of adjustable steepness, which is
as cheap in both directions.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

# How much steeper than plain sRGB a camera renders the mid-tones; 1 would be no curve at all.
S_CURVE_STEEPNESS = 1.18
LUMA = (0.2126, 0.7152, 0.0722)  # Rec. 709, for linear and (as an approximation) for rendered values
_EPS = 1e-5
_STEPS = 2**16


def linear_from_rendered(rendered: Tensor, headroom: float = 0.0) -> Tensor:
    """Linear light of sRGB pixels in [0, 1], of any shape.

    Args:
        headroom: how much more light than a plain white the brightest pixels held before the camera
            compressed them; 0 keeps the result in [0, 1].
    """
    light = _expand(_grid(rendered.device))
    return _look_up(light * (1 + headroom * light * light), rendered)


def rendered_from_linear(light: Tensor) -> Tensor:
    """sRGB pixels in [0, 1] of linear light; light above 1 is clipped, as a sensor's well is."""
    return _look_up(_compress(_grid(light.device)), light.clamp(0, 1))


def _grid(device: torch.device) -> Tensor:
    return torch.linspace(0, 1, _STEPS, device=device)


def _look_up(table: Tensor, values: Tensor) -> Tensor:
    """Reading a curve from 2^16 steps is ten times faster than working it out, and errs by under 1/1000."""
    places = values.mul(_STEPS - 1).add_(0.5).int()
    return table.index_select(0, places.flatten()).view(values.shape)


def _expand(rendered: Tensor) -> Tensor:
    flat = torch.logit(rendered, eps=_EPS).div(S_CURVE_STEEPNESS).sigmoid()
    return torch.where(flat <= 0.04045, flat / 12.92, ((flat + 0.055) / 1.055).pow(2.4))


def _compress(light: Tensor) -> Tensor:
    flat = torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.pow(1 / 2.4) - 0.055)
    return torch.logit(flat, eps=_EPS).mul(S_CURVE_STEEPNESS).sigmoid()


def luma(image: Tensor) -> Tensor:
    """Rec. 709 luma, (..., 3, H, W) to (..., 1, H, W)."""
    red, green, blue = image.unbind(-3)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).unsqueeze(-3)


def add_sensor_noise(light: Tensor, shot: float, read: float, draw: torch.Generator) -> Tensor:
    """Heteroscedastic Gaussian noise, variance `shot` * light + `read`^2, added to (1, 3, H, W) linear light.

    This is the Poisson-Gaussian model of Foi et al. (TIP 2008). Half of the variance is shared by the three
    channels at full resolution, the other half is independent a channel and drawn at half resolution: what is
    left of chroma noise after demosaicking and the camera's own denoising is blotchy. Drawn on the CPU.
    """
    height, width = light.shape[-2:]
    grey = torch.randn((1, 1, height, width), generator=draw).to(light.device)
    coarse = torch.randn((1, 3, (height + 1) // 2, (width + 1) // 2), generator=draw).to(light.device)
    colour = interpolate(coarse, size=(height, width), mode="nearest")
    spread = light.clamp(min=0).mul_(0.5 * shot).add_(0.5 * read * read).sqrt_()
    return colour.add_(grey).mul_(spread).add_(light)
