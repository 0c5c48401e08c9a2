"""A guessed camera over a flat street, and the street lamps and shop fronts that light it, in perspective."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from models.generators.interface import SceneObject
from models.layers.lights import (
    COOL_LED,
    MERCURY,
    NEON,
    NEUTRAL_LED,
    SODIUM,
    WARM_LED,
    Colour,
    Spot,
    gaussian_blur,
)

HEIGHTS_M = {
    "car": 1.5,
    "truck": 3.0,
    "bus": 3.1,
    "autorickshaw": 1.75,
    "pedestrian": 1.7,
    "motorcycle": 1.1,
    "bicycle": 1.05,
}


class Dice:
    """All chance of one image: a CPU generator, so that every device draws alike."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator(device="cpu").manual_seed(seed & (2**63 - 1))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def between_orders(self, low: float, high: float) -> float:
        """Evenly spread over orders of magnitude."""
        return math.exp(self.between(math.log(low), math.log(high)))

    def chance(self, probability: float) -> bool:
        return self.between(0, 1) < probability

    def field(self, rows: int, columns: int) -> Tensor:
        """Uniform numbers, (1, 1, rows, columns)."""
        return torch.rand((1, 1, rows, columns), generator=self.generator)


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera over a flat road; metres are guesses good enough to place lamps in perspective.

    `horizon_px` counts from the top; focal length and size are in pixels, the camera's height in metres.
    `is_measured`: labelled objects told the horizon; otherwise it is a guess.
    """

    height_px: int
    width_px: int
    horizon_px: float
    camera_m: float
    is_measured: bool = False

    @property
    def focal_px(self) -> float:
        return 0.9 * self.width_px

    def project(self, across_m: float, up_m: float, ahead_m: float) -> tuple[float, float]:
        x = self.width_px / 2 + self.focal_px * across_m / ahead_m
        return x, self.horizon_px - self.focal_px * (up_m - self.camera_m) / ahead_m


def guess_view(height: int, width: int, objects: Sequence[SceneObject]) -> View:
    """Horizon and camera height from where objects of known size stand and how tall they look.

    The relation is that of Hoiem et al., "Putting Objects in Perspective" (CVPR 2006): a foot lies below the
    horizon by the camera's height times the pixels a metre takes there.
    """
    known = [o for o in objects if o.category in HEIGHTS_M and not o.attributes.get("occluded")]
    if not known:
        return View(height, width, 0.45 * height, 1.45)
    feet = torch.tensor([o.xyxy[3] for o in known])
    metre_px = torch.tensor([(o.xyxy[3] - o.xyxy[1]) / _height_m(o) for o in known])
    spread = float(metre_px.var(correction=0)) if len(known) >= 4 else 0.0
    if spread > (0.02 * height) ** 2:
        camera_m = float(((metre_px - metre_px.mean()) * (feet - feet.mean())).mean()) / spread
        camera_m = min(max(camera_m, 1.0), 12.0)
        horizon = float((feet - camera_m * metre_px).median())
        return View(height, width, min(max(horizon, -0.2 * height), 0.6 * height), camera_m, True)
    horizon = float((feet - 1.45 * metre_px).median())
    return View(height, width, min(max(horizon, 0.25 * height), 0.55 * height), 1.45, True)


def _height_m(each: SceneObject) -> float:
    """Typical height; some datasets box two-wheelers together with their riders, which the shape tells."""
    x1, y1, x2, y2 = each.xyxy
    has_rider = each.category in {"motorcycle", "bicycle"} and y2 - y1 > 0.9 * (x2 - x1)
    return 1.65 if has_rider else HEIGHTS_M[each.category]


def lowered_to_sky(view: View, sky: Tensor) -> View:
    """A horizon that no label tells is moved to where the sky ends, if that is in a sane place."""
    if view.is_measured:
        return view
    rows = sky.mean((0, 1, 3)) > 0.12
    if not bool(rows.any()):
        return view
    lowest = (int(rows.nonzero().max()) + 1) / len(rows)
    return replace(view, horizon_px=min(max(lowest, 0.40), 0.58) * view.height_px)


def vista(view: View, sky: Tensor) -> Tensor:
    """In which columns one looks far: the sky is seen above the horizon there, (1, 1, 1, w) in [0, 1].

    Without it a wall or a tree is near, and any lamp before it would hang in the air.
    """
    rows = min(max(int(view.horizon_px / view.height_px * sky.shape[-2]), 1), sky.shape[-2])
    share = sky[..., :rows, :].mean(2, keepdim=True)
    openness = (share.mean() / 0.06 - 1).clamp(0, 1)  # a gap between leaves is no vista
    share = gaussian_blur(share, 0.05 * sky.shape[-1])
    return openness * ((share - 0.10) / 0.15).clamp(0, 1)


def draw_illuminant(dice: Dice) -> Colour:
    roll = dice.between(0, 1)
    for share, colour in ((0.30, SODIUM), (0.60, WARM_LED), (0.85, NEUTRAL_LED), (0.95, COOL_LED)):
        if roll < share:
            return colour
    return MERCURY


def scaled(colour: Colour, by: float) -> Colour:
    return colour[0] * by, colour[1] * by, colour[2] * by


def glowing(lamp: Spot) -> list[Spot]:
    """A lamp with a glow that grows with it."""
    radius = 3.0 * (lamp.radius_x_px + lamp.radius_y_px) / 2
    return [lamp, Spot(lamp.x_px, lamp.y_px, radius, radius, scaled(lamp.colour, 0.07))]


def street_lamps(
    view: View, objects: Sequence[SceneObject], sky: Tensor, open_columns: Tensor, dice: Dice
) -> tuple[list[Spot], list[Spot]]:
    """Rows of lamps along the road: their visible heads, and the light they cast on road and walls around.

    Heads are seen where the sky is seen beside them, never before a near wall or tree or on a labelled
    object, and seldom high in the open sky, where a lamp without its pole floats. The cast light is relative
    to the lit road (about 1 under a lamp).

    Args:
        sky: soft mask of any size, (1, 1, h, w).
        open_columns: see `vista`.
    """
    heads: list[Spot] = []
    cast: list[Spot] = []
    rim = max_pool2d(sky, 9, stride=1, padding=4)
    main = draw_illuminant(dice)
    side_m, rise_m = dice.between(6, 10), dice.between(6, 8.5)
    ahead_m, step_m = dice.between(6, 22), dice.between(20, 34)
    sides = ((-1,), (1,), (-1, 1))[int(dice.between(0, 3))]
    bend_m = dice.between(-20, 20)
    while ahead_m < 150:
        scale = view.focal_px / ahead_m  # pixels a metre
        for side in sides:
            colour = main if dice.chance(0.8) else draw_illuminant(dice)
            across = side * side_m + bend_m * (ahead_m / 150) ** 2
            level, shown = dice.between_orders(0.5, 2.5), dice.between(0, 1)
            x, y = view.project(across * 0.6, 0, ahead_m)
            flat = max(9 * scale * view.camera_m / ahead_m, 2)
            cast.append(Spot(x, y, 9 * scale, 1.6 * flat, scaled(colour, level)))
            x, y = view.project(across, rise_m, ahead_m)
            cast.append(Spot(x, y + 3 * scale, 5 * scale, 5 * scale, scaled(colour, 0.6 * level)))
            place = x / view.width_px, y / view.height_px
            is_vista = _at(open_columns, place[0], 0) > 0.5 and _at(rim, *place) > 0.5
            likely = 0.0 if not is_vista else 0.3 if _at(sky, *place) > 0.3 else 0.85
            if ahead_m > 20 and shown < likely and is_free(x, y, objects):
                radius = max(0.12 * scale, view.width_px / 1000)
                heads += glowing(Spot(x, y, radius * 1.4, radius, scaled(colour, 20)))
        ahead_m += step_m * dice.between(0.85, 1.15)
    return heads, cast


def distant_lights(
    view: View, objects: Sequence[SceneObject], open_columns: Tensor, dice: Dice
) -> list[Spot]:
    """Small points along the horizon: far lamps, cars and shops that every open night street ends in.

    Args:
        open_columns: see `vista`.
    """
    spots = []
    middle, spread = dice.between(0.3, 0.7), dice.between(0.12, 0.35)
    for _ in range(int(dice.between(4, 22))):
        x = view.width_px * (middle + spread * dice.between(-1, 1) * dice.between(0, 1) * 2)
        y = view.horizon_px - view.height_px * (0.05 * dice.between(0, 1) ** 2 - 0.01)
        colour = (1.2, 0.12, 0.08) if dice.chance(0.2) else draw_illuminant(dice)
        radius, level = view.width_px / 1300 * dice.between(0.6, 1.5), dice.between(0.8, 5)
        if _at(open_columns, x / view.width_px, 0) > 0.5 and is_free(x, y, objects):
            spots.append(Spot(x, y, radius, radius, scaled(colour, level)))
    return spots


def _at(mask: Tensor, across: float, down: float) -> float:
    """The mask's value at a place given in fractions; 0 outside."""
    if not (0 <= across < 1 and 0 <= down < 1):
        return 0.0
    return float(mask[0, 0, int(down * mask.shape[-2]), int(across * mask.shape[-1])])


def facade_light(view: View, dice: Dice) -> list[Spot]:
    """Shops, windows and signs beside the road that light what is near them."""
    cast = []
    for _ in range(int(dice.between(2, 6))):
        is_neon, level = dice.chance(0.12), dice.between_orders(0.3, 2.2)
        colour = scaled(NEON[int(dice.between(0, len(NEON)))], 0.4) if is_neon else draw_illuminant(dice)
        cast.append(
            Spot(
                dice.between(-0.05, 1.05) * view.width_px,
                view.horizon_px + dice.between(-0.10, 0.12) * view.height_px,
                dice.between(0.06, 0.22) * view.width_px,
                dice.between(0.06, 0.20) * view.height_px,
                scaled(colour, level),
            )
        )
    return cast


def is_free(x: float, y: float, objects: Sequence[SceneObject], margin: float = 0.15) -> bool:
    for each in objects:
        x1, y1, x2, y2 = each.xyxy
        dx, dy = margin * (x2 - x1), margin * (y2 - y1)
        if x1 - dx <= x <= x2 + dx and y1 - dy <= y <= y2 + dy:
            return False
    return True
