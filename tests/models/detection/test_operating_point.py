import numpy as np
import pytest

from models.detection.matching import CategoryMatches, match
from models.detection.operating_point import best_operating_point
from models.detection.overlaps import find_overlaps


def ranked(score: list[float], is_true: list[bool], boxes: int) -> CategoryMatches:
    columns = np.repeat(np.array(is_true, bool).reshape(-1, 1), 10, axis=1)
    image = np.zeros(len(score), int)
    return CategoryMatches(image, np.array(score), columns, np.ones_like(columns), np.zeros(boxes, int))


def test_the_confidence_is_that_of_the_largest_f1():
    # F1 of 2 boxes: 2/3 at 0.9, 1/2 at 0.8, 4/5 at 0.7, 2/3 at 0.6
    point = best_operating_point([ranked([0.9, 0.8, 0.7, 0.6], [True, False, True, False], boxes=2)])
    assert point.confidence == 0.7
    assert point.precision == pytest.approx([2 / 3])
    assert point.recall == (1.0,)


def test_of_several_largest_f1_the_highest_confidence_is_taken():
    # F1 of 2 boxes: 2/3 at 0.9, 1/2 at 0.8, 2/5 at 0.7, 2/3 at 0.6
    point = best_operating_point([ranked([0.9, 0.8, 0.7, 0.6], [True, False, False, True], boxes=2)])
    assert point.confidence == 0.9


def test_one_confidence_serves_all_categories():
    # mean F1: at 0.9 (2/3 + 0) / 2, at 0.8 (2/3 + 1) / 2, at 0.5 (4/5 + 2/3) / 2
    first = ranked([0.9, 0.5, 0.5], [True, True, False], boxes=2)
    second = ranked([0.8, 0.5], [True, False], boxes=1)
    point = best_operating_point([first, second])
    assert point.confidence == 0.8
    assert point.precision == (1.0, 1.0)
    assert point.recall == (0.5, 1.0)


def test_equally_sure_detections_are_taken_together():
    point = best_operating_point([ranked([0.5, 0.5], [True, False], boxes=1)])
    assert point.precision == (0.5,)


def test_a_category_that_was_never_detected_has_no_precision_and_no_recall():
    point = best_operating_point([ranked([0.5], [True], boxes=1), ranked([], [], boxes=2)])
    assert point.precision == (1.0, 0.0)
    assert point.recall == (1.0, 0.0)


def test_without_detections_there_is_no_confidence():
    point = best_operating_point([ranked([], [], boxes=2)])
    assert point.confidence is None
    assert point.precision == point.recall == (0.0,)


@pytest.mark.parametrize("seed", range(10))
def test_no_confidence_has_a_larger_mean_f1(draw_test_set, seed):
    truths, detections = draw_test_set(seed, images=20, score_digits=1)
    matches = [found for found in match(find_overlaps(truths, detections, 3)).by_category if found.boxes]
    point = best_operating_point(matches)

    def mean_f1(confidence: float) -> float:
        f1 = []
        for found in matches:
            is_kept = (found.score >= confidence) & found.is_counted[:, 0]
            f1.append(2 * found.is_true[is_kept, 0].sum() / (is_kept.sum() + found.boxes))
        return float(np.mean(f1))

    assert mean_f1(point.confidence) == pytest.approx(max(map(mean_f1, np.arange(11) / 10)))
