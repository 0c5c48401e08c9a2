import json

import numpy as np
import pytest

from models.detection.overlaps import find_overlaps
from models.detection.scores import score

BOX = (0, 0, 100, 100)
ELSEWHERE = (300, 300, 400, 400)


def test_a_category_without_boxes_is_absent_and_takes_no_part_in_means(truth_of, detections_of):
    found = detections_of(BOX, ELSEWHERE, score=0.9, category=[0, 1])
    scores = score(find_overlaps([truth_of(BOX)], [found], 2))
    assert scores.by_category[1] is None
    assert scores.map50 == scores.map50_95 == scores.precision == scores.recall == 1.0
    assert scores.boxes == scores.by_category[0].boxes == 1


def test_means_are_over_categories_and_not_over_boxes(truth_of, detections_of):
    truth = truth_of(BOX, ELSEWHERE, (500, 0, 600, 100), category=[0, 1, 1])
    scores = score(find_overlaps([truth], [detections_of(BOX, score=0.9)], 2))
    assert [scores.by_category[category].ap50 for category in (0, 1)] == [1.0, 0.0]
    assert scores.map50 == scores.recall == 0.5
    assert scores.precisions == (0.5,) * 101


def test_precision_and_recall_are_read_at_one_confidence(truth_of, detections_of):
    found = detections_of(BOX, (600, 0, 700, 100), score=[0.9, 0.1])
    scores = score(find_overlaps([truth_of(BOX, ELSEWHERE)], [found], 1))
    assert (scores.confidence, scores.precision, scores.recall) == (0.9, 1.0, 0.5)


def test_boxes_are_grouped_by_the_brightness_of_their_region(truth_of, detections_of):
    truth = truth_of(
        BOX,
        ELSEWHERE,
        (500, 0, 600, 100),
        (700, 0, 800, 100),
        (900, 0, 950, 50),
        luma=[39.9, 40, 89.9, 90, 255],
    )
    found = detections_of(BOX, ELSEWHERE, score=0.9)
    groups = score(find_overlaps([truth], [found], 1)).by_brightness
    assert {name: group.boxes for name, group in groups.items()} == {"dark": 1, "dim": 2, "bright": 2}
    assert {name: group.recall for name, group in groups.items()} == {"dark": 1.0, "dim": 0.5, "bright": 0.0}
    # what found a box of another group is left out, so the dark box has nothing against it
    assert groups["dark"].map50 == 1.0


def test_a_detection_that_found_nothing_counts_against_every_brightness(truth_of, detections_of):
    truth = truth_of(BOX, ELSEWHERE, luma=[10, 200])
    found = detections_of((700, 0, 800, 100), BOX, ELSEWHERE, score=[0.9, 0.8, 0.7])
    groups = score(find_overlaps([truth], [found], 1)).by_brightness
    assert groups["dark"].map50 == groups["bright"].map50 == 0.5


def test_a_group_without_boxes_has_no_scores(truth_of, detections_of):
    scores = score(find_overlaps([truth_of(BOX, luma=10)], [detections_of(BOX, score=0.9)], 1))
    bright = scores.by_brightness["bright"]
    assert (bright.boxes, bright.map50, bright.map50_95, bright.recall) == (0, None, None, None)
    assert [scores.by_size[name].boxes for name in ("small", "medium", "large")] == [0, 0, 1]


def test_a_test_set_without_boxes_is_refused(truth_of, detections_of):
    with pytest.raises(ValueError, match="no boxes"):
        score(find_overlaps([truth_of(BOX, is_ignored=True)], [detections_of(BOX, score=0.9)], 1))


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_images_does_not_matter(draw_test_set, seed):
    truths, detections = draw_test_set(seed, images=15)
    order = np.random.default_rng(seed).permutation(15)
    shuffled = find_overlaps([truths[row] for row in order], [detections[row] for row in order], 3)
    assert score(shuffled) == score(find_overlaps(truths, detections, 3))


def test_scores_are_plain_json(draw_test_set):
    truths, detections = draw_test_set(1, images=10)
    scores = score(find_overlaps(truths, detections, 4)).to_json()
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert scores["by_category"][3] is None
    assert len(scores["pr_curve"]["recall"]) == len(scores["pr_curve"]["precision"]) == 101
