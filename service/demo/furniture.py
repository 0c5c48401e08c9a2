"""What stands beside the road: houses, trees, people, traffic lights, signs, lamp posts, a viaduct."""

import math
from dataclasses import dataclass

import numpy as np

from service.demo.canvas import Canvas, Colour, Place, Point, shaded
from service.demo.vehicles import PAINTS, SKIN

WALLS: tuple[Colour, ...] = (
    (176, 148, 122), (150, 108, 86), (196, 186, 168), (140, 142, 146), (206, 196, 150), (120, 92, 82),
    (168, 176, 182), (188, 160, 140),
)  # fmt: skip
TRAFFIC_LIGHTS: dict[str, tuple[float, Colour]] = {
    "red": (0.36, (255, 48, 32)),
    "yellow": (0.0, (255, 190, 40)),
    "green": (-0.36, (40, 240, 130)),
}
_METAL: Colour = (92, 96, 100)
_LIT_WINDOW: Colour = (250, 206, 130)


@dataclass(frozen=True, slots=True)
class House:
    """A facade along the road: across, from near to far, up to a height, in metres."""

    across: float
    near: float
    far: float
    height: float
    wall: Colour
    is_night: bool


def draw_house(canvas: Canvas, house: House, rng: np.random.Generator) -> None:
    x, depth = house.across, house.far - house.near
    outwards = math.copysign(12, x)
    facing = [(x, house.near), (x + outwards, house.near)]
    front = [
        (a, up, z)
        for (a, z), up in zip(facing + facing[::-1], (0, 0, house.height, house.height), strict=True)
    ]
    canvas.polygon(front, shaded(house.wall, 0.68))
    along = [
        (x, 0.0, house.near),
        (x, 0.0, house.far),
        (x, house.height, house.far),
        (x, house.height, house.near),
    ]
    canvas.polygon(along, house.wall)
    _strip(canvas, x, (house.near, house.far), (house.height - 0.4, house.height), shaded(house.wall, 1.18))
    _strip(canvas, x, (house.near, house.far), (0, 0.6), shaded(house.wall, 0.6))
    bays, floors = max(1, int(depth / 2.8)), max(1, int((house.height - 4.2) / 3.1))
    glass = shaded((96, 116, 134), float(rng.uniform(0.6, 1.1)))
    for bay in range(bays):
        start = house.near + (bay + 0.22) * depth / bays
        stop = house.near + (bay + 0.78) * depth / bays
        for floor in range(floors):
            low = 4.4 + floor * 3.1
            is_lit = house.is_night and rng.random() < 0.3
            pane = _LIT_WINDOW if is_lit else shaded(glass, float(rng.uniform(0.7, 1.25)))
            _strip(canvas, x, (start - 0.08, stop + 0.08), (low - 0.1, low + 1.8), shaded(house.wall, 1.15))
            _strip(canvas, x, (start, stop), (low, low + 1.7), pane)
            if is_lit:
                canvas.shine(_strip_places(x, (start, stop), (low, low + 1.7)), (96, 76, 44))
    _draw_shops(canvas, house, rng)


def _draw_shops(canvas: Canvas, house: House, rng: np.random.Generator) -> None:
    x, depth = house.across, house.far - house.near
    shops = max(1, int(depth / 6))
    for number in range(shops):
        near, far = house.near + number * depth / shops, house.near + (number + 1) * depth / shops
        sign = PAINTS[int(rng.integers(len(PAINTS)))]
        _strip(
            canvas, x, (near + 0.4, far - 0.4), (0.5, 2.7), shaded((70, 84, 92), float(rng.uniform(0.7, 1.4)))
        )
        _strip(canvas, x, (near + 0.4, far - 0.4), (2.9, 3.7), sign)
        _strip(
            canvas,
            x,
            (near + 1.2, far - 1.5),
            (3.15, 3.45),
            (238, 236, 226) if sum(sign) < 420 else (40, 40, 60),
        )
        if house.is_night and rng.random() < 0.7:
            canvas.shine(_strip_places(x, (near + 0.6, far - 0.6), (0.6, 2.6)), (88, 80, 64))


def draw_skyline(canvas: Canvas, rng: np.random.Generator) -> None:
    """Far blocks that close the street."""
    x = -150.0
    while x < 150:
        width, height = float(rng.uniform(12, 34)), float(rng.uniform(6, 32))
        ahead = float(rng.uniform(240, 330))
        wall = shaded(WALLS[int(rng.integers(len(WALLS)))], 0.8)
        canvas.rectangle(ahead, x, 0, x + width, height, wall)
        for up in np.arange(3, height - 2, 4.0):
            canvas.rectangle(ahead, x + 1, float(up), x + width - 1, float(up) + 1.6, shaded(wall, 0.84))
        x += width * float(rng.uniform(0.7, 1.3))


def draw_tree(canvas: Canvas, across: float, ahead: float, height: float, rng: np.random.Generator) -> None:
    canvas.ground_shadow(across, ahead, 0.35 * height, 0.5 * height)
    bark = (84, 68, 54)
    foot, top = 0.035 * height, 0.02 * height
    trunk = (
        (across - foot, 0),
        (across + foot, 0),
        (across + top, 0.55 * height),
        (across - top, 0.55 * height),
    )
    canvas.upright(ahead, trunk, bark)
    green = (58 + int(rng.integers(30)), 92 + int(rng.integers(30)), 44 + int(rng.integers(16)))
    # Leaves from dark and low to bright and high, as the sun sees them.
    for share in np.linspace(0, 1, 60):
        angle, reach = rng.uniform(0, 2 * np.pi), math.sqrt(rng.uniform(0, 1)) * 0.27 * height
        x = across + reach * math.cos(angle)
        y = 0.68 * height + 0.95 * reach * math.sin(angle) + (share - 0.5) * 0.12 * height
        size = height * float(rng.uniform(0.04, 0.11)) * (1.15 - 0.6 * share)
        light = 0.55 + 0.6 * share * (0.5 + 0.5 * math.sin(angle)) + float(rng.uniform(-0.06, 0.1))
        canvas.ellipse((x, y, ahead), size, 0.8 * size, shaded(green, light))


def draw_pedestrian(canvas: Canvas, across: float, ahead: float, rng: np.random.Generator) -> None:
    height = float(rng.uniform(1.5, 1.85))
    unit = height / 1.75
    x, z = across, ahead
    coat, trousers = PAINTS[int(rng.integers(len(PAINTS)))], PAINTS[int(rng.integers(len(PAINTS)))]
    stride = float(rng.uniform(0.04, 0.22))
    canvas.ground_shadow(x, z, 0.5, 0.4)
    canvas.begin()
    skin = SKIN[int(rng.integers(len(SKIN)))]
    for edge in (-1, 1):
        canvas.line(
            [(x + edge * 0.07, 0.88 * unit, z), (x + edge * stride, 0.04, z)],
            shaded(trousers, 0.7),
            0.15 * unit,
        )
        arm = [(x + edge * 0.22, 1.42 * unit, z), (x + edge * (0.24 + 0.5 * stride), 0.9 * unit, z)]
        canvas.line(arm, shaded(coat, 0.8), 0.1 * unit)
    low, high = 0.82 * unit, 1.47 * unit
    canvas.upright(z, ((x - 0.17, low), (x + 0.17, low), (x + 0.23, high), (x - 0.23, high)), coat)
    canvas.upright(z, ((x, low), (x + 0.17, low), (x + 0.23, high), (x, high)), (0, 0, 0), 45)
    canvas.ellipse((x, 1.61 * unit, z), 0.105 * unit, 0.14 * unit, skin)
    canvas.ellipse(
        (x, 1.68 * unit, z), 0.11 * unit, 0.08 * unit, shaded((60, 44, 36), float(rng.uniform(0.4, 1.6)))
    )
    canvas.end("pedestrian")


def draw_traffic_light(canvas: Canvas, across: float, ahead: float, colour: str, overhang: float) -> None:
    """A post with an arm that holds the housing `overhang` metres towards the road."""
    x = across + overhang
    canvas.rectangle(ahead, across - 0.09, 0, across + 0.09, 5.9, _METAL)
    canvas.line([(across, 5.8, ahead), (x, 5.8, ahead)], _METAL, 0.12)
    canvas.begin()
    canvas.rectangle(ahead, x - 0.24, 4.75, x + 0.24, 5.95, (34, 36, 34))
    for name, (up, lit) in TRAFFIC_LIGHTS.items():
        centre = (x, 5.35 + up, ahead)
        canvas.ellipse(centre, 0.155, 0.155, lit if name == colour else shaded(lit, 0.22))
        if name == colour:
            canvas.ellipse(centre, 0.08, 0.08, shaded(lit, 1.5))
            canvas.light(centre, 0.22, lit)
    canvas.end("traffic light", trafficLightColor=colour)


def draw_sign(canvas: Canvas, across: float, ahead: float, rng: np.random.Generator) -> None:
    x, up, size = across, float(rng.uniform(2.3, 2.8)), 0.38
    canvas.rectangle(ahead, x - 0.035, 0, x + 0.035, up, _METAL)
    canvas.begin()
    kind = int(rng.integers(4))
    if kind == 0:
        _plate(canvas, (x, up, ahead), size, 8, (236, 236, 232))
        _plate(canvas, (x, up, ahead), 0.92 * size, 8, (188, 24, 30))
        canvas.rectangle(ahead, x - 0.22, up - 0.06, x + 0.22, up + 0.06, (240, 240, 236))
    elif kind == 1:
        canvas.ellipse((x, up, ahead), size, size, (196, 26, 32))
        canvas.ellipse((x, up, ahead), 0.76 * size, 0.76 * size, (244, 244, 240))
        for digit in (-0.1, 0.08):
            canvas.rectangle(ahead, x + digit - 0.04, up - 0.13, x + digit + 0.06, up + 0.13, (30, 30, 32))
    elif kind == 2:
        canvas.upright(ahead, ((x - 0.45, up + 0.35), (x + 0.45, up + 0.35), (x, up - 0.42)), (196, 26, 32))
        canvas.upright(ahead, ((x - 0.29, up + 0.25), (x + 0.29, up + 0.25), (x, up - 0.25)), (244, 244, 240))
    else:
        canvas.rectangle(ahead, x - 0.36, up - 0.36, x + 0.36, up + 0.36, (238, 240, 244))
        canvas.rectangle(ahead, x - 0.33, up - 0.33, x + 0.33, up + 0.33, (24, 72, 160))
        shaft = ((-0.06, -0.22), (0.06, -0.22), (0.06, 0.0), (0.16, 0.0))
        arrow = [*shaft, (0.0, 0.24), (-0.16, 0.0), (-0.06, 0.0)]
        canvas.upright(ahead, [(x + right, up + rise) for right, rise in arrow], (244, 246, 250))
    canvas.end("traffic sign")


def draw_lamp_post(canvas: Canvas, across: float, ahead: float) -> None:
    inwards = -math.copysign(1.8, across)
    canvas.rectangle(ahead, across - 0.07, 0, across + 0.07, 7.6, _METAL)
    canvas.line([(across, 7.6, ahead), (across + inwards, 7.9, ahead)], _METAL, 0.1)
    canvas.ellipse((across + inwards, 7.86, ahead), 0.32, 0.1, (206, 208, 204))
    canvas.light((across + inwards, 7.82, ahead), 0.28, (255, 206, 130))


def draw_viaduct(canvas: Canvas, ahead: float, base: float) -> None:
    concrete = (150, 148, 142)
    for pier in (-34.0, -12.5, 12.5, 34.0):
        canvas.rectangle(ahead, pier - 0.9, 0, pier + 0.9, base, shaded(concrete, 0.78))
    canvas.rectangle(ahead, -90, base - 1.3, 90, base, concrete)
    canvas.rectangle(ahead, -90, base - 1.3, 90, base - 0.9, shaded(concrete, 0.7))


def _strip(canvas: Canvas, across: float, span: Point, heights: Point, colour: Colour) -> None:
    canvas.polygon(_strip_places(across, span, heights), colour)


def _strip_places(across: float, span: Point, heights: Point) -> list[Place]:
    """Corners of a rectangle on a wall along the road."""
    (near, far), (low, high) = span, heights
    return [(across, low, near), (across, low, far), (across, high, far), (across, high, near)]


def _plate(
    canvas: Canvas, centre: tuple[float, float, float], radius: float, corners: int, colour: Colour
) -> None:
    x, up, ahead = centre
    turns = (np.arange(corners) + 0.5) * 2 * np.pi / corners
    points = [(x + radius * 1.05 * float(np.sin(t)), up + radius * 1.05 * float(np.cos(t))) for t in turns]
    canvas.upright(ahead, points, colour)
