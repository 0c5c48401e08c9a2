"""Lamps that the labels place: head and tail lamps of vehicles, the lit lamp of a traffic light."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from models.generators.interface import SceneObject
from models.generators.night_scene import Dice, View, glowing, is_free, scaled
from models.generators.red_glass import glass_places, is_mirrored, is_small, lacks_red
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
        lamps += glowing(
            Spot(x1 + across * width, y1 + down * height, radius, radius, scaled(colour, 5), edge=4)
        )
    return lamps


def vehicle_lights(view: View, objects: Sequence[SceneObject], scan: Tensor, dice: Dice) -> VehicleLights:
    """Head or tail lamps of labelled vehicles, in the lower half of their boxes; none where in doubt.

    Tail lamps that the day image shows are lit where they are. The side of the road on which rears are seen
    tells which side is oncoming; where none is seen it is drawn.

    Args:
        scan: the day image at any size, (1, 3, h, w) in [0, 1] on the CPU.
    """
    lights = VehicleLights([], [])
    vehicles = [o for o in objects if o.category in FOUR_WHEELED | TWO_WHEELED]
    patches = [_crop(scan, each, view) for each in vehicles]
    seen = [_seen_tail_lamps(each, patch, view) for each, patch in zip(vehicles, patches, strict=True)]
    rears = sum(_lane(each, view) for each, lamps in zip(vehicles, seen, strict=True) if lamps)
    keeps_right = dice.chance(0.5) if abs(rears) < 0.1 else rears > 0
    for each, patch, tails in zip(vehicles, patches, seen, strict=True):
        own = Dice(int(dice.between(0, 2**31)))  # one roll an object: its neighbours change nothing here
        if each.xyxy[2] - each.xyxy[0] < view.width_px / 160 or own.chance(0.08):
            continue
        oncoming = 0.5 + 0.48 * max(-1.0, min(1.0, 4 * _lane(each, view))) * (-1 if keeps_right else 1)
        is_tail = not own.chance(oncoming) and not lacks_red(patch)
        lamps = tails
        if not lamps and not _is_cut(each, view):
            if each.category in TWO_WHEELED:
                lamps = _two_wheeler(each, patch, is_tail)
            else:
                lamps = _four_wheeler(each, view, patch, is_tail, own)
        shown = [lamp for lamp in lamps if not _is_hidden(lamp, each, objects, view)]
        for lamp in shown:
            lights.lamps.extend(glowing(lamp))
        if shown:
            lights.cast.append(_road_glow(each, shown))
    return lights


def _is_cut(each: SceneObject, view: View) -> bool:
    """The image's border cuts the box, so its proportions tell nothing."""
    x1, y1, x2, y2 = each.xyxy
    near_x, near_y = 0.006 * view.width_px, 0.006 * view.height_px
    return x1 <= near_x or y1 <= near_y or x2 >= view.width_px - near_x or y2 >= view.height_px - near_y


def _lane(each: SceneObject, view: View) -> float:
    """Where across the image it is, -1 left to 1 right."""
    return (each.xyxy[0] + each.xyxy[2]) / view.width_px - 1


def _crop(scan: Tensor, each: SceneObject, view: View) -> Tensor:
    """What the day image shows inside a box, (3, h, w); may be empty."""
    rows, columns = scan.shape[-2:]
    x1, y1, x2, y2 = each.xyxy
    top, bottom = int(y1 / view.height_px * rows), int(y2 / view.height_px * rows + 0.5)
    left, right = int(x1 / view.width_px * columns), int(x2 / view.width_px * columns + 0.5)
    return scan[0, :, max(0, top) : max(0, bottom), max(0, left) : max(0, right)]


def _seen_tail_lamps(each: SceneObject, patch: Tensor, view: View) -> list[Spot]:
    """Tail lamps where the day shows their glass: one in each half of a rear, one at the end of a side."""
    x1, y1, x2, y2 = each.xyxy
    width, height = x2 - x1, y2 - y1
    if _is_cut(each, view):
        return []
    if each.category in TWO_WHEELED:
        places = glass_places(patch, 0.40, 0.80, columns=1)
        size = 0.05 * min(width, height)
        is_sound = all(0.1 < across < 0.9 for across, _ in places)
    else:
        # Below, bumpers carry red reflectors, which are no lamps.
        places = glass_places(patch, 0.30, 0.66 if each.category == "car" else 0.85)
        size = 0.03 * min(width, 1.25 * height)
        if _is_side_on(each):
            size *= 0.8
            places = [place for place in places if abs(place[0] - 0.5) > 0.42]
            is_sound = len(places) == 1
        else:
            is_sound = len(places) == 2 and places[1][0] - places[0][0] > 0.3
            is_sound = is_sound and abs(places[0][1] - places[1][1]) < 0.18
    if not is_sound:
        return []
    colour = scaled(TAIL, 2.4)
    return [Spot(x1 + x * width, y1 + y * height, 1.1 * size, size, colour, edge=3) for x, y in places]


def _is_side_on(each: SceneObject) -> bool:
    """Much wider than the front or rear of its kind."""
    x1, y1, x2, y2 = each.xyxy
    wide_m, tall_m, _ = SIZES_M.get(each.category, SIZES_M["car"])
    return x2 - x1 > 1.4 * wide_m / tall_m * (y2 - y1)


def _face(each: SceneObject, view: View, patch: Tensor) -> tuple[float, float] | None:
    """Left and right edge of the front or rear; None if it is not seen or the picture does not tell.

    A vehicle beside our lane that drives along the road shows a side, too, towards the image's middle. How
    much follows from its distance (by its height) and its length. From a bridge all vehicles drive along the
    road; at car height a near one may stand askew, so there the picture must be symmetric.
    """
    x1, y1, x2, y2 = each.xyxy
    if _is_side_on(each):
        return None
    if not is_small(patch) and is_mirrored(patch):
        return x1, x2
    is_near = not is_small(patch) and x2 - x1 > 0.09 * view.width_px
    if is_near and view.camera_m < 2.5:
        return None
    wide_m, tall_m, long_m = SIZES_M.get(each.category, SIZES_M["car"])
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


def _four_wheeler(each: SceneObject, view: View, patch: Tensor, is_tail: bool, dice: Dice) -> list[Spot]:
    head = scaled(WARM_LED if dice.chance(0.4) else COOL_LED, dice.between(12, 24))
    tail = scaled(TAIL, dice.between(2.0, 3.6))
    face = _face(each, view, patch)
    if face is None:
        return []  # better parked with its lamps off than lit at the wrong end
    x1, y1, x2, y2 = each.xyxy
    radius = 0.028 * min(x2 - x1, 1.25 * (y2 - y1))
    colour = tail if is_tail else head
    y = y1 + LAMP_HEIGHTS.get(each.category, (0.60, 0.54))[is_tail] * (y2 - y1)
    inset = 0.5 if each.category == "autorickshaw" and not is_tail else 0.15
    inset *= face[1] - face[0]
    places = {face[0] + inset, face[1] - inset}  # the one head lamp of an autorickshaw is in the middle
    return [Spot(x, y, 1.2 * radius, radius, colour, edge=3) for x in sorted(places)]


def _two_wheeler(each: SceneObject, patch: Tensor, is_tail: bool) -> list[Spot]:
    x1, y1, x2, y2 = each.xyxy
    width, height = x2 - x1, y2 - y1
    if width > 0.62 * height or not (is_small(patch) or lacks_red(patch) or is_mirrored(patch)):
        return []  # the lamp would be at an unknown end
    has_rider = height > 1.5 * width
    radius = 0.05 * min(width, height)
    colour = scaled(TAIL, 2.4) if is_tail else scaled(NEUTRAL_LED, 12.0)
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
    near = 0.006 * view.width_px
    is_at_left_cut = x1 <= near and lamp.x_px < (x1 + x2) / 2
    if is_at_left_cut or (x2 >= view.width_px - near and lamp.x_px > (x1 + x2) / 2):
        return True
    if not lamp.y_px < (1 - 0.006) * view.height_px:
        return True
    nearer = [other for other in objects if other is not owner and other.xyxy[3] > foot]
    return not is_free(lamp.x_px, lamp.y_px, nearer, margin=0.03)
