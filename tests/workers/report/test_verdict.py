"""The sentence says what the interval allows, and no more."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.report.verdict import Outcome, main_contest, outcome_of, verdict, what_it_takes

MakeReport = Callable[..., dict[str, Any]]
PLAIN = {"day": 0.19, "day+synthetic": 0.22, "day+night": 0.24}


def test_a_gain_is_told_with_its_interval_its_seeds_its_frames_and_the_gap_it_closes(
    make_report: MakeReport,
) -> None:
    assert verdict(make_report(PLAIN, interval=(0.01, 0.05))) == (
        "Synthetic night data helps: day+synthetic brings +3.0 points of mAP50 over day"
        " (95 % interval +1.0 to +5.0, 3 seeds, 243 test frames of 24 scenes);"
        " it closes 60 % of the gap to day+night (95 % interval 20 % to 105 %)."
    )


def test_an_interval_that_holds_0_shows_nothing_and_says_what_it_would_take(make_report: MakeReport) -> None:
    report = make_report(PLAIN, interval=(-0.04, 0.1), unit="frame", upper_bound=None)
    report["differences"][0] |= {"units_needed": 1587, "seeds_needed": 9}
    assert verdict(report) == (
        "Nothing was shown: day+synthetic brings +3.0 points of mAP50 over day, but the 95 % interval, −4.0"
        " to +10.0, holds 0 (3 seeds, 243 test frames); an even chance of telling a difference of this size"
        " from 0 would take about 1,400 more test frames or about 6 more seeds."
    )


def test_a_loss_is_called_one(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19, "day+synthetic": 0.16}, interval=(-0.02, 0.02))
    assert verdict(report) == (
        "Synthetic night data hurts: day+synthetic brings −3.0 points of mAP50 over day"
        " (95 % interval −5.0 to −1.0, 3 seeds, 243 test frames of 24 scenes)."
    )


def test_the_best_of_several_synthetic_arms_is_said_to_be_chosen(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19, "day+synthetic-a": 0.21, "day+synthetic-b": 0.23, "synthetic-c": 0.2})
    sentence = verdict(report)
    assert "helps: day+synthetic-b (the best of 3 synthetic arms) brings +4.0 points" in sentence
    assert sentence.endswith("; being chosen by these same scores flatters it.")


def test_one_seed_is_said_to_tell_nothing_of_chance(make_report: MakeReport) -> None:
    sentence = verdict(make_report(PLAIN, seeds=1, upper_bound=None))
    assert "1 seed, 243 test frames" in sentence
    assert sentence.endswith("; with one seed, how far two trainings differ by chance is not known.")


@pytest.mark.parametrize(
    ("gain", "clause"),
    [
        (0.02, "brightening first, enhance:sci, helps: +2.0 points (95 % interval +1.0 to +3.0)"),
        (-0.02, "brightening first, enhance:sci, hurts: −2.0 points (95 % interval −3.0 to −1.0)"),
        (
            0.0,
            "for brightening first, enhance:sci, nothing was shown (0.0 points, 95 % interval −1.0 to +1.0)",
        ),
    ],
)
def test_brightening_gets_a_clause_beside_synthetic_data(
    make_report: MakeReport, gain: float, clause: str
) -> None:
    report = make_report(
        {"day": 0.2, "day+synthetic": 0.25, "enhance:sci": 0.2 + gain}, interval=(-0.01, 0.01)
    )
    assert verdict(report).endswith(f"; {clause}.")


def test_brightening_alone_is_what_the_verdict_is_about(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19, "enhance:sci": 0.22}, interval=(-0.01, 0.01))
    assert verdict(report).startswith(
        "Brightening the test frames first helps: enhance:sci brings +3.0 points"
    )


def test_without_synthetic_arms_any_other_arm_is_compared(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19, "day+night": 0.24}, interval=(-0.01, 0.01))
    assert verdict(report).startswith(
        "Other training data helps: day+night brings +5.0 points of mAP50 over day"
    )
    assert "gap" not in verdict(report)


def test_a_single_arm_is_compared_with_nothing(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19}, unit="frame")
    assert main_contest(report) is None
    assert verdict(report).startswith("Nothing was compared: day alone reaches 19.0 ± ")
    assert verdict(report).endswith("% mAP50 (3 seeds, 243 test frames).")


def test_an_upper_bound_no_better_than_the_baseline_leaves_no_gap(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19, "day+synthetic": 0.22, "day+night": 0.19})
    assert "; day+night is no better than day here, so there is no gap to close" in verdict(report)


def test_a_gap_without_an_interval_says_so(make_report: MakeReport) -> None:
    report = make_report(PLAIN)
    report["gap_closed"][0]["interval"] = None
    assert "it closes 60 % of the gap to day+night (no interval could be worked out)" in verdict(report)


def test_a_difference_without_an_interval_shows_nothing(make_report: MakeReport) -> None:
    sentence = verdict(make_report(PLAIN, interval=None, upper_bound=None))
    assert sentence.startswith(
        "Nothing was shown: day+synthetic brings +3.0 points of mAP50 over day, but no interval"
    )
    assert "would take" not in sentence


def test_what_was_not_shown_closes_no_gap(make_report: MakeReport) -> None:
    sentence = verdict(make_report(PLAIN, interval=(-0.04, 0.1)))
    assert "closes" not in sentence
    assert "; of the gap to day+night that is 60 % (95 % interval 20 % to 105 %)" in sentence


def test_an_overlap_of_test_and_training_frames_is_part_of_the_sentence(make_report: MakeReport) -> None:
    report = make_report(PLAIN)
    report["leakage"]["identical"] = [{"test": "a.jpg", "other": "b.jpg", "data": "day"}]
    assert verdict(report).endswith("; beware: 1 test frame was also trained or validated on.")
    report["leakage"]["near_duplicates"] = [
        {"test": name, "other": "c.jpg", "data": "day", "changed_cells": 2} for name in ("a.jpg", "d.jpg")
    ]
    assert verdict(report).endswith("; beware: 2 test frames were also trained or validated on.")


@pytest.mark.parametrize(
    ("difference", "units_needed", "seeds_needed", "sentence"),
    [
        (0.0, None, None, "a difference of 0 is nothing that more frames or seeds could show"),
        (
            0.01,
            None,
            None,
            "neither more test scenes alone nor more seeds alone would show so small a difference",
        ),
        (0.01, 20, 3, "a few more test frames or seeds may settle it"),
        (
            0.01,
            25,
            None,
            "an even chance of telling a difference of this size from 0 would take about 1 more test scene",
        ),
        (
            0.01,
            None,
            127,
            "an even chance of telling a difference of this size from 0 would take about 130 more seeds",
        ),
    ],
)
def test_what_it_takes(
    make_report: MakeReport,
    difference: float,
    units_needed: int | None,
    seeds_needed: int | None,
    sentence: str,
) -> None:
    found = {"difference": difference, "units_needed": units_needed, "seeds_needed": seeds_needed}
    assert what_it_takes(make_report(PLAIN), found) == sentence


@given(st.floats(-1, 1), st.floats(0, 1))
def test_only_an_interval_on_one_side_of_0_shows_something(low: float, width: float) -> None:
    outcome = outcome_of({"interval": [low, low + width]})
    assert (outcome is Outcome.HELPS) == (low > 0)
    assert (outcome is Outcome.HURTS) == (low + width < 0)
