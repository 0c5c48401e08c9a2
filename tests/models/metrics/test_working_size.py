import numpy as np
import pytest

from models.metrics.working_size import luma, reduced


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((320, 640), (320, 640)),
        ((100, 80), (100, 80)),
        ((720, 1280), (360, 640)),
        ((1280, 720), (640, 360)),
        ((2, 6400), (1, 640)),
    ],
)
def test_the_longer_side_is_at_most_640(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    assert reduced(image).shape == (*expected, 3)
    assert (reduced(image) == 77).all()


def test_luma_is_in_whole_levels() -> None:
    image = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    # 0.299, 0.587 and 0.114 of 255
    assert luma(image).tolist() == [[0, 255, 76, 150, 29]]
