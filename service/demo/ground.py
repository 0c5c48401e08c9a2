"""Sky above and road below: gradients with clouds, asphalt, pavements, marks on the road."""

from typing import Any

import numpy as np
from PIL import Image

from service.demo.canvas import HEIGHT_PX, Canvas, Colour, shaded

LANES_M = (-5.25, -1.75, 1.75, 5.25)  # two oncoming, two in our direction
KERB_M = 7.2


def sky_image(
    zenith: Colour, horizon: Colour, clouds: float, horizon_px: float, rng: np.random.Generator
) -> Image.Image:
    rows, columns = 180, 320
    down = (np.arange(rows) / rows * HEIGHT_PX / horizon_px).clip(0, 1)[:, None, None] ** 0.8
    sky = np.array(zenith) * (1 - down) + np.array(horizon) * down + np.zeros((rows, columns, 1))
    cover = np.zeros((rows, columns))
    for cells, weight in ((4, 0.5), (9, 0.28), (24, 0.15), (60, 0.07)):
        cover += weight * np.asarray(grown(rng.random((cells, 2 * cells)), (columns, rows)))
    share = ((cover - (0.62 - 0.25 * clouds)) / 0.16).clip(0, 1)[..., None] * min(1.0, 0.35 + clouds)
    white = np.array(shaded(horizon, 1.08)) * (0.9 + 0.14 * (1 - cover[..., None]))
    sky = sky * (1 - share * 0.85) + white * share * 0.85
    return Image.fromarray(sky.clip(0, 255).astype(np.uint8))


def grown(field: np.ndarray[Any, np.dtype[np.float64]], size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(field.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)


def draw_ground(canvas: Canvas, scene: str, rng: np.random.Generator) -> None:
    far = 400.0
    soil = (112, 116, 84) if scene != "city street" else (136, 132, 126)
    _floor(canvas, -400, 400, 1.0, far, soil)
    asphalt = shaded((96, 97, 101), float(rng.uniform(0.85, 1.2)))
    for edge in (-1, 1):
        _floor(canvas, edge * KERB_M, edge * 11.0, 1.0, far, (156, 152, 146))
        _floor(canvas, edge * KERB_M, edge * (KERB_M + 0.25), 1.0, far, (184, 182, 176))
    _floor(canvas, -KERB_M, KERB_M, 1.0, far, asphalt)
    for lane in LANES_M:  # tyres polish two dark tracks into every lane
        for track in (-0.8, 0.8):
            points = [(lane + track - 0.3, 0.0, 1.0), (lane + track + 0.3, 0.0, 1.0)]
            points += [(lane + track + 0.3, 0.0, far), (lane + track - 0.3, 0.0, far)]
            canvas.polygon(points, (20, 20, 22), 26)
    for _ in range(int(rng.integers(2, 7))):  # patches of newer asphalt
        x, z = float(rng.uniform(-6, 5)), float(rng.uniform(4, 50))
        _floor(
            canvas,
            x,
            x + float(rng.uniform(0.6, 2.5)),
            z,
            z + float(rng.uniform(1, 7)),
            shaded(asphalt, 0.84),
        )
    _draw_marks(canvas, float(rng.uniform(0, 9)))


def _draw_marks(canvas: Canvas, phase: float) -> None:
    white, yellow = (226, 226, 220), (214, 170, 60)
    for side in (-0.2, 0.08):
        _floor(canvas, side, side + 0.12, 1.0, 300, yellow)
    for edge in (-KERB_M + 0.35, KERB_M - 0.5):
        _floor(canvas, edge, edge + 0.14, 1.0, 300, white)
    for lane in (-3.5, 3.5):
        for start in np.arange(phase - 6, 220, 9.0):
            if start + 3 > 2:
                _floor(canvas, lane - 0.07, lane + 0.07, max(2.0, float(start)), float(start) + 3, white)


def draw_shade(canvas: Canvas, rng: np.random.Generator) -> None:
    """Shadows that the houses of one side throw across the road."""
    side = float(rng.choice([-1, 1]))
    ahead = 1.0
    while ahead < 120:
        length, reach = float(rng.uniform(6, 22)), float(rng.uniform(1.5, 9))
        edge, inner = side * 11.0, side * (11.0 - reach)
        slant = 0.35 * reach
        shade = [(edge, 0, ahead), (inner, 0, ahead + slant), (inner, 0, ahead + length + slant)]
        canvas.polygon([*shade, (edge, 0, ahead + length)], (22, 26, 40), 92)
        ahead += length + float(rng.uniform(0, 7))


def _floor(canvas: Canvas, left: float, right: float, near: float, far: float, colour: Colour) -> None:
    """A strip of ground, cut into pieces by distance so that only what is far fades into the haze."""
    while near < far:
        end = min(far, max(near * 1.35, near + 2))
        canvas.polygon([(left, 0, near), (right, 0, near), (right, 0, end), (left, 0, end)], colour)
        near = end


def draw_zebra(canvas: Canvas, ahead: float) -> None:
    for left in np.arange(-KERB_M + 0.5, KERB_M - 0.6, 1.0):
        _floor(canvas, float(left), float(left) + 0.5, ahead, ahead + 3.0, (224, 224, 218))
    _floor(canvas, 0.2, KERB_M - 0.4, ahead - 1.6, ahead - 1.2, (224, 224, 218))
