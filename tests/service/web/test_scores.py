"""An experiment's report as the page draws it."""

from typing import Any

import pytest

from service.web.learning.scores import Scores, scores_of
from tests.workers.report.conftest import MAP50, make_report


def drawn(**options: Any) -> Scores:
    return scores_of(make_report(**options))


def test_a_better_arm_has_a_longer_bar_and_all_fit() -> None:
    arms = drawn().arms
    by_score = sorted(arms, key=lambda arm: MAP50[arm.name])
    bars = [arm.bar for arm in by_score if arm.bar is not None]
    assert len(bars) == len(MAP50)
    assert [bar.mean for bar in bars] == sorted(bar.mean for bar in bars)
    for bar in bars:
        assert bar.spread is not None
        assert 0 <= bar.spread[0] <= bar.mean <= bar.spread[1] <= 100
        assert len(bar.seeds) == 3


def test_one_seed_has_no_spread() -> None:
    assert all(arm.bar is not None and arm.bar.spread is None for arm in drawn(seeds=1).arms)


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [((0.01, 0.05), "helps"), ((-0.05, 0.05), "nothing shown"), (None, "nothing shown")],
)
def test_an_interval_that_holds_0_shows_nothing(interval: tuple[float, float] | None, outcome: str) -> None:
    gain = drawn(scores={"day": 0.2, "day+synthetic": 0.23}, interval=interval).arms[1].gain
    assert gain is not None
    assert (gain.outcome, gain.ends is None) == (outcome, interval is None)


def test_an_arm_that_hurts_lies_left_of_zero() -> None:
    scores = drawn(scores={"day": 0.3, "day+synthetic": 0.2}, interval=(-0.12, -0.08))
    gain = scores.arms[1].gain
    assert gain is not None
    assert gain.outcome == "hurts"
    assert gain.ends is not None
    assert gain.ends[0] < gain.at < gain.ends[1] < scores.zero


def test_the_baseline_is_compared_with_nothing() -> None:
    baseline = drawn().arms[0]
    assert (baseline.is_baseline, baseline.gain, baseline.gap) == (True, None, "–")


def test_a_category_without_test_boxes_has_no_scores_and_the_best_arm_is_marked() -> None:
    rows = {row.name: row for row in drawn().categories}
    assert rows["rider"].boxes == 0
    assert {score for score, _ in rows["rider"].scores} == {"–"}
    assert [is_best for _, is_best in rows["car"].scores].count(True) == 1


def test_an_arm_without_a_history_has_no_curve() -> None:
    assert len(drawn().curves) == 3  # the fourth brightens test frames
    assert drawn(has_histories=False).curves == []
