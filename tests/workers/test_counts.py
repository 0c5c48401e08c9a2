"""What a dataset's counts say of its boxes and its brightness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.dataset import Box, Frame, Split
from service.datasets.manifest import ManifestEntry
from workers.brightness import brightness
from workers.counts import BRIGHTNESS_BINS, Counts, brightness_bin, size_of


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (1, 1, "small"),
        (31.9, 32, "small"),
        (32, 32, "medium"),
        (16, 64, "medium"),
        (95.9, 96, "medium"),
        (96, 96, "large"),
        (1280, 720, "large"),
    ],
)
def test_sizes_are_those_of_coco(width: float, height: float, size: str) -> None:
    assert size_of(Box((5.0, 7.0, 5.0 + width, 7.0 + height), "car")) == size


def entry(split: Split, sides: list[float], ignored: int = 0, light: float | None = None) -> ManifestEntry:
    boxes = [Box((0.0, 0.0, side, side), "car") for side in sides]
    boxes += [Box((0.0, 0.0, 500.0, 500.0), "car", is_ignored=True)] * ignored
    return ManifestEntry(Frame("a", "a", split, 900, 900, tuple(boxes)), "", "", brightness=light)


def test_objects_are_counted_by_split_and_size_and_ignored_regions_are_not() -> None:
    counts = Counts()
    counts.add(entry(Split.TRAIN, [10, 40, 200, 200], ignored=3))
    counts.add(entry(Split.VAL, [10]))
    counts.add(entry(Split.TEST, [], ignored=1))
    told = counts.to_json()
    assert told["boxes_by_split"] == {"test": 0, "train": 4, "val": 1}
    assert told["box_sizes"] == {"small": 2, "medium": 1, "large": 2}
    assert (told["boxes"], told["ignored_boxes"]) == (5, 4)


@given(lights=st.lists(st.floats(0, 1).map(lambda value: round(value, 3))))
def test_every_frame_of_known_brightness_is_in_one_tenth(lights: list[float]) -> None:
    counts = Counts()
    for light in lights:
        counts.add(entry(Split.TRAIN, [], light=light))
    counts.add(entry(Split.TRAIN, []))  # as versions before have written them
    told = counts.to_json()["brightness"]
    assert (len(told), sum(told)) == (BRIGHTNESS_BINS, len(lights))
    for number, count in enumerate(told):
        assert count == sum(number == min(9, int(light * 10)) for light in lights)


def test_the_ends_of_the_scale_have_a_place() -> None:
    assert [brightness_bin(light) for light in (0.0, 0.099, 0.1, 0.999, 1.0)] == [0, 0, 1, 9, 9]


@pytest.mark.parametrize("value", [0, 51, 255])
def test_a_grey_picture_is_as_bright_as_its_grey(value: int) -> None:
    assert brightness(np.full((720, 1280, 3), value, np.uint8)) == round(value / 255, 3)


def test_green_is_brighter_than_red_and_red_than_blue() -> None:
    red, green, blue = (
        brightness(np.full((8, 8, 3), 255, np.uint8) * np.eye(3, dtype=np.uint8)[channel])
        for channel in range(3)
    )
    assert (red, green, blue) == (0.299, 0.587, 0.114)
