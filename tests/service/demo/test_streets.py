"""Drawn streets: boxes that fit what was drawn, the same bytes for the same seed."""

import numpy as np
import pytest

from service.demo.canvas import HEIGHT_PX, WIDTH_PX
from service.demo.streets import CATEGORIES, Street, draw_street


@pytest.fixture(scope="module")
def streets() -> list[Street]:
    guests = ("train", "bus", "truck", "motorcycle", "bicycle")
    return [draw_street(seed, (guests[seed % len(guests)],)) for seed in range(5)]


def test_image_has_the_size_of_bdd100k(streets: list[Street]) -> None:
    assert {street.image.size for street in streets} == {(1280, 720)}
    assert {street.image.mode for street in streets} == {"RGB"}


def test_boxes_lie_inside_the_image(streets: list[Street]) -> None:
    for street in streets:
        assert street.boxes
        for box in street.boxes:
            x1, y1, x2, y2 = box.xyxy
            assert 0 <= x1 < x2 <= WIDTH_PX
            assert 0 <= y1 < y2 <= HEIGHT_PX
            assert box.category in CATEGORIES


def test_guests_come_by(streets: list[Street]) -> None:
    for street, guest in zip(streets, ("train", "bus", "truck", "motorcycle", "bicycle"), strict=True):
        assert guest in {box.category for box in street.boxes}


def test_box_touching_the_border_is_truncated(streets: list[Street]) -> None:
    for street in streets:
        for box in street.boxes:
            x1, _, x2, y2 = box.xyxy
            if x1 == 0 or x2 == WIDTH_PX or y2 == HEIGHT_PX:
                assert box.attributes["truncated"]


def test_traffic_lights_know_their_colour(streets: list[Street]) -> None:
    for street in streets:
        for box in street.boxes:
            colour = box.attributes["trafficLightColor"]
            assert (colour != "NA") == (box.category == "traffic light")


def test_traffic_light_shows_what_its_label_says() -> None:
    """Red lights are reddest in the upper third of their boxes, green ones greenest in the lower."""
    judged = 0
    for seed in range(12):
        street = draw_street(seed)
        pixels = np.asarray(street.image).astype(int)
        for box in street.boxes:
            colour, (x1, y1, x2, y2) = box.attributes["trafficLightColor"], box.xyxy
            if box.attributes["occluded"] or colour not in {"red", "green"} or y2 - y1 < 18:
                continue
            patch = pixels[y1:y2, x1:x2]
            excess = (patch[..., 0] - patch[..., 1]) * (1 if colour == "red" else -1)
            third = (y2 - y1) // 3
            parts = [excess[part * third : (part + 1) * third].max() for part in range(3)]
            assert int(np.argmax(parts)) == (0 if colour == "red" else 2)
            judged += 1
    assert judged >= 3


def test_same_seed_draws_the_same_bytes() -> None:
    first, again, other = draw_street(3), draw_street(3), draw_street(4)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.boxes == again.boxes
    assert first.image.tobytes() != other.image.tobytes()


def test_night_is_dark_and_has_bright_lamps() -> None:
    day, night = (np.asarray(draw_street(11, is_night=dark).image.convert("L")) for dark in (False, True))
    assert night.mean() < 0.45 * day.mean()
    assert night.max() > 230
