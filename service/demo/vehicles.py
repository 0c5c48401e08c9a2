"""Vehicles and their riders, drawn as simple solids: the face towards the camera and the side that shows."""

from dataclasses import dataclass

import numpy as np

from service.demo.canvas import Canvas, Colour, Place, shaded

PAINTS: tuple[Colour, ...] = (
    (226, 228, 230), (178, 182, 188), (44, 47, 54), (150, 28, 30), (28, 58, 120),
    (96, 104, 112), (206, 190, 150), (40, 84, 70), (214, 150, 36), (90, 30, 50),
)  # fmt: skip
GLASS: Colour = (44, 54, 64)
TYRE: Colour = (24, 24, 26)
SKIN: tuple[Colour, ...] = ((224, 182, 150), (176, 124, 88), (120, 80, 56))
HEAD_LAMP: Colour = (255, 244, 214)
TAIL_LAMP: Colour = (255, 40, 24)


@dataclass(frozen=True, slots=True)
class Solid:
    """A vehicle's box: middle across and distance of its near face, width and length, in metres."""

    across: float
    ahead: float
    width: float
    length: float
    paint: Colour
    is_front: bool  # its front faces the camera

    def side_across(self, canvas_across: float) -> float:
        """The side that the camera, standing at `canvas_across`, can see."""
        return self.across + (self.width / 2 if self.across < canvas_across else -self.width / 2)


def draw_car(canvas: Canvas, car: Solid, camera_across: float, height: float = 1.48) -> None:
    half, z, far = car.width / 2, car.ahead, car.ahead + car.length
    waist = 0.62 * height
    canvas.ground_shadow(car.across, z, car.width, car.length)
    canvas.begin()
    side = car.side_across(camera_across)
    inner = car.across + (side - car.across) * 0.80
    dark = shaded(car.paint, 0.72)
    hood = 0.95 if car.is_front else 0.25  # the cabin stands back behind a bonnet
    _side(canvas, side, (z, far), (0.28, waist), dark)
    cabin = [
        (side, waist, z + hood),
        (inner, height, z + hood + 0.6),
        (inner, height, far - 0.9),
        (side, waist, far - 0.3),
    ]
    canvas.polygon(cabin, dark)
    glass = [(side, waist + 0.04, z + hood + 0.3), (inner, height - 0.1, z + hood + 0.75)]
    glass += [(inner, height - 0.1, far - 1.05), (side, waist + 0.04, far - 0.7)]
    canvas.polygon(glass, GLASS)
    for wheel in (z + 0.75, far - 0.8):
        _side_wheel(canvas, side, wheel, 0.32)
    for wheel in (-half + 0.12, half - 0.12):
        canvas.rectangle(z, car.across + wheel - 0.11, 0.0, car.across + wheel + 0.11, 0.4, TYRE)
    _car_face(canvas, car, waist, height, hood)
    canvas.end("car")


def _car_face(canvas: Canvas, car: Solid, waist: float, height: float, hood: float) -> None:
    half, z, x = car.width / 2, car.ahead, car.across
    top = car.ahead + hood
    roof = [(x - 0.80 * half, height, top + 0.3), (x + 0.80 * half, height, top + 0.3)]
    canvas.polygon([(x - half, waist, top), (x + half, waist, top), *roof[::-1]], shaded(car.paint, 1.06))
    pane = [(x - 0.87 * half, waist + 0.04, top), (x + 0.87 * half, waist + 0.04, top)]
    pane += [(x + 0.72 * half, height - 0.09, top), (x - 0.72 * half, height - 0.09, top)]
    canvas.polygon(pane, GLASS)
    shine = [pane[3], (x - 0.2 * half, height - 0.09, top), (x - 0.5 * half, waist + 0.04, top), pane[0]]
    canvas.polygon(shine, (190, 205, 220), 50)
    bonnet = [(x - half, waist, z), (x + half, waist, z), (x + half, waist, top), (x - half, waist, top)]
    canvas.polygon(bonnet, shaded(car.paint, 1.15))
    canvas.rectangle(z, x - half, 0.24, x + half, waist, car.paint)
    canvas.upright(z, ((x - half, 0.24), (x + half, 0.24), (x + half, 0.50), (x - half, 0.50)), (0, 0, 0), 60)
    edge_light = ((x - half, waist - 0.1), (x + half, waist - 0.1), (x + half, waist), (x - half, waist))
    canvas.upright(z, edge_light, (255, 255, 255), 50)
    canvas.rectangle(z, x - 0.26, 0.46, x + 0.26, 0.57, (232, 232, 222))
    if car.is_front:
        canvas.rectangle(z, x - 0.5 * half, 0.60, x + 0.5 * half, 0.74, (30, 31, 33))
    lamp = (235, 238, 240) if car.is_front else (168, 22, 20)
    for edge in (-1, 1):
        centre = x + edge * 0.78 * half
        canvas.rectangle(z, centre - 0.17, 0.64, centre + 0.17, 0.80, lamp)
        canvas.light((centre, 0.72, z), 0.10, HEAD_LAMP if car.is_front else TAIL_LAMP)


def draw_car_side(canvas: Canvas, car: Solid) -> None:
    """A car that crosses: seen from its side; `length` lies across."""
    x1, x2, z = car.across - car.length / 2, car.across + car.length / 2, car.ahead
    nose, tail = (x1, x2) if car.is_front else (x2, x1)
    step = 1 if nose < tail else -1
    canvas.ground_shadow(car.across, z, car.length, car.width)
    canvas.begin()
    canvas.upright(
        z, ((x1, 0.3), (x2, 0.3), (x2, 0.72), (x2 - 0.1, 0.92), (x1 + 0.1, 0.92), (x1, 0.72)), car.paint
    )
    roof = [
        (nose + step * 0.9, 0.92),
        (nose + step * 1.6, 1.46),
        (tail - step * 1.0, 1.46),
        (tail - step * 0.3, 0.92),
    ]
    canvas.upright(z, roof, shaded(car.paint, 1.05))
    for start, stop in ((1.25, 2.2), (2.3, 3.1)):
        pane = [(nose + step * start, 0.95), (nose + step * (start + 0.42 * (start < 2)), 1.38)]
        canvas.upright(z, [*pane, (nose + step * stop, 1.38), (nose + step * stop, 0.95)], GLASS)
    canvas.upright(z, ((x1, 0.3), (x2, 0.3), (x2, 0.48), (x1, 0.48)), (0, 0, 0), 70)
    canvas.line([(nose + step * 2.25, 0.45, z), (nose + step * 2.25, 0.92, z)], shaded(car.paint, 0.7), 0.03)
    for wheel in (x1 + 0.8, x2 - 0.85):
        canvas.ellipse((wheel, 0.33, z), 0.33, 0.33, TYRE)
        canvas.ellipse((wheel, 0.33, z), 0.18, 0.18, (150, 152, 156))
    canvas.rectangle(
        z, nose - 0.02, 0.66, nose + step * 0.22 + 0.02, 0.8, (232, 234, 236)
    ) if step > 0 else None
    canvas.light((nose + step * 0.1, 0.72, z), 0.08, HEAD_LAMP)
    canvas.light((tail - step * 0.1, 0.75, z), 0.07, TAIL_LAMP)
    canvas.end("car")


def draw_truck(canvas: Canvas, truck: Solid, camera_across: float) -> None:
    half, z, far, x = truck.width / 2, truck.ahead, truck.ahead + truck.length, truck.across
    canvas.ground_shadow(x, z, truck.width, truck.length)
    canvas.begin()
    side = truck.side_across(camera_across)
    cargo = (222, 222, 216)
    cab = z + 2.0 if truck.is_front else far - 2.0
    body = (cab, far) if truck.is_front else (z, cab)
    _side(canvas, side, body, (0.9, 3.3), shaded(cargo, 0.72))
    _side(canvas, side, (z, cab) if truck.is_front else (cab, far), (0.5, 2.5), shaded(truck.paint, 0.75))
    for wheel in (z + 0.9, far - 1.0, far - 2.2):
        _side_wheel(canvas, side, wheel, 0.48)
    for edge in (-1, 1):
        canvas.rectangle(z, x + edge * (half - 0.3) - 0.2, 0, x + edge * (half - 0.3) + 0.2, 0.8, TYRE)
    if truck.is_front:
        canvas.rectangle(cab, x - half, 0.9, x + half, 3.3, shaded(cargo, 0.95))
        canvas.rectangle(z, x - half, 0.4, x + half, 2.55, truck.paint)
        canvas.rectangle(z, x - 0.9 * half, 1.55, x + 0.9 * half, 2.35, GLASS)
        canvas.rectangle(z, x - 0.6 * half, 0.85, x + 0.6 * half, 1.25, (34, 35, 38))
    else:
        canvas.rectangle(z, x - half, 0.75, x + half, 3.3, cargo)
        canvas.line([(x, 0.8, z), (x, 3.25, z)], shaded(cargo, 0.6), 0.04)
        canvas.line([(x - half, 3.2, z), (x + half, 3.2, z)], shaded(cargo, 0.75), 0.08)
        canvas.rectangle(z, x - half, 0.5, x + half, 0.75, (52, 52, 54))
        canvas.rectangle(z, x - 0.3, 0.54, x + 0.3, 0.68, (232, 206, 90))
    _lamp_pair(canvas, truck, 0.78 if truck.is_front else 0.62, 0.86)
    canvas.end("truck")


def draw_bus(canvas: Canvas, bus: Solid, camera_across: float) -> None:
    half, z, far, x = bus.width / 2, bus.ahead, bus.ahead + bus.length, bus.across
    canvas.ground_shadow(x, z, bus.width, bus.length)
    canvas.begin()
    side = bus.side_across(camera_across)
    _side(canvas, side, (z, far), (0.35, 3.0), shaded(bus.paint, 0.74))
    panes = 7
    pitch = (bus.length - 0.6) / panes
    for number in range(panes):
        start = z + 0.3 + number * pitch
        _side(canvas, side, (start, start + 0.85 * pitch), (1.5, 2.5), GLASS)
    _side(canvas, side, (z, far), (1.05, 1.2), (236, 236, 230))
    for wheel in (z + 2.0, far - 2.4):
        _side_wheel(canvas, side, wheel, 0.48)
    for edge in (-1, 1):
        canvas.rectangle(z, x + edge * (half - 0.3) - 0.18, 0, x + edge * (half - 0.3) + 0.18, 0.6, TYRE)
    canvas.rectangle(z, x - half, 0.3, x + half, 3.0, bus.paint)
    low = 1.15 if bus.is_front else 1.6
    canvas.rectangle(z, x - 0.92 * half, low, x + 0.92 * half, 2.45, GLASS)
    shine = ((-0.9, low), (-0.4, low), (-0.1, 2.45), (-0.6, 2.45))
    canvas.upright(z, [(x + share * half, up) for share, up in shine], (190, 205, 220), 45)
    canvas.rectangle(z, x - 0.6 * half, 2.58, x + 0.6 * half, 2.86, (26, 26, 24))
    canvas.rectangle(z, x - 0.45 * half, 2.65, x + 0.3 * half, 2.8, (250, 176, 50))
    canvas.rectangle(z, x - half, 0.3, x + half, 0.55, shaded(bus.paint, 0.5))
    _lamp_pair(canvas, bus, 0.8, 0.84)
    canvas.end("bus")


def draw_train(canvas: Canvas, across: float, ahead: float, base: float, paint: Colour) -> None:
    """A tram-like train crossing on a viaduct whose deck lies `base` metres over the road."""
    canvas.begin()
    car_length = 14.0
    for number in range(3):
        x1, x2 = across + number * (car_length + 0.5), across + number * (car_length + 0.5) + car_length
        canvas.rectangle(ahead, x1, base + 0.4, x2, base + 3.4, paint)
        canvas.rectangle(ahead, x1, base + 0.4, x2, base + 1.0, shaded(paint, 0.6))
        canvas.rectangle(ahead, x1, base + 3.25, x2, base + 3.4, (210, 212, 214))
        for pane in range(8):
            left = x1 + 0.6 + pane * (car_length - 0.6) / 8
            canvas.rectangle(ahead, left, base + 1.6, left + 1.2, base + 2.7, GLASS)
        canvas.rectangle(ahead, x1 + 0.2, base, x2 - 0.2, base + 0.4, (40, 40, 42))
    canvas.light((across + 0.2, base + 1.2, ahead), 0.2, HEAD_LAMP)
    canvas.end("train")


def draw_two_wheeler(
    canvas: Canvas, across: float, ahead: float, is_motor: bool, is_front: bool, rng: np.random.Generator
) -> None:
    """A motorcycle or bicycle seen from ahead or behind, and its rider: two labelled objects."""
    x, z = across, ahead
    width = 0.16 if is_motor else 0.06
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    canvas.ground_shadow(x, z, 0.6, 1.8)
    canvas.begin()
    canvas.ellipse((x, 0.34, z), width / 2 + 0.03, 0.34, TYRE)
    if is_motor:
        canvas.ellipse((x, 0.78, z), 0.2, 0.3, paint)
        canvas.rectangle(z, x - 0.13, 0.45, x + 0.13, 0.85, shaded(paint, 0.6))
    else:
        canvas.line([(x, 0.3, z), (x, 1.0, z)], paint, 0.06)
    canvas.line([(x - 0.36, 1.04, z), (x + 0.36, 1.04, z)], (36, 36, 38), 0.06)
    lamp_height = 0.88 if is_front else 0.72
    canvas.ellipse((x, lamp_height, z), 0.07, 0.07, (236, 236, 226) if is_front else (170, 24, 20))
    if is_motor:
        canvas.light((x, lamp_height, z), 0.08, HEAD_LAMP if is_front else TAIL_LAMP)
    canvas.end("motorcycle" if is_motor else "bicycle")
    _draw_rider(canvas, (x, 0.0, z), is_motor, is_front, rng)


def _draw_rider(
    canvas: Canvas, foot: Place, is_helmeted: bool, is_front: bool, rng: np.random.Generator
) -> None:
    x, _, z = foot
    coat = PAINTS[int(rng.integers(len(PAINTS)))]
    canvas.begin()
    for edge in (-1, 1):
        canvas.line([(x + edge * 0.14, 0.85, z), (x + edge * 0.2, 0.35, z)], (40, 44, 60), 0.14)
        canvas.line([(x + edge * 0.22, 1.38, z), (x + edge * 0.36, 1.06, z)], shaded(coat, 0.85), 0.12)
    canvas.upright(z, ((x - 0.18, 0.8), (x + 0.18, 0.8), (x + 0.26, 1.45), (x - 0.26, 1.45)), coat)
    canvas.upright(z, ((x, 0.8), (x + 0.18, 0.8), (x + 0.26, 1.45), (x, 1.45)), (0, 0, 0), 40)
    skin = SKIN[int(rng.integers(len(SKIN)))]
    canvas.ellipse((x, 1.6, z), 0.13, 0.16, shaded(coat, 0.5) if is_helmeted else skin)
    if is_helmeted and is_front:
        canvas.rectangle(z, x - 0.09, 1.56, x + 0.09, 1.65, GLASS)
    canvas.end("rider")


def _side(
    canvas: Canvas, across: float, span: tuple[float, float], heights: tuple[float, float], colour: Colour
) -> None:
    (near, far), (low, high) = span, heights
    canvas.polygon(
        [(across, low, near), (across, low, far), (across, high, far), (across, high, near)], colour
    )


def _side_wheel(canvas: Canvas, across: float, ahead: float, radius: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    rim = [(across, radius + radius * float(np.sin(a)), ahead + radius * float(np.cos(a))) for a in angles]
    canvas.polygon(rim, TYRE)
    hub = [
        (across, radius + 0.5 * radius * float(np.sin(a)), ahead + 0.5 * radius * float(np.cos(a)))
        for a in angles
    ]
    canvas.polygon(hub, (128, 130, 134))


def _lamp_pair(canvas: Canvas, solid: Solid, up: float, outward: float) -> None:
    colour = (238, 238, 230) if solid.is_front else (176, 24, 20)
    for edge in (-1, 1):
        x = solid.across + edge * outward * solid.width / 2
        canvas.rectangle(solid.ahead, x - 0.16, up - 0.1, x + 0.16, up + 0.1, colour)
        canvas.light((x, up, solid.ahead), 0.12, HEAD_LAMP if solid.is_front else TAIL_LAMP)
