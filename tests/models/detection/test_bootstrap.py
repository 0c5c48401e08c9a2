import json

import numpy as np
import pytest

from models.detection import average_precision
from models.detection.bootstrap import bootstrap, mean_average_precisions
from models.detection.matching import match
from models.detection.overlaps import find_overlaps
from models.detection.resamples import Resamples, needed
from models.detection.scores import score

BOX = (0, 0, 100, 100)
IMAGES = 20


@pytest.fixture
def arms(draw_test_set):
    """Three arms of two seeds: the detections, then ever fewer of them; and the test set's overlaps."""
    truths, detections = draw_test_set(5, images=IMAGES)
    dice = np.random.default_rng(0)

    def thinned(share: float):
        fewer = [found.at(np.flatnonzero(dice.random(len(found)) < share)) for found in detections]
        return find_overlaps(truths, fewer, 3)

    return [[thinned(share) for _ in range(2)] for share in (1.0, 0.8, 0.4)]


def matched(arms):
    return [[match(overlaps) for overlaps in of_arm] for of_arm in arms]


def test_points_are_the_scores_of_the_test_set_as_it_is(arms):
    result = bootstrap(matched(arms), np.arange(IMAGES), resamples=10)
    for arm, of_arm in enumerate(arms):
        for seed, overlaps in enumerate(of_arm):
            scores = score(overlaps)
            assert result.map50.point[arm, seed] == pytest.approx(scores.map50, abs=1e-12)
            assert result.map50_95.point[arm, seed] == pytest.approx(scores.map50_95, abs=1e-12)


def test_drawing_every_image_twice_changes_nothing(arms):
    matches = matched(arms)[0][0]
    once, twice = (
        mean_average_precisions(matches, np.full((1, IMAGES), times, np.int32)) for times in (1, 2)
    )
    np.testing.assert_allclose(once, twice, atol=1e-12)


def test_a_category_without_a_box_in_a_draw_is_left_out_of_its_mean(truth_of, detections_of):
    truths = [truth_of(BOX, category=0), truth_of(BOX, category=1), truth_of()]
    found = [detections_of(BOX, score=0.9, category=0), detections_of(score=[]), detections_of(score=[])]
    draws = np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2], [0, 0, 3]], np.int32)
    map50, map50_95 = mean_average_precisions(match(find_overlaps(truths, found, 2)), draws)
    np.testing.assert_array_equal(map50, [0.5, 1.0, 0.0, np.nan])
    np.testing.assert_array_equal(map50_95, map50)


def test_one_unit_leaves_nothing_to_chance_but_the_seeds(arms):
    result = bootstrap(matched(arms), np.zeros(IMAGES), resamples=50)
    assert result.units == 1
    difference = result.map50.difference(0, 2)
    assert difference.sd_units == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(result.map50.of_units, [result.map50.point.mean(axis=1)] * 50)
    # of two seeds, a resample has the first twice, the second twice, or both
    by_seed = result.map50.point[0] - result.map50.point[2]
    drawn = np.unique((result.map50.values[:, 0] - result.map50.values[:, 2]).round(9))
    np.testing.assert_allclose(drawn, np.sort([*by_seed, by_seed.mean()]), atol=1e-8)


def test_identical_arms_differ_by_exactly_nothing_in_every_resample(arms):
    runs = matched(arms)[0]
    difference = bootstrap([runs, runs], np.arange(IMAGES), resamples=100).map50_95.difference(0, 1)
    assert (difference.value, difference.interval, difference.sd) == (0.0, (0.0, 0.0), 0.0)
    assert not difference.is_shown


def test_a_clearly_better_arm_is_shown_to_be_better(arms):
    result = bootstrap(matched(arms), np.arange(IMAGES), resamples=300)
    difference = result.map50.difference(0, 2)
    assert difference.value > 0
    assert difference.interval[0] > 0
    assert difference.is_shown
    turned = result.map50.difference(2, 0)
    assert turned.interval == pytest.approx((-difference.interval[1], -difference.interval[0]))
    assert turned.is_shown


def test_the_same_seed_draws_the_same_resamples(arms):
    runs, units = matched(arms), np.arange(IMAGES)
    first, again, other = (bootstrap(runs, units, 20, seed).map50.values for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_few_resamples_at_a_time_give_the_same_as_all_at_once(arms, monkeypatch):
    runs, units = matched(arms), np.arange(IMAGES)
    at_once = bootstrap(runs, units, 7).map50_95.values
    monkeypatch.setattr(average_precision, "CELLS", 100)
    assert np.array_equal(bootstrap(runs, units, 7).map50_95.values, at_once)


def test_units_may_have_any_numbers(arms):
    runs, scenes = matched(arms), np.arange(IMAGES) // 4
    plain, odd = (bootstrap(runs, units, 20).map50.values for units in (scenes, scenes * 7 - 3))
    assert np.array_equal(plain, odd)


def test_images_of_one_scene_are_drawn_together(truth_of, detections_of):
    # each scene has a found and a missed box, so that whatever scenes are drawn half of the boxes are found
    truths = [truth_of(BOX)] * 8
    found = [detections_of(BOX, score=0.9), detections_of(score=[])] * 4
    runs = [[match(find_overlaps(truths, found, 1))]]
    by_scene = bootstrap(runs, np.arange(8) // 2, 50).map50.values
    by_image = bootstrap(runs, np.arange(8), 50).map50.values
    assert np.ptp(by_scene) == 0
    assert np.ptp(by_image) > 0.2


def test_runs_must_be_of_one_test_set_and_arms_of_as_many_seeds(arms, draw_test_set):
    runs = matched(arms)
    other = match(find_overlaps(*draw_test_set(6, images=IMAGES), 3))
    with pytest.raises(ValueError, match=r"same number of seeds, got \[2, 1\]"):
        bootstrap([runs[0], runs[1][:1]], np.arange(IMAGES))
    with pytest.raises(ValueError, match="same test set"):
        bootstrap([[runs[0][0]], [other]], np.arange(IMAGES))
    with pytest.raises(ValueError, match="20 images, got units for 19"):
        bootstrap(runs, np.arange(IMAGES - 1))


def test_the_gap_closed_is_the_share_of_the_way_to_the_upper_bound():
    # baseline, arm, upper bound; by resample the gap is 0.2, 0.4, 0, turned round, and undefined
    values = np.array([[0.2, 0.3, 0.4], [0.2, 0.3, 0.6], [0.4, 0.5, 0.4], [0.4, 0.5, 0.3], [np.nan] * 3])
    resamples = Resamples(np.array([[0.2], [0.35], [0.4]]), values, values)
    gap = resamples.gap_closed(1, 0, 2)
    assert gap.value == pytest.approx(0.75)
    assert gap.skipped == 3
    # 2.5 % and 97.5 % of the way from 0.25 to 0.5
    assert gap.interval == pytest.approx((0.25625, 0.49375))


def test_no_gap_is_closed_where_there_is_none():
    values = np.array([[0.2, 0.3, 0.4]])
    gap = Resamples(np.array([[0.2], [0.3], [0.2]]), values, values).gap_closed(1, 0, 2)
    assert (gap.value, gap.interval) == (None, None)
    assert gap.to_json() == {"value": None, "interval": None, "skipped": 0}


def test_the_spread_of_seeds_is_the_standard_error_of_their_mean_difference():
    # differences 0.1 and 0.3: standard deviation 0.1414, of the mean of two 0.1
    values = np.zeros((5, 2))
    two = Resamples(np.array([[0.2, 0.5], [0.1, 0.2]]), values, values).difference(0, 1)
    assert two.value == pytest.approx(0.2)
    assert two.sd_seeds == pytest.approx(0.1)
    assert Resamples(np.array([[0.2], [0.1]]), values, values).difference(0, 1).sd_seeds is None


def test_differences_are_plain_json(arms):
    result = bootstrap(matched(arms), np.arange(IMAGES), resamples=20)
    for facts in (result.map50.difference(0, 1).to_json(), result.map50.gap_closed(1, 2, 0).to_json()):
        assert json.loads(json.dumps(facts, allow_nan=False)) == facts


@pytest.mark.parametrize(
    ("count", "difference", "sd", "remaining_sd", "expected"),
    [
        (100, 0.0196, 0.0201, 0.0, 405),  # twice the 0.01 that would do: four times as many, 404.01
        (100, -0.0196, 0.0201, 0.0, 405),
        (100, 0.0392, 0.0099, 0.0, 25),  # 24.5
        (3, 0.0196, 0.0081, 0.006, 4),  # 0.01² - 0.006² = 0.008² are left: 3.08
        (3, 0.0196, 0.008, 0.01, None),
        (3, 0.0, 0.01, 0.0, None),
        (3, 0.1, 0.0, 0.0, 1),
    ],
)
def test_how_many_would_be_needed(count, difference, sd, remaining_sd, expected):
    assert needed(count, difference, sd, remaining_sd) == expected
