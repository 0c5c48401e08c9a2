"""Day to night by the physics of a camera, without weights.

After Punnappurath et al., "Day-to-Night Image Synthesis for Training Nighttime Neural ISPs" (CVPR 2022): undo
the rendering, lower the exposure, relight with several night illuminants, add sensor noise, render again.
They start from raw images; for rendered JPEGs this adds an inverse tone curve, a sky that goes dark, lamps
that the labels place, and lens bloom. Geometry never changes, and labelled objects keep a floor of light so
that a detector can still find them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from models.generators.interface import Direction, Generator, Scene, SceneObject
from models.generators.lit_windows import lit_windows, where_windows_are
from models.generators.night_scene import (
    Dice,
    View,
    distant_lights,
    facade_light,
    guess_view,
    lowered_to_sky,
    scaled,
    street_lamps,
    vista,
)
from models.generators.vehicle_lamps import traffic_lamps, vehicle_lights
from models.layers.lights import AMBIENT, NEUTRAL_LED, Spot, bloom, gaussian_blur, paint
from models.layers.sky import sharpen_mask, soft_sky
from models.layers.tone import add_sensor_noise, linear_from_rendered, luma, rendered_from_linear

_THUMB_PX = 160  # width at which sky, illumination and exposure are judged
_HEADROOM = 0.9  # glints and white paint near a lamp outshine what a day picture shows of them
_CONTRAST = 1.25  # how much steeper than drawn the light falls from lit to unlit places
# They stand before the sky, which must go dark around them too.
_UNSHIELDED = frozenset({"traffic light", "traffic sign"})


@dataclass(frozen=True, slots=True)
class _Day:
    """The day scene as it was judged: a thumbnail (1, 3, h, w) on the CPU, its soft sky mask (1, 1, h, w)."""

    thumb: Tensor
    sky: Tensor
    view: View
    objects: Sequence[SceneObject]

    @property
    def size(self) -> tuple[int, int]:
        return self.view.height_px, self.view.width_px

    @property
    def small(self) -> tuple[int, int]:
        return self.thumb.shape[-2], self.thumb.shape[-1]


@dataclass(frozen=True, slots=True)
class _Night:
    """What the relighting of one image comes to, at thumbnail size.

    `gain`: (1, 3, h, w) factor on linear light below the sky; `sky`: mask, `sky_gain` the factor there and
    `sky_glow` the (1, 3, h, 1) light that a night sky has of itself.
    """

    gain: Tensor
    sky: Tensor
    sky_gain: float
    sky_glow: Tensor


class CameraNight(Generator):
    """The weightless day-to-night camera model; see the module's docstring."""

    direction: ClassVar[Direction] = Direction.DAY2NIGHT
    stride: ClassVar[int] = 1
    is_tileable: ClassVar[bool] = False  # sky, exposure and lamps are judged over the whole image

    @torch.no_grad()
    def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
        pairs = zip(images.unsqueeze(1), scenes, strict=True)
        return torch.cat([_translate(image, scene) for image, scene in pairs])


def _translate(image: Tensor, scene: Scene) -> Tensor:
    """One image, (1, 3, H, W), at its own seed and strength."""
    strength = min(max(scene.strength, 0.0), 1.0)
    if strength == 0:
        return image.clone()
    dice = Dice(scene.seed)
    pixels = image.float().clamp(0, 1)
    size = (image.shape[-2], image.shape[-1])
    half = interpolate(pixels, size=(max(1, size[0] // 2), max(1, size[1] // 2)), mode="area")
    day = _judge(half, size, scene.objects)

    open_columns = vista(day.view, day.sky)
    heads, cast = street_lamps(day.view, day.objects, day.sky, open_columns, dice)
    vehicles = vehicle_lights(day.view, day.objects, half.cpu(), dice)
    night = _relight(day, cast + facade_light(day.view, dice) + vehicles.cast, dice)
    far = distant_lights(day.view, day.objects, open_columns, dice)
    lamps = heads + vehicles.lamps + far + traffic_lamps(day.objects)
    emission = paint(lamps, size, (half.shape[-2], half.shape[-1])).to(image.device)
    boxes = gaussian_blur(_box_mask(day.objects, day), 1.5)
    walls = where_windows_are(day.thumb, day.view, night.sky, boxes) * open_columns
    emission += lit_windows(half, day.thumb, walls, dice)
    emission *= strength

    light = _expose(pixels, day, night, strength)
    # Long exposure and noise reduction cost a night camera some sharpness.
    light.lerp_(_three_by_three(light), 0.45 * strength)
    light += _resize(emission + bloom(emission), size)
    shot = dice.between_orders(1e-4, 4e-4) * strength
    light = add_sensor_noise(light, shot, dice.between(0.0006, 0.002) * strength, dice.generator)
    return rendered_from_linear(light).to(image.dtype)


def _judge(half: Tensor, size: tuple[int, int], objects: Sequence[SceneObject]) -> _Day:
    height, width = size
    small = (max(1, round(height * _THUMB_PX / width)), _THUMB_PX) if width > _THUMB_PX else size
    thumb = interpolate(half, size=small, mode="area").cpu()
    view = guess_view(height, width, objects)
    sky = soft_sky(thumb, view.horizon_px / height if view.is_measured else 0.62)
    return _Day(thumb, sky, lowered_to_sky(view, sky), objects)


def _relight(day: _Day, cast: Sequence[Spot], dice: Dice) -> _Night:
    """Ambient and cast light over the thumbnail, scaled so that the street ends at a night exposure."""
    shield = _box_mask([o for o in day.objects if o.category not in _UNSHIELDED], day)
    sky = day.sky * (1 - shield)
    street = 1 - sky + 1e-3
    light = linear_from_rendered(day.thumb)

    lamps = paint(cast, day.size, day.small)
    lamps = lamps / (1 + 0.1 * luma(lamps))  # overlapping pools saturate instead of burning through
    lamps += _own_beam(day, dice)
    lamps *= 1 + paint(_sign_spots(day.objects, dice), day.size, day.small)
    illumination = torch.tensor(AMBIENT).view(1, 3, 1, 1) * dice.between(0.05, 0.14) + lamps
    # Softer than the boxes, or their outlines would show on a dark road.
    shield = gaussian_blur(shield, 0.025 * day.small[1])
    illumination += 0.30 * shield * illumination.mean((2, 3), keepdim=True)
    illumination = illumination * _without_sun(luma(light), street)
    illumination = _balanced(illumination, light * street, dice.between(0.10, 0.50))

    illumination = illumination * luma(illumination).clamp(min=1e-4).pow(_CONTRAST - 1)
    target = dice.between_orders(0.05, 0.125)
    exposed = float((luma(light * illumination) * street).sum() / street.sum())
    gain = illumination * (target / max(exposed, 1e-4))
    # No pool outshines the day, and no labelled object sinks below a floor.
    gain = gain / (1 + gain**4).pow(0.25)
    gain = gain + 0.16 * shield * torch.exp(-luma(gain) / 0.16)
    return _Night(gain, sky, dice.between(0.006, 0.02), _sky_glow(day, dice))


def _without_sun(grey: Tensor, street: Tensor) -> Tensor:
    """A factor that evens out large sunlit and shaded areas of linear `grey`: the sun is gone."""
    sigma = 0.07 * grey.shape[-1]
    local = gaussian_blur(grey * street, sigma) / gaussian_blur(street, sigma)
    mean = (grey * street).sum() / street.sum()
    return ((local + 0.02) / (mean + 0.02)).pow(-0.45)


def _balanced(illumination: Tensor, light: Tensor, trust: float) -> Tensor:
    """White balance that goes part of the way (`trust` in [0, 1]) towards what lights the scene."""
    seen = (light * illumination).mean((2, 3), keepdim=True) / light.mean((2, 3), keepdim=True).clamp(
        min=1e-6
    )
    balance = seen.clamp(min=1e-4).pow(-trust)
    return illumination * (balance * luma(seen) / luma(seen * balance).clamp(min=1e-6))


def _expose(pixels: Tensor, day: _Day, night: _Night, strength: float) -> Tensor:
    """Linear night light of the day image, before lamps and noise; every factor is a power of `strength`."""
    device, thumb = pixels.device, day.thumb
    sky = sharpen_mask(night.sky.to(device), luma(thumb).to(device), luma(pixels))
    light = linear_from_rendered(pixels, _HEADROOM * strength * strength)
    # Daylight haze lifts the blacks; at night there is none.
    darkest = linear_from_rendered(thumb).amin(1).flatten()
    veil = 0.7 * strength * float(torch.quantile(darkest, 0.01))
    light.sub_(veil).clamp_(min=0).mul_(1 / (1 - veil))
    light.mul_(_resize(night.gain.pow(strength).to(device), day.size))
    street = float(luma(night.gain).mean())
    light.mul_(torch.exp(sky * (strength * math.log(night.sky_gain / max(street, 1e-4)))))
    glow = _resize(night.sky_glow.to(device), (day.size[0], 1))
    return light.add_(glow * sky, alpha=strength)


def _own_beam(day: _Day, dice: Dice) -> Tensor:
    """The own head lamps on the road; only a camera at car height has them."""
    view = day.view
    has_beam, level = dice.chance(0.6), dice.between(0.25, 0.7)
    if not has_beam or view.camera_m > 2.2:
        return torch.zeros((1, 3, 1, 1))
    below = view.height_px - view.horizon_px
    x, y = view.width_px / 2, view.horizon_px + 0.55 * below
    beam = Spot(x, y, 0.42 * view.width_px, 0.40 * below, scaled(NEUTRAL_LED, level))
    return paint([beam], day.size, day.small)


def _sky_glow(day: _Day, dice: Dice) -> Tensor:
    """What a city's sky sends back: dark blue-grey overhead, warmer and brighter over the roofs."""
    rows = day.small[0]
    level, warmth = dice.between_orders(0.004, 0.016), dice.between(0, 1)
    down = (torch.arange(rows) + 0.5) / rows * day.view.height_px / max(day.view.horizon_px, 1.0)
    near = down.clamp(0, 1).square().view(1, 1, rows, 1)
    up = torch.tensor((0.80, 0.95, 1.30)).view(1, 3, 1, 1)
    low = torch.tensor((1.0 + 0.5 * warmth, 1.0, 1.05 - 0.5 * warmth)).view(1, 3, 1, 1)
    return level * (up * (0.6 + 0.2 * (1 - near)) + low * near)


def _sign_spots(objects: Sequence[SceneObject], dice: Dice) -> list[Spot]:
    """Retro-reflective signs throw head-lamp light back."""
    signs = [each for each in objects if each.category == "traffic sign"]
    return [_over_box(each, 0.56, dice.between(0.6, 1.6)) for each in signs]


def _box_mask(objects: Sequence[SceneObject], day: _Day) -> Tensor:
    """Soft patches over boxes, (1, 1, h, w) in [0, 1]."""
    return paint([_over_box(each, 0.52, 1.0) for each in objects], day.size, day.small)[:, :1].clamp(max=1)


def _over_box(each: SceneObject, share: float, level: float) -> Spot:
    x1, y1, x2, y2 = each.xyxy
    radii = share * (x2 - x1), share * (y2 - y1)
    return Spot((x1 + x2) / 2, (y1 + y2) / 2, *radii, (level, level, level), edge=6, is_square=True)


def _three_by_three(image: Tensor) -> Tensor:
    """Mean over 3x3 pixels, borders repeated."""
    for dim in (-1, -2):
        size = image.shape[dim]
        before = torch.cat((image.narrow(dim, 0, 1), image.narrow(dim, 0, size - 1)), dim)
        after = torch.cat((image.narrow(dim, 1, size - 1), image.narrow(dim, size - 1, 1)), dim)
        image = before.add_(after).add_(image).div_(3)
    return image


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(image, size=size, mode="bilinear", align_corners=False)
