import math

import numpy as np
import pytest

from models.metrics.frame import Image
from models.metrics.gradients import correlation, gradient_magnitudes, gradient_similarity


def drawn(seed: int, high: int = 256) -> Image:
    return np.random.default_rng(seed).integers(0, high, (60, 80)).astype(np.uint8)


BOXES = [(5.0, 5.0, 30.0, 25.0), (40.0, 10.0, 79.0, 50.0)]


def test_identical_images_are_wholly_similar() -> None:
    similarity = gradient_similarity(drawn(0), drawn(0), BOXES)
    assert similarity.boxes == 2
    assert similarity.inside == pytest.approx(2)
    assert similarity.outside == pytest.approx(1)


def test_gain_and_offset_change_nothing_where_nothing_is_cut_off() -> None:
    day = drawn(0, high=100)
    similarity = gradient_similarity(day, day * 2 + 7, BOXES)
    assert similarity.inside == pytest.approx(2)
    assert similarity.outside == pytest.approx(1)


def test_a_negative_keeps_its_edges() -> None:
    assert gradient_similarity(drawn(0), 255 - drawn(0), []).outside == pytest.approx(1)


def test_unrelated_images_are_hardly_similar() -> None:
    similarity = gradient_similarity(drawn(0), drawn(1), BOXES)
    assert similarity.inside < 0.2
    assert similarity.outside < 0.1


def test_day_and_night_may_be_swapped() -> None:
    mixed = (drawn(0) // 2 + drawn(1) // 2).astype(np.uint8)
    assert gradient_similarity(drawn(0), mixed, BOXES) == gradient_similarity(mixed, drawn(0), BOXES)


def test_what_changes_inside_a_box_does_not_count_outside() -> None:
    day, night = drawn(0), drawn(0)
    # one pixel off the edges, to which the gradients outside still reach
    night[11:49, 11:59] = drawn(1)[11:49, 11:59]
    similarity = gradient_similarity(day, night, [(10, 10, 60, 50)])
    assert similarity.outside == pytest.approx(1)
    assert similarity.inside < 0.3


def test_without_boxes_all_is_outside() -> None:
    similarity = gradient_similarity(drawn(0), drawn(0), [])
    assert (similarity.inside, similarity.boxes) == (0, 0)
    assert similarity.outside == pytest.approx(1)


def test_boxes_that_cover_all_leave_no_outside() -> None:
    similarity = gradient_similarity(drawn(0), drawn(0), [(-5, -5, 200, 200)])
    assert similarity.boxes == 1
    assert similarity.inside == pytest.approx(1)
    assert math.isnan(similarity.outside)


@pytest.mark.parametrize("box", [(3, 3, 5, 50), (200, 200, 300, 300), (-50, -50, -10, -10), (78, 0, 90, 9)])
def test_boxes_that_are_too_small_or_beyond_the_image_do_not_count(
    box: tuple[float, float, float, float],
) -> None:
    assert gradient_similarity(drawn(0), drawn(0), [box]).boxes == 0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 1, 2, 3], [3, 5, 7, 9], 1.0),
        ([0, 1, 2, 3], [3, 2, 1, 0], 0.0),
        ([1, 1, 1, 1], [5, 5, 5, 5], 1.0),
        ([1, 1, 1, 1], [5, 5, 5, 6], 0.0),
        # deviations (-1, 0, 1) and (-1, 1, 0): 1 / √(2 · 2)
        ([0, 1, 2], [0, 2, 1], 0.5),
    ],
)
def test_correlation_worked_by_hand(first: list[float], second: list[float], expected: float) -> None:
    a, b = np.array(first, np.float32), np.array(second, np.float32)
    assert correlation(a, b) == pytest.approx(expected)


def test_a_step_of_one_level_has_a_gradient_of_four() -> None:
    step = np.repeat([[10, 10, 11, 11]], 5, axis=0).astype(np.uint8)
    assert gradient_magnitudes(step).tolist() == [[0, 4, 4, 0]] * 5
    assert gradient_magnitudes(step.T).tolist() == np.transpose([[0, 4, 4, 0]] * 5).tolist()
