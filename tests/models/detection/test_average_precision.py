import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detection.average_precision import (
    RECALLS,
    precision_at_recalls,
    recalls,
    resampled_average_precision,
)
from models.detection.matching import CategoryMatches, match
from models.detection.overlaps import find_overlaps


def ranked(*is_true: bool, boxes: int) -> CategoryMatches:
    """Detections of one image by falling score, alike at every threshold."""
    columns = np.repeat(np.array(is_true, bool).reshape(-1, 1), 10, axis=1)
    rows = len(is_true)
    score = np.linspace(1, 0.1, rows)
    return CategoryMatches(np.zeros(rows, int), score, columns, np.ones_like(columns), np.zeros(boxes, int))


def test_precision_at_a_recall_is_the_best_at_it_or_beyond():
    # found: 1 of 1, 1 of 2, 2 of 3, of 4 boxes: precision 1 up to a recall of 1/4, then 2/3 up to 1/2
    curve = precision_at_recalls(ranked(True, False, True, boxes=4))[0]
    assert curve[RECALLS <= 0.25].tolist() == [1.0] * 26
    assert curve[(RECALLS > 0.25) & (RECALLS <= 0.5)] == pytest.approx([2 / 3] * 25)
    assert not curve[RECALLS > 0.5].any()
    assert recalls(ranked(True, False, True, boxes=4)).tolist() == [0.5] * 10


def test_a_low_precision_early_is_lifted_by_a_better_one_later():
    curve = precision_at_recalls(ranked(False, True, True, boxes=2))[0]
    assert curve == pytest.approx([2 / 3] * 101)


def test_boxes_without_any_detection_have_an_average_precision_of_zero():
    nothing = ranked(boxes=3)
    assert not precision_at_recalls(nothing).any()
    assert not resampled_average_precision(nothing, np.ones((1, 1), np.int32)).any()


def test_a_draw_without_a_box_has_no_average_precision():
    assert np.isnan(resampled_average_precision(ranked(True, boxes=1), np.zeros((1, 1), np.int32))).all()


@pytest.mark.parametrize("boxes", [7, 10, 20, 50, 100, 200, 300])
def test_recall_points_are_reached_alike_with_and_without_draws(boxes):
    # every multiple of 1/100 is met exactly by some of these, where the last digit decides
    dice = np.random.default_rng(boxes)
    matches = ranked(*(dice.random(boxes + boxes // 2) < 0.6)[: boxes + 1], boxes=boxes)
    once = resampled_average_precision(matches, np.ones((1, 1), np.int32))[0]
    np.testing.assert_allclose(once, precision_at_recalls(matches).mean(axis=1), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), times=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_draw_is_scored_as_if_its_images_were_there_as_often(draw_test_set, seed, times):
    truths, detections = draw_test_set(seed, images=6)
    draws = np.array([times, [1] * 6], np.int32)
    repeated = [image for image, count in enumerate(times) for _ in range(count)] or None
    whole = match(find_overlaps(truths, detections, 3))
    drawn = repeated and match(
        find_overlaps([truths[image] for image in repeated], [detections[image] for image in repeated], 3)
    )
    for category, found in enumerate(whole.by_category):
        result = resampled_average_precision(found, draws)
        for row, matches in zip(result, (drawn, whole), strict=True):
            if matches is None or not matches.by_category[category].boxes:
                assert np.isnan(row).all()
            else:
                expected = precision_at_recalls(matches.by_category[category]).mean(axis=1)
                np.testing.assert_allclose(row, expected, atol=1e-12)
