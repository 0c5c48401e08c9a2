import numpy as np
import pytest

from models.detection.confusion import confusion_matrix
from models.detection.overlaps import find_overlaps

BOX = (0, 0, 100, 100)
ELSEWHERE = (300, 300, 400, 400)


def matrix(truth, found, categories=2):
    return confusion_matrix(find_overlaps([truth], [found], categories)).tolist()


def test_what_is_there_stands_in_rows_and_what_was_detected_in_columns(truth_of, detections_of):
    found = detections_of(BOX, score=0.9, category=1)
    assert matrix(truth_of(BOX, category=0), found) == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_a_missed_box_was_taken_for_background_and_a_false_detection_was_background(truth_of, detections_of):
    found = detections_of(ELSEWHERE, score=0.9, category=1)
    assert matrix(truth_of(BOX, category=0), found) == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_a_box_goes_to_the_detection_that_overlaps_it_most_however_sure_the_other_is(truth_of, detections_of):
    found = detections_of((0, 0, 100, 80), (0, 0, 100, 90), score=[0.9, 0.3], category=[0, 1])
    assert matrix(truth_of(BOX), found) == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_of_two_categories_for_the_same_box_the_surer_one_counts(truth_of, detections_of):
    found = detections_of(BOX, BOX, score=[0.3, 0.9], category=[0, 1])
    assert matrix(truth_of(BOX), found) == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_unsure_detections_and_small_overlaps_do_not_count(truth_of, detections_of):
    found = detections_of(BOX, (60, 0, 160, 100), score=[0.24, 0.25])
    assert matrix(truth_of(BOX), found) == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_an_ignored_region_is_neither_missed_nor_are_detections_in_it_false(truth_of, detections_of):
    truth = truth_of((0, 0, 500, 500), is_ignored=True)
    found = detections_of(BOX, ELSEWHERE, score=0.9, category=[0, 1])
    assert matrix(truth, found) == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_every_counted_box_is_in_its_row_once(draw_test_set, seed):
    truths, detections = draw_test_set(seed, images=20)
    counts = confusion_matrix(find_overlaps(truths, detections, 3))
    boxes = np.concatenate([truth.category[~truth.is_ignored] for truth in truths])
    assert counts[:3].sum(axis=1).tolist() == np.bincount(boxes, minlength=3).tolist()
    assert counts[3, 3] == 0
