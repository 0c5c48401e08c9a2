"""A canvas in perspective: shapes are given in metres before a dashcam, what objects cover is measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH_PX, HEIGHT_PX = 1280, 720
_OVERSAMPLING = 2  # drawn at twice the size and reduced, for smooth edges
_HAZE_M = 260.0  # at this distance 63 % of the colour is air

Colour = tuple[int, int, int]
Point = tuple[float, float]
Place = tuple[float, float, float]  # metres: across (right of the road's middle), up, ahead


@dataclass(frozen=True, slots=True)
class Measured:
    """One drawn object: its box and area when it was painted, and whether the image cuts it."""

    index: int
    category: str
    attributes: dict[str, Any]
    xyxy: tuple[int, int, int, int]
    area_px: int
    is_truncated: bool


class Canvas:
    """Paints far things first; nearer ones cover them.

    Args:
        camera_m: the camera's place, (across, up).
        haze: the air's colour, towards which distance fades.
    """

    def __init__(self, background: Image.Image, horizon_px: float, camera_m: Point, haze: Colour) -> None:
        size = (WIDTH_PX * _OVERSAMPLING, HEIGHT_PX * _OVERSAMPLING)
        self._image = background.resize(size, Image.Resampling.BILINEAR)
        self._draw = ImageDraw.Draw(self._image, "RGBA")
        self._owners = Image.new("L", (WIDTH_PX, HEIGHT_PX), 0)
        self._owner_draw = ImageDraw.Draw(self._owners)
        self._glow = Image.new("RGB", (WIDTH_PX // 2, HEIGHT_PX // 2))
        self._glow_draw = ImageDraw.Draw(self._glow)
        self._horizon_px, self._camera_m, self._haze = horizon_px, camera_m, haze
        self._extent: list[Point] = []
        self._current = 0
        self.measured: list[Measured] = []

    def project(self, place: Place) -> Point:
        """Pixels of the final image."""
        across, up, ahead = place
        scale = 0.9 * WIDTH_PX / max(ahead, 0.5)
        x = WIDTH_PX / 2 + (across - self._camera_m[0]) * scale
        return x, self._horizon_px + (self._camera_m[1] - up) * scale

    def begin(self) -> None:
        """From here to `end`, what is painted is one labelled object."""
        self._current = len(self.measured) + 1
        self._extent = []

    def end(self, category: str, **attributes: Any) -> None:
        """Measure what was painted since `begin`; objects outside the image are forgotten."""
        owners = np.asarray(self._owners)
        rows, columns = np.nonzero(owners == self._current)
        xs, ys = [x for x, _ in self._extent], [y for _, y in self._extent]
        is_cut = min(xs) < 0 or max(xs) > WIDTH_PX or max(ys) > HEIGHT_PX or min(ys) < 0
        if len(rows):
            box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        else:
            box = (0, 0, 0, 0)
        self.measured.append(Measured(self._current, category, attributes, box, len(rows), is_cut))
        self._current = 0

    def visible_px(self) -> list[int]:
        """How many pixels of each measured object are still to be seen, in their order."""
        counts = np.bincount(np.asarray(self._owners).ravel(), minlength=len(self.measured) + 1)
        return [int(count) for count in counts[1:]]

    def polygon(self, places: Sequence[Place], colour: Colour, alpha: int = 255) -> None:
        """A filled polygon; a translucent one (shadow, reflection) is nobody's."""
        points = [self.project(place) for place in places]
        ahead = sum(place[2] for place in places) / len(places)
        doubled = [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points]
        self._draw.polygon(doubled, fill=(*self._hazed(colour, ahead), alpha))
        if alpha == 255:
            self._owner_draw.polygon(points, fill=self._current)
            self._glow_draw.polygon(
                [(x / 2, y / 2) for x, y in points], fill=(0, 0, 0)
            )  # it hides lamps behind
            self._extent += points

    def shine(self, places: Sequence[Place], colour: Colour) -> None:
        """Remember a window that shines if the street is drawn by night."""
        points = [self.project(place) for place in places]
        self._glow_draw.polygon([(x / 2, y / 2) for x, y in points], fill=colour)

    def upright(self, ahead: float, points: Iterable[Point], colour: Colour, alpha: int = 255) -> None:
        """A polygon in the plane that faces the camera at a distance; points are (across, up)."""
        self.polygon([(across, up, ahead) for across, up in points], colour, alpha)

    def rectangle(
        self, ahead: float, left: float, low: float, right: float, high: float, colour: Colour
    ) -> None:
        self.upright(ahead, ((left, low), (right, low), (right, high), (left, high)), colour)

    def ellipse(
        self, centre: Place, radius_across: float, radius_up: float, colour: Colour, alpha: int = 255
    ) -> None:
        box = self._bounds(centre, radius_across, radius_up)
        doubled = [value * _OVERSAMPLING for value in box]
        self._draw.ellipse(doubled, fill=(*self._hazed(colour, centre[2]), alpha))
        if alpha == 255:
            self._owner_draw.ellipse(box, fill=self._current)
            self._extent += [(box[0], box[1]), (box[2], box[3])]

    def line(self, places: Sequence[Place], colour: Colour, width_m: float) -> None:
        points = [self.project(place) for place in places]
        width = width_m * 0.9 * WIDTH_PX / places[0][2]
        doubled = [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points]
        ink = self._hazed(colour, places[0][2])
        self._draw.line(doubled, fill=ink, width=max(1, round(width * _OVERSAMPLING)))
        self._owner_draw.line(points, fill=self._current, width=max(1, round(width)))
        self._extent += points

    def ground_shadow(self, across: float, ahead: float, width: float, length: float) -> None:
        """A soft dark patch on the road under something."""
        for grow, alpha in ((1.25, 40), (1.1, 60), (0.98, 90)):
            half, back = width / 2 * grow, length * (grow - 1) / 2 + 0.15
            near, far = max(ahead - back, 1.0), ahead + length + back
            self.polygon(
                [(across - half, 0.01, near), (across + half, 0.01, near), (across + half, 0.01, far),
                 (across - half, 0.01, far)],
                (18, 19, 24), alpha,
            )  # fmt: skip

    def light(self, centre: Place, radius: float, colour: Colour) -> None:
        """Remember a lamp that shines if the street is drawn by night; painting it is the caller's."""
        left, top, right, bottom = (value / 2 for value in self._bounds(centre, radius, radius))
        self._glow_draw.ellipse((left, top, max(right, left + 1), max(bottom, top + 1)), fill=colour)

    def finished(self) -> Image.Image:
        return self._image.reduce(_OVERSAMPLING)

    def glow(self) -> Image.Image:
        """The remembered lamps and their bloom, at the image's size."""
        near = self._glow.filter(ImageFilter.GaussianBlur(2))
        far = self._glow.reduce(4).filter(ImageFilter.GaussianBlur(5)).resize(self._glow.size)
        lights = np.asarray(self._glow, np.uint16) + 2 * np.asarray(near, np.uint16)
        lights += 4 * np.asarray(far, np.uint16)
        bright = Image.fromarray(lights.clip(0, 255).astype(np.uint8))
        return bright.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BILINEAR)

    def _bounds(self, centre: Place, across: float, up: float) -> tuple[float, float, float, float]:
        x, y = self.project(centre)
        scale = 0.9 * WIDTH_PX / max(centre[2], 0.5)
        return x - across * scale, y - up * scale, x + across * scale, y + up * scale

    def _hazed(self, colour: Colour, ahead: float) -> Colour:
        share = 1 - float(np.exp(-max(ahead, 0.0) / _HAZE_M))
        red, green, blue = (round(c + (air - c) * share) for c, air in zip(colour, self._haze, strict=True))
        return red, green, blue


def shaded(colour: Colour, by: float) -> Colour:
    """The colour in other light; 1 leaves it."""
    red, green, blue = (min(255, max(0, round(channel * by))) for channel in colour)
    return red, green, blue
