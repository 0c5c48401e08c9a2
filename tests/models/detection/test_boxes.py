import numpy as np
import pytest

from models.detection.boxes import Detections, Truth, intersection_over_union

NOTHING = np.zeros(0)


def test_overlap_is_the_shared_area_over_the_covered_area(truth_of, detections_of):
    found = detections_of((0, 0, 10, 10), (20, 20, 30, 30), score=0.5)
    truth = truth_of((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10))
    assert intersection_over_union(found, truth).tolist() == [[1, 50 / 150, 0], [0, 0, 0]]


def test_overlap_with_an_ignored_region_is_the_share_of_the_detection_inside(truth_of, detections_of):
    found = detections_of((0, 0, 10, 10), score=0.5)
    assert intersection_over_union(found, truth_of((5, 0, 100, 100), is_ignored=True)).tolist() == [[0.5]]


def test_a_flat_detection_overlaps_nothing(truth_of, detections_of):
    found = detections_of((3, 3, 3, 9), score=0.5)
    for is_ignored in (False, True):
        assert intersection_over_union(found, truth_of((0, 0, 10, 10), is_ignored=is_ignored)).tolist() == [
            [0]
        ]


def test_an_image_may_be_without_boxes():
    assert len(Truth(NOTHING, NOTHING, NOTHING, NOTHING)) == len(Detections(NOTHING, NOTHING, NOTHING)) == 0


@pytest.mark.parametrize(
    ("xyxy", "category", "luma", "complaint"),
    [
        ([[5, 0, 5, 9]], [0], [50], "x1 < x2"),
        ([[0, 0, 9, float("nan")]], [0], [50], "finite"),
        ([[0, 0, 9, 9]], [-1], [50], "from 0"),
        ([[0, 0, 9, 9]], [0], [256], "luma"),
        ([[0, 0, 9, 9]], [0, 1], [50], r"category must have the shape \(1,\), got \(2,\)"),
        ([0, 0, 9, 9], [0], [50], r"xyxy must have the shape \(4, 4\), got \(4,\)"),
    ],
)
def test_labelled_boxes_check_themselves(xyxy, category, luma, complaint):
    with pytest.raises(ValueError, match=complaint):
        Truth(xyxy, category, [False] * len(xyxy), luma)


@pytest.mark.parametrize(
    ("xyxy", "score"), [([[9, 0, 5, 9]], [0.5]), ([[0, 0, 9, 9]], [1.5]), ([[0, 0, 9, 9]], [np.nan])]
)
def test_detections_check_themselves(xyxy, score):
    with pytest.raises(ValueError, match="must"):
        Detections(xyxy, [0], score)
