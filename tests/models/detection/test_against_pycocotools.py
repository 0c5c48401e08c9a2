"""The same predictions, scored by pycocotools and by us."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from models.detection.average_precision import precision_at_recalls, recalls
from models.detection.boxes import Detections, Truth, areas
from models.detection.groups import match_by_size
from models.detection.matching import Matches, match
from models.detection.overlaps import find_overlaps
from models.detection.scores import score

CATEGORIES = 3
TIGHT = 1e-9


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), images=st.integers(1, 12), score_digits=st.sampled_from([1, 2, 12]))
def test_precision_and_recall_are_those_of_pycocotools_for_every_size_threshold_and_recall(
    draw_test_set, seed, images, score_digits
):
    truths, detections = draw_test_set(seed, images, CATEGORIES, score_digits)
    overlaps = find_overlaps(truths, detections, CATEGORIES)
    reference = evaluate(truths, detections)
    for size, matches in enumerate([match(overlaps), *match_by_size(overlaps).values()]):
        precision, recall = ours(matches)
        np.testing.assert_allclose(precision, reference["precision"][..., size, -1], atol=TIGHT)
        np.testing.assert_allclose(recall, reference["recall"][..., size, -1], atol=TIGHT)


@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_boxes_reach_the_recall_points_that_pycocotools_has_them_reach(
    detections_of, truth_of, seed
):
    # a hundred boxes hit all recall points exactly, where the last digit decides
    dice = np.random.default_rng(seed)
    boxes = [(left, 0, left + 40, 40) for left in range(0, 5000, 50)]
    truths = [truth_of(*boxes)]
    beside = [(left, 60, right, 100) for left, _, right, _ in boxes]
    found = [boxes[row] if dice.random() < 0.7 else beside[row] for row in range(100)]
    detections = [detections_of(*found, score=dice.random(100))]
    precision, _ = ours(match(find_overlaps(truths, detections, CATEGORIES)))
    np.testing.assert_allclose(precision, evaluate(truths, detections)["precision"][..., 0, -1], atol=TIGHT)


def test_only_the_hundred_surest_detections_of_a_category_in_an_image_count(draw_test_set):
    truths, _ = draw_test_set(3, 4, CATEGORIES)
    dice = np.random.default_rng(0)
    crowded = []
    for truth in truths:
        assert len(truth)
        copies = dice.integers(0, len(truth), 400)
        xyxy = truth.xyxy[copies] + dice.integers(-16, 17, (400, 4)) / 4
        xyxy[:, 2:] = np.maximum(xyxy[:, :2], xyxy[:, 2:])
        crowded.append(Detections(xyxy, truth.category[copies], dice.random(400).round(2)))
    overlaps = find_overlaps(truths, crowded, CATEGORIES)
    assert len(overlaps.detections) < sum(map(len, crowded))
    precision, recall = ours(match(overlaps))
    reference = evaluate(truths, crowded)
    np.testing.assert_allclose(precision, reference["precision"][..., 0, -1], atol=TIGHT)
    np.testing.assert_allclose(recall, reference["recall"][..., 0, -1], atol=TIGHT)


@pytest.mark.parametrize("seed", range(10))
def test_means_are_those_that_pycocotools_prints(draw_test_set, seed):
    truths, detections = draw_test_set(seed, 20, CATEGORIES, 2)
    scores = score(find_overlaps(truths, detections, CATEGORIES))
    precision = evaluate(truths, detections)["precision"]
    recall = evaluate(truths, detections)["recall"]
    assert scores.map50_95 == pytest.approx(mean(precision[..., 0, -1]), abs=TIGHT)
    assert scores.map50 == pytest.approx(mean(precision[0, ..., 0, -1]), abs=TIGHT)
    for size, name in enumerate(("small", "medium", "large"), start=1):
        group = scores.by_size[name]
        assert group.map50_95 == pytest.approx(mean(precision[..., size, -1]), abs=TIGHT)
        assert group.map50 == pytest.approx(mean(precision[0, ..., size, -1]), abs=TIGHT)
        assert group.recall == pytest.approx(mean(recall[0, ..., size, -1]), abs=TIGHT)


def ours(matches: Matches) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(10, 101, categories) and (10, categories), as pycocotools has them; -1 for absent categories."""
    precision = np.full((10, 101, CATEGORIES), -1.0)
    recall = np.full((10, CATEGORIES), -1.0)
    for category, found in enumerate(matches.by_category):
        if found.boxes:
            precision[..., category] = precision_at_recalls(found)
            recall[:, category] = recalls(found)
    return precision, recall


def mean(values: NDArray[np.float64]) -> float | None:
    return float(values[values > -1].mean()) if (values > -1).any() else None


def evaluate(truths: Sequence[Truth], detections: Sequence[Detections]) -> dict[str, NDArray[np.float64]]:
    truth, found = COCO(), COCO()
    truth.dataset = dataset(truths, lambda boxes, row: {"iscrowd": int(boxes.is_ignored[row])})
    found.dataset = dataset(detections, lambda boxes, row: {"score": float(boxes.score[row]), "iscrowd": 0})
    truth.createIndex()
    found.createIndex()
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval


def dataset(images: Sequence[Truth] | Sequence[Detections], more: Callable[..., dict[str, float]]) -> dict:
    annotations = []
    for image, boxes in enumerate(images, start=1):
        for row, ((x1, y1, x2, y2), area) in enumerate(zip(boxes.xyxy, areas(boxes.xyxy), strict=True)):
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": int(boxes.category[row]) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, **more(boxes, row),
            })  # fmt: skip
    return {
        "images": [{"id": image + 1} for image in range(len(images))],
        "categories": [{"id": category + 1} for category in range(CATEGORIES)],
        "annotations": annotations,
    }
