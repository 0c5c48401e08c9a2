"""Lamps that the labels place: head and tail lamps of vehicles, the lit lamp of a traffic light."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.generators.interface import SceneObject
from models.generators.night_scene import Dice, View, is_free, scaled
from models.layers.lights import COOL_LED, NEUTRAL_LED, WARM_LED, Colour, Spot

FOUR_WHEELED = frozenset({"car", "truck", "bus", "van", "caravan", "other vehicle", "autorickshaw"})
TWO_WHEELED = frozenset({"motorcycle", "motor", "motorbike"})
# How far down the box head and tail lamps sit, where a car's are no guide.
LAMP_HEIGHTS = {"truck": (0.74, 0.78), "bus": (0.74, 0.78), "autorickshaw": (0.60, 0.72)}
# Width, height and length, in metres.
SIZES_M = {
    "car": (1.8, 1.5, 4.4),
    "truck": (2.4, 3.2, 8.0),
    "bus": (2.5, 3.1, 11.0),
    "autorickshaw": (1.3, 1.75, 2.7),
}
TAIL: Colour = (1.0, 0.05, 0.025)
TRAFFIC_LIGHT_COLOURS: dict[str, tuple[Colour, float]] = {
    # colour, and how far down an upright box its lamp sits
    "red": ((1.0, 0.055, 0.03), 0.2),
    "yellow": ((1.0, 0.50, 0.04), 0.5),
    "green": ((0.06, 1.0, 0.50), 0.8),
}


@dataclass(frozen=True, slots=True)
class VehicleLights:
    """Lamps to see, and the light they cast on the road, relative to a lit road."""

    lamps: list[Spot]
    cast: list[Spot]


def traffic_lamps(objects: Sequence[SceneObject]) -> list[Spot]:
    """The lit lamp of every traffic light whose colour is labelled; unknown ones stay dark."""
    lamps: list[Spot] = []
    for each in objects:
        said = str(each.attributes.get("trafficLightColor", "")).lower()
        name = {"r": "red", "g": "green", "y": "yellow"}.get(said, said)
        if each.category != "traffic light" or name not in TRAFFIC_LIGHT_COLOURS:
            continue
        colour, down = TRAFFIC_LIGHT_COLOURS[name]
        x1, y1, x2, y2 = each.xyxy
        width, height = x2 - x1, y2 - y1
        is_lying = width > 1.4 * height
        across, down = (down, 0.5) if is_lying else (0.5, down)
        radius = 0.36 * (min(height, width / 3) if is_lying else min(width, height / 3))
        lamps += _glowing(
            Spot(x1 + across * width, y1 + down * height, radius, radius, scaled(colour, 5), edge=4)
        )
    return lamps


def vehicle_lights(view: View, objects: Sequence[SceneObject], scan: Tensor, dice: Dice) -> VehicleLights:
    """Head or tail lamps of labelled vehicles, in the lower half of their boxes.

    Tail lamps that the day image shows are lit where they are. The side of the road on which rears are seen
    tells which side is oncoming; where none is seen it is drawn.

    Args:
        scan: the day image at any size, (1, 3, h, w) in [0, 1] on the CPU.
    """
    lights = VehicleLights([], [])
    vehicles = [o for o in objects if o.category in FOUR_WHEELED | TWO_WHEELED]
    patches = [_crop(scan, each, view) for each in vehicles]
    seen = [_seen_tail_lamps(*pair) for pair in zip(vehicles, patches, strict=True)]
    rears = sum(_lane(each, view) for each, lamps in zip(vehicles, seen, strict=True) if lamps)
    keeps_right = dice.chance(0.5) if abs(rears) < 0.1 else rears > 0
    for each, patch, tails in zip(vehicles, patches, seen, strict=True):
        own = Dice(int(dice.between(0, 2**31)))  # one roll an object: its neighbours change nothing here
        if each.xyxy[2] - each.xyxy[0] < view.width_px / 160 or own.chance(0.12):
            continue
        oncoming = 0.5 + 0.48 * max(-1.0, min(1.0, 4 * _lane(each, view))) * (-1 if keeps_right else 1)
        is_tail = not own.chance(oncoming) and not _lacks_red(patch)
        if each.category in TWO_WHEELED:
            lamps = _two_wheeler(each, is_tail)
        else:
            lamps = tails or _four_wheeler(each, view, patch, is_tail, own)
        shown = [lamp for lamp in lamps if not _is_hidden(lamp, each, objects, view)]
        for lamp in shown:
            lights.lamps.extend(_glowing(lamp))
        if shown:
            lights.cast.append(_road_glow(each, shown))
    return lights


def _lane(each: SceneObject, view: View) -> float:
    """Where across the image it is, -1 left to 1 right."""
    return (each.xyxy[0] + each.xyxy[2]) / view.width_px - 1


def _glowing(lamp: Spot) -> list[Spot]:
    """A lamp with a glow that grows with it."""
    radius = 3.0 * (lamp.radius_x_px + lamp.radius_y_px) / 2
    return [lamp, Spot(lamp.x_px, lamp.y_px, radius, radius, scaled(lamp.colour, 0.035))]


def _crop(scan: Tensor, each: SceneObject, view: View) -> Tensor:
    """What the day image shows inside a box, (3, h, w); may be empty."""
    rows, columns = scan.shape[-2:]
    x1, y1, x2, y2 = each.xyxy
    top, bottom = int(y1 / view.height_px * rows), int(y2 / view.height_px * rows + 0.5)
    left, right = int(x1 / view.width_px * columns), int(x2 / view.width_px * columns + 0.5)
    return scan[0, :, max(0, top) : max(0, bottom), max(0, left) : max(0, right)]


def _seen_tail_lamps(each: SceneObject, patch: Tensor) -> list[Spot]:
    """Tail lamps where the day shows them: small red places in both halves of a body that is not red."""
    rows, columns = patch.shape[-2:]
    if each.category in TWO_WHEELED or rows < 8 or columns < 12:
        return []
    # Below, bumpers carry red reflectors, which are no lamps.
    lowest = 0.66 if each.category == "car" else 0.85
    top, bottom = int(0.30 * rows), int(lowest * rows)
    band = patch[:, top:bottom]
    redness = band[0] - torch.maximum(band[1], band[2])
    if float(redness.quantile(0.8)) > 0.06:
        return []
    x1, y1, x2, y2 = each.xyxy
    radius = 0.03 * min(x2 - x1, 1.25 * (y2 - y1))
    lamps = []
    for left, right in ((0, columns // 2), (columns // 2, columns)):
        half = redness[:, left:right]
        if float(half.max()) < 0.16:
            return []
        row, column = divmod(int(half.argmax()), half.shape[1])
        x = x1 + (left + column + 0.5) / columns * (x2 - x1)
        y = y1 + (top + row + 0.5) / rows * (y2 - y1)
        lamps.append(Spot(x, y, 1.1 * radius, radius, scaled(TAIL, 2.4), edge=3))
    is_level = abs(lamps[0].y_px - lamps[1].y_px) < 0.18 * (y2 - y1)
    is_wide = lamps[1].x_px - lamps[0].x_px > 0.3 * (x2 - x1)
    return lamps if is_level and is_wide else []


def _near_face(each: SceneObject, view: View) -> tuple[float, float] | None:
    """Left and right edge of the front or rear of a vehicle that drives along the road; None if it does not.

    A vehicle beside our lane shows a side, too, towards the image's middle. How much follows from its
    distance (by its height) and its length; a box much wider or narrower belongs to one that stands askew.
    """
    x1, y1, x2, y2 = each.xyxy
    wide_m, tall_m, long_m = SIZES_M.get(each.category, SIZES_M["car"])
    is_cut = x1 <= 1 or x2 >= view.width_px - 1
    if is_cut or (long_m < 5 and x2 - x1 > 1.75 * (y2 - y1)):
        return None
    if x2 - x1 < 0.95 * wide_m / tall_m * (y2 - y1):
        return x1, x2  # too narrow for a side to show; from above, roof and bonnet make it taller
    ahead_m = tall_m * view.focal_px / (y2 - y1)
    is_left = x1 + x2 < view.width_px
    outer = (view.width_px / 2 - x1 if is_left else x2 - view.width_px / 2) * ahead_m / view.focal_px
    inner_m = outer - wide_m
    face_px = wide_m * view.focal_px / ahead_m
    side_px = max(0.0, inner_m) * view.focal_px * (1 / ahead_m - 1 / (ahead_m + long_m))
    if not 0.75 < (face_px + side_px) / (x2 - x1) < 1.3:
        return None
    face = (x2 - x1) * face_px / (face_px + side_px)
    return (x1, x1 + face) if is_left else (x2 - face, x2)


def _is_mirrored(each: SceneObject, patch: Tensor) -> bool:
    """Seen from straight ahead or behind: narrow, and the picture agrees with its mirror image."""
    x1, y1, x2, y2 = each.xyxy
    if x2 - x1 > 1.7 * (y2 - y1):
        return False
    if patch.shape[-1] < 10 or patch.shape[-2] < 8:
        return True  # too small to judge, and too small to look wrong
    grey = patch.mean(0)
    grey = grey - grey.mean(1, keepdim=True)
    return float((grey * grey.flip(1)).sum()) > 0.30 * float(grey.square().sum())


def _four_wheeler(each: SceneObject, view: View, patch: Tensor, is_tail: bool, dice: Dice) -> list[Spot]:
    x1, y1, x2, y2 = each.xyxy
    width, height = x2 - x1, y2 - y1
    radius = 0.028 * min(width, 1.25 * height)
    head = scaled(WARM_LED if dice.chance(0.4) else COOL_LED, dice.between(8, 16))
    tail = scaled(TAIL, dice.between(1.6, 3.2))
    colour = tail if is_tail else head
    y = y1 + LAMP_HEIGHTS.get(each.category, (0.60, 0.54))[is_tail] * height
    face = (x1, x2) if _is_mirrored(each, patch) else _near_face(each, view)
    if face is not None and each.category == "autorickshaw" and not is_tail:
        return [Spot(sum(face) / 2, y, radius, radius, colour, edge=3)]
    if face is not None:
        inset = 0.15 * (face[1] - face[0])
        places = (face[0] + inset, face[1] - inset)
        return [Spot(x, y, 1.2 * radius, radius, colour, edge=3) for x in places]
    # From the side one end may show a head lamp and the other a tail lamp; seen aslant, neither is bright.
    is_left_front = _is_right_redder(patch, dice.between(-1, 1))
    if is_left_front is None:
        return []  # better parked with its lamps off than lit at the wrong end
    front, back = (x1 + 0.05 * width, x2 - 0.04 * width)[:: 1 if is_left_front else -1]
    rear = Spot(back, y - 0.03 * height, 0.7 * radius, 0.8 * radius, scaled(tail, 0.6), edge=3)
    if each.category == "autorickshaw":
        return [rear]
    return [Spot(front, y, 0.7 * radius, 0.8 * radius, scaled(head, 0.35), edge=3), rear]


def _lacks_red(patch: Tensor) -> bool:
    """Large enough to show the red glass that every rear has, and shows none."""
    rows = patch.shape[-2]
    if rows < 24 or patch.shape[-1] < 24:
        return False
    band = patch[:, rows // 4 : -rows // 6]
    return float((band[0] - torch.maximum(band[1], band[2])).max()) < 0.16


def _is_right_redder(patch: Tensor, doubt: float) -> bool | None:
    """Whether the right end of a vehicle seen from the side is its rear; None if a plain view does not tell.

    Args:
        doubt: its sign decides for vehicles too small to judge, and to look wrong.
    """
    rows, columns = patch.shape[-2:]
    if rows < 24 or columns < 24:
        return doubt > 0
    band = patch[:, rows // 4 : -rows // 5]
    redness = band[0] - torch.maximum(band[1], band[2])
    end = columns // 6
    left, right = (float(part.quantile(0.97)) for part in (redness[:, :end], redness[:, -end:]))
    is_red_all_over = float(redness.median()) > 0.1
    return None if is_red_all_over or abs(right - left) < 0.05 else right > left


def _two_wheeler(each: SceneObject, is_tail: bool) -> list[Spot]:
    x1, y1, x2, y2 = each.xyxy
    width, height = x2 - x1, y2 - y1
    if width > 0.9 * height:  # side on: the lamp would be at an unknown end
        return []
    has_rider = height > 1.5 * width
    radius = 0.05 * min(width, height)
    colour = scaled(TAIL, 2.2) if is_tail else scaled(NEUTRAL_LED, 9.0)
    y = y1 + ((0.62 if is_tail else 0.52) if has_rider else 0.42) * height
    return [Spot(x1 + 0.5 * width, y, radius, radius, colour, edge=3)]


def _road_glow(each: SceneObject, lamps: Sequence[Spot]) -> Spot:
    """Light on the road before a front or behind a rear, on the side of the lamps that are seen."""
    x1, _, x2, y2 = each.xyxy
    middle = sum(lamp.x_px for lamp in lamps) / len(lamps)
    red = all(lamp.colour[0] > 5 * lamp.colour[1] for lamp in lamps)
    colour = scaled(TAIL, 0.15) if red else scaled(NEUTRAL_LED, 0.5)
    height = y2 - each.xyxy[1]
    return Spot(middle, y2 + 0.10 * height, 0.8 * (x2 - x1), 0.32 * height, colour)


def _is_hidden(lamp: Spot, owner: SceneObject, objects: Sequence[SceneObject], view: View) -> bool:
    """A nearer box (its foot lower in the image) or the image's border covers the lamp."""
    x1, _, x2, foot = owner.xyxy
    if not (1 <= lamp.x_px <= view.width_px - 1 and lamp.y_px <= view.height_px - 1):
        return True
    if (x1 <= 1 and lamp.x_px < (x1 + x2) / 2) or (x2 >= view.width_px - 1 and lamp.x_px > (x1 + x2) / 2):
        return True
    nearer = [other for other in objects if other is not owner and other.xyxy[3] > foot]
    return not is_free(lamp.x_px, lamp.y_px, nearer, margin=0.03)
