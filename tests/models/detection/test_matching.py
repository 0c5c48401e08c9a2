import numpy as np
import pytest

from models.detection.matching import match
from models.detection.overlaps import find_overlaps

BOX = (0, 0, 100, 100)


def first(matches):
    """At IoU 0.5, of category 0: what is true and what is counted, by falling score."""
    found = matches.by_category[0]
    return found.is_true[:, 0].tolist(), found.is_counted[:, 0].tolist()


def test_the_surest_detection_takes_the_box_and_the_next_one_is_false(truth_of, detections_of):
    # the second one overlaps better, but comes too late
    found = detections_of(BOX, (0, 0, 100, 80), score=[0.6, 0.9])
    assert first(match(find_overlaps([truth_of(BOX)], [found], 1))) == ([True, False], [True, True])


def test_each_threshold_is_settled_by_itself(truth_of, detections_of):
    # IoU 0.8 is enough up to the threshold 0.8; beyond, the box is left for the second
    found = detections_of((0, 0, 100, 80), BOX, score=[0.9, 0.6])
    matches = match(find_overlaps([truth_of(BOX)], [found], 1)).by_category[0]
    assert matches.is_true[0].tolist() == [True] * 7 + [False] * 3
    assert matches.is_true[1].tolist() == [False] * 7 + [True] * 3


def test_a_detection_takes_the_box_that_it_overlaps_most(truth_of, detections_of):
    truth = truth_of((0, 0, 100, 100), (20, 0, 120, 100))
    found = detections_of((15, 0, 115, 100), (25, 0, 125, 100), score=[0.9, 0.8])
    # had the first one taken the first box, the second could have had the other: greed leaves it with less
    matches = match(find_overlaps([truth], [found], 1)).by_category[0]
    assert matches.is_true[:, 0].tolist() == [True, True]
    assert matches.is_true[:, 4].tolist() == [True, False]


def test_of_two_boxes_overlapped_alike_the_later_one_is_taken(truth_of, detections_of):
    # so that the first one is left for the second detection, which does not reach the other
    truth = truth_of((0, 0, 100, 100), (40, 0, 140, 100))
    found = detections_of((20, 0, 120, 100), (0, 0, 100, 100), score=[0.9, 0.8])
    assert first(match(find_overlaps([truth], [found], 1)))[0] == [True, True]


def test_an_overlap_of_exactly_the_threshold_is_enough(truth_of, detections_of):
    found = detections_of((0, 0, 100, 50), score=0.9)
    matches = match(find_overlaps([truth_of(BOX)], [found], 1)).by_category[0]
    assert matches.is_true[0].tolist() == [True] + [False] * 9


@pytest.mark.parametrize(("surer", "is_found"), [(99, True), (100, False)])
def test_only_the_hundred_surest_of_a_category_count(truth_of, detections_of, surer, is_found):
    # those of another category take no place
    beside = (300, 300, 400, 400)
    category = [0] * (surer + 1) + [1] * 50
    score = [0.9] * surer + [0.5] + [0.9] * 50
    found = detections_of(*[beside] * surer, BOX, *[beside] * 50, score=score, category=category)
    matches = match(find_overlaps([truth_of(BOX)], [found], 2)).by_category
    assert (len(matches[0].image), len(matches[1].image)) == (100, 50)
    assert matches[0].is_true[:, 0].any() == is_found


def test_another_category_or_image_takes_nothing(truth_of, detections_of):
    nothing = truth_of()
    found = [detections_of(BOX, score=0.9, category=1), detections_of(BOX, score=0.9)]
    matches = match(find_overlaps([truth_of(BOX), nothing], found, 2))
    assert not any(found.is_true.any() for found in matches.by_category)
    assert [found.boxes for found in matches.by_category] == [1, 0]


def test_an_ignored_region_takes_any_number_of_detections_and_none_counts(truth_of, detections_of):
    truth = truth_of((0, 0, 500, 500), is_ignored=True)
    found = detections_of(BOX, (200, 200, 300, 300), (600, 600, 700, 700), score=[0.9, 0.8, 0.7])
    matches = match(find_overlaps([truth], [found], 1))
    assert first(matches) == ([False, False, False], [False, False, True])
    assert matches.boxes == 0


def test_a_counted_box_is_taken_before_an_ignored_one_that_overlaps_more(truth_of, detections_of):
    truth = truth_of((0, 0, 500, 500), (0, 0, 100, 60), is_ignored=[True, False])
    assert first(match(find_overlaps([truth], [detections_of(BOX, score=0.9)], 1))) == ([True], [True])


def test_a_box_set_aside_is_taken_once_only(truth_of, detections_of):
    overlaps = find_overlaps([truth_of(BOX)], [detections_of(BOX, BOX, score=[0.9, 0.8])], 1)
    assert first(match(overlaps, is_aside=np.array([True]))) == ([False, False], [False, True])


def test_a_stray_detection_is_left_out_only_if_it_takes_nothing(truth_of, detections_of):
    overlaps = find_overlaps([truth_of(BOX)], [detections_of(BOX, BOX, score=[0.9, 0.8])], 1)
    assert first(match(overlaps, is_stray=np.array([True, True]))) == ([True, False], [True, False])


def test_categories_beyond_the_last_are_refused(truth_of, detections_of):
    with pytest.raises(ValueError, match="2 categories"):
        find_overlaps([truth_of(BOX)], [detections_of(BOX, score=0.5, category=2)], 2)


def test_images_and_detections_must_be_as_many(truth_of):
    with pytest.raises(ValueError, match="1 images need as many detections, got 0"):
        find_overlaps([truth_of(BOX)], [], 1)
