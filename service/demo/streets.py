"""Draws one labelled street as a dashcam would see it; all chance comes from the seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from service.demo.canvas import HEIGHT_PX, WIDTH_PX, Canvas, Colour, shaded
from service.demo.furniture import (
    TRAFFIC_LIGHTS,
    WALLS,
    House,
    draw_house,
    draw_lamp_post,
    draw_pedestrian,
    draw_sign,
    draw_skyline,
    draw_traffic_light,
    draw_tree,
    draw_viaduct,
)
from service.demo.ground import LANES_M, draw_ground, draw_shade, draw_zebra, grown, sky_image
from service.demo.vehicles import (
    PAINTS,
    Solid,
    draw_bus,
    draw_car,
    draw_car_side,
    draw_train,
    draw_truck,
    draw_two_wheeler,
)

CATEGORIES = (
    "pedestrian", "rider", "car", "truck", "bus",
    "train", "motorcycle", "bicycle", "traffic light", "traffic sign",
)  # fmt: skip
CAMERA_M = (1.75, 1.42)  # in the right lane, at mirror height
_SKIES: dict[str, tuple[Colour, Colour, float]] = {
    # zenith, horizon, how much of the sky the clouds take
    "clear": ((88, 140, 206), (196, 216, 234), 0.15),
    "partly cloudy": ((104, 150, 206), (206, 220, 232), 0.5),
    "overcast": ((176, 182, 190), (216, 218, 222), 0.95),
}
_NIGHT_SKY: tuple[Colour, Colour, float] = ((10, 12, 22), (34, 30, 30), 0.3)
_MIN_SIDE_PX = 7  # smaller things are not labelled, as annotators would not
_MIN_VISIBLE = 0.3


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """One labelled thing: its box (pixels, x2 and y2 exclusive) spans all of it inside the image."""

    category: str
    xyxy: tuple[int, int, int, int]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Street:
    """A drawn frame: 1280x720 RGB, its boxes, and BDD100K's words for weather and scene."""

    image: Image.Image
    boxes: tuple[DrawnBox, ...]
    weather: str
    scene: str


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something to paint, and how far away it is."""

    ahead: float
    paint: Callable[[Canvas], None]


def draw_street(seed: int, guests: Sequence[str] = (), is_night: bool = False) -> Street:
    """One street of the seed.

    Args:
        guests: categories out of bus, truck, train, motorcycle, bicycle that shall come by in any case.
        is_night: draw it dark, with its lamps lit.
    """
    rng = np.random.default_rng(seed)
    weather = str(rng.choice(list(_SKIES), p=[0.4, 0.35, 0.25]))
    scene = str(rng.choice(["city street", "residential", "city street", "highway"]))
    zenith, horizon, clouds = _NIGHT_SKY if is_night else _SKIES[weather]
    horizon_px = float(rng.uniform(0.44, 0.50)) * HEIGHT_PX
    canvas = Canvas(sky_image(zenith, horizon, clouds, horizon_px, rng), horizon_px, CAMERA_M, horizon)
    draw_ground(canvas, scene, rng)
    if weather != "overcast" and not is_night:
        draw_shade(canvas, rng)
    draw_skyline(canvas, rng)
    things = [*_roadside(scene, is_night, rng), *_traffic(scene, guests, rng), *_crossing(scene, rng)]
    if "train" in guests:
        things.append(_Thing(60.0, partial(_draw_railway, rng=rng)))
    for thing in sorted(things, key=lambda each: -each.ahead):
        thing.paint(canvas)
    return Street(_developed(canvas, is_night, rng), tuple(_boxes(canvas)), weather, scene)


def _roadside(scene: str, is_night: bool, rng: np.random.Generator) -> Iterator[_Thing]:
    """Houses, trees and lamp posts along both pavements, signs and people on them."""
    for side in (-1, 1):
        ahead = float(rng.uniform(5, 12))
        while ahead < 190:
            length = float(rng.uniform(12, 26))
            is_house = rng.random() < {"city street": 0.85, "residential": 0.55, "highway": 0.12}[scene]
            if is_house:
                tall = (8, 24) if scene == "city street" else (6, 11)
                wall = shaded(WALLS[int(rng.integers(len(WALLS)))], 1.08 if side > 0 else 0.82)
                across = side * float(rng.uniform(11, 12.5))
                house = House(across, ahead, ahead + length, float(rng.uniform(*tall)), wall, is_night)
                yield _Thing(ahead + length / 2, partial(draw_house, house=house, rng=_own(rng)))
            elif scene != "city street" or rng.random() < 0.6:
                for _ in range(2):
                    z, x = ahead + float(rng.uniform(0, length)), side * float(rng.uniform(10.5, 18))
                    tall_m = float(rng.uniform(5, 11))
                    yield _Thing(z, partial(draw_tree, across=x, ahead=z, height=tall_m, rng=_own(rng)))
            ahead += length + float(rng.uniform(0, 3 if scene == "city street" else 14))
        for z in np.arange(float(rng.uniform(12, 30)), 160, 28.0):
            yield _Thing(float(z), partial(draw_lamp_post, across=side * 7.9, ahead=float(z)))
        for _ in range(int(rng.integers(1, 3))):
            z = float(rng.uniform(9, 45))
            yield _Thing(z, partial(draw_sign, across=side * 8.2, ahead=z, rng=_own(rng)))
        for _ in range(int(rng.integers(0, 6)) if scene != "highway" else 0):
            z, x = float(rng.uniform(7, 55)), side * float(rng.uniform(7.7, 10.3))
            yield _Thing(z, partial(draw_pedestrian, across=x, ahead=z, rng=_own(rng)))


def _traffic(scene: str, guests: Sequence[str], rng: np.random.Generator) -> Iterator[_Thing]:
    """Vehicles lane by lane, with room between them; each guest takes an early place in some lane."""
    waiting = [guest for guest in guests if guest != "train"]
    rng.shuffle(waiting)
    for lane in rng.permutation(LANES_M):
        ahead = float(rng.uniform(8, 20)) if lane > 0 else float(rng.uniform(6, 18))
        is_first = True
        while ahead < 130:
            kind = waiting.pop() if waiting and is_first else _draw_kind(scene, rng)
            is_first = False
            length = {"truck": 8.0, "bus": 11.0, "car": 4.4}.get(kind, 2.0)
            x = float(lane) + float(rng.uniform(-0.35, 0.35))
            yield _Thing(ahead, _vehicle(kind, x, ahead, lane < 0, _own(rng)))
            ahead += length + float(rng.exponential(12 if abs(lane) > 4 else 16)) + 4
    while waiting:
        x, z = float(rng.uniform(-6, 6)), float(rng.uniform(10, 16))
        yield _Thing(z, _vehicle(waiting.pop(), x, z, x < 0, _own(rng)))


def _draw_kind(scene: str, rng: np.random.Generator) -> str:
    shares = {"car": 0.76, "truck": 0.08, "bus": 0.04, "motorcycle": 0.07, "bicycle": 0.05}
    if scene == "highway":
        shares |= {"truck": 0.13, "bicycle": 0.0}
    return str(rng.choice(list(shares), p=[share / sum(shares.values()) for share in shares.values()]))


def _vehicle(
    kind: str, x: float, z: float, is_front: bool, rng: np.random.Generator
) -> Callable[[Canvas], None]:
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    if kind in {"motorcycle", "bicycle"}:
        return partial(
            draw_two_wheeler, across=x, ahead=z, is_motor=kind == "motorcycle", is_front=is_front, rng=rng
        )
    if kind == "truck":
        return partial(draw_truck, truck=Solid(x, z, 2.4, 8.0, paint, is_front), camera_across=CAMERA_M[0])
    if kind == "bus":
        return partial(draw_bus, bus=Solid(x, z, 2.5, 11.0, paint, is_front), camera_across=CAMERA_M[0])
    car = Solid(x, z, float(rng.uniform(1.7, 1.9)), float(rng.uniform(3.9, 4.7)), paint, is_front)
    height = float(rng.choice([1.45, 1.5, 1.72]))
    return partial(draw_car, car=car, camera_across=CAMERA_M[0], height=height)


def _crossing(scene: str, rng: np.random.Generator) -> Iterator[_Thing]:
    """A junction with traffic lights of one colour, zebra, people and cars that cross."""
    if scene == "highway" or rng.random() < 0.25:
        return
    ahead = float(rng.uniform(16, 42))
    colour = str(rng.choice(list(TRAFFIC_LIGHTS), p=[0.42, 0.16, 0.42]))
    for across, overhang in ((7.7, -float(rng.uniform(0, 4))), (-7.7, float(rng.uniform(0, 2)))):
        light = partial(draw_traffic_light, across=across, ahead=ahead, colour=colour, overhang=overhang)
        yield _Thing(ahead, light)
    yield _Thing(400, partial(draw_zebra, ahead=ahead - 4))  # on the ground, so before all that stands on it
    if colour != "green":
        for _ in range(int(rng.integers(1, 4))):
            x, z = float(rng.uniform(-6.5, 6.5)), ahead - float(rng.uniform(1.5, 3.5))
            yield _Thing(z, partial(draw_pedestrian, across=x, ahead=z, rng=_own(rng)))
        if rng.random() < 0.6:
            paint = PAINTS[int(rng.integers(len(PAINTS)))]
            x, z = float(rng.uniform(-9, 9)), ahead + float(rng.uniform(2, 5))
            yield _Thing(
                z, partial(draw_car_side, car=Solid(x, z, 1.8, 4.3, paint, bool(rng.random() < 0.5)))
            )


def _draw_railway(canvas: Canvas, rng: np.random.Generator) -> None:
    ahead, base = 60.0, 7.0
    draw_train(canvas, float(rng.uniform(-42, -2)), ahead, base, PAINTS[int(rng.choice([3, 4, 7, 8]))])
    draw_viaduct(canvas, ahead, base)


def _own(rng: np.random.Generator) -> np.random.Generator:
    """A generator of its own for a thing, so that painting order does not matter."""
    return np.random.default_rng(int(rng.integers(2**32)))


def _developed(canvas: Canvas, is_night: bool, rng: np.random.Generator) -> Image.Image:
    """The painted canvas as a photograph: grain of asphalt and walls, vignette, sensor noise."""
    pixels = np.asarray(canvas.finished()).astype(np.float32)
    blotches = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    for cells, weight in ((30, 0.06), (240, 0.10)):
        blotches += weight * np.asarray(grown(rng.random((cells, 2 * cells)) - 0.5, (WIDTH_PX, HEIGHT_PX)))
    x, y = np.linspace(-1, 1, WIDTH_PX, dtype=np.float32), np.linspace(-1, 1, HEIGHT_PX, dtype=np.float32)
    vignette = 1 - 0.10 * (x[None, :] ** 2 + y[:, None] ** 2)
    down = (np.arange(HEIGHT_PX) > 0.45 * HEIGHT_PX).astype(np.float32)[:, None]
    pixels *= ((1 + blotches * (0.3 + 0.4 * down)) * vignette)[..., None]
    if is_night:
        pixels *= np.array((0.40, 0.34, 0.30), np.float32)
        pixels += np.asarray(canvas.glow(), np.float32)
    noise = rng.standard_normal((HEIGHT_PX, WIDTH_PX), dtype=np.float32) * (5.0 if is_night else 3.2)
    pixels += noise[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _boxes(canvas: Canvas) -> Iterator[DrawnBox]:
    for each, visible in zip(canvas.measured, canvas.visible_px(), strict=True):
        x1, y1, x2, y2 = each.xyxy
        if min(x2 - x1, y2 - y1) < _MIN_SIDE_PX or visible < _MIN_VISIBLE * each.area_px:
            continue
        attributes = {
            "occluded": visible < 0.9 * each.area_px,
            "truncated": each.is_truncated,
            "trafficLightColor": "NA",
        } | each.attributes
        yield DrawnBox(each.category, each.xyxy, attributes)
