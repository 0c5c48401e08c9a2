"""The summary is Markdown that says the same as the page, whatever the names are."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.report.summary import escaped, render_summary

MakeReport = Callable[..., dict[str, Any]]


def rows(summary: str, number: int) -> list[list[str]]:
    """The cells of one of its tables."""
    tables = [block for block in summary.split("\n\n") if block.startswith("| ")]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in tables[number].split("\n")
    ]


def test_the_table_of_arms_has_a_row_an_arm(make_report: MakeReport) -> None:
    head, rule, day, synthetic, _enhance, night = rows(render_summary(make_report(seeds=1)), 0)
    assert head == [
        "Arm",
        "Frames",
        "mAP50",
        "mAP50-95",
        "Precision",
        "Recall",
        "Over baseline",
        "Gap closed",
    ]
    assert len(rule) == len(head)
    assert day == ["day (baseline)", "332", "19.0", "9.5", "36.1", "24.7", "–", "–"]
    assert synthetic[2:] == ["22.1", "11.1", "42.0", "28.7", "+3.1 (+1.2 to +5.0)", "58 % (18 % to 103 %)"]
    assert night[-2:] == ["+5.3 (+3.4 to +7.1)", "–"]


def test_a_category_without_boxes_is_absent(make_report: MakeReport) -> None:
    assert rows(render_summary(make_report()), 1)[-1] == ["rider", "0", *["absent"] * 4]


def test_verdict_settings_and_command_are_there(make_report: MakeReport) -> None:
    report = make_report()
    summary = render_summary(report)
    assert f"**{report['verdict']}**" in summary
    assert "- Every arm was trained for the same 300 gradient steps\n" in summary
    assert "- All started from one detector, trained for 3,000 steps on day (332 frames)\n" in summary
    assert "- Leakage: none found in 1,064 frames\n" in summary
    assert summary.endswith(f"```\n{report['command']}\n```\n")


def test_other_budgets_and_overlaps_are_told(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19}, seeds=1)
    report["training"] |= {"budget": "epochs", "pretraining": None}
    report["leakage"]["identical"] = [{"test": "a", "other": "b", "data": "day"}]
    summary = render_summary(report)
    assert "- Every arm was trained for 15 epochs\n" in summary
    assert "All started" not in summary
    assert "- Leakage: 1 pair of a test frame and a frame of training or validation\n" in summary
    assert "one seed, so without a spread" in summary


@pytest.mark.parametrize(
    "name", ["a|b", "a\nb | c", "`code`", "<script>", "**bold**", "[x](javascript:y)", "\\|"]
)
def test_a_hostile_name_breaks_no_table_and_marks_nothing_up(make_report: MakeReport, name: str) -> None:
    report = make_report({"day": 0.2, name: 0.25})
    usual = rows(render_summary(make_report({"day": 0.2, "other": 0.25})), 0)
    found = rows(render_summary(report), 0)
    assert [len(row) for row in found] == [len(row) for row in usual]
    assert found[3][1:] == usual[3][1:]


@given(st.text())
def test_escaped_text_has_no_bare_mark(text: str) -> None:
    line = escaped(text)
    assert "\n" not in line
    assert not set("<>") & set(line)
    bare = re.sub(r"\\[\\`*_\[\]|~#!]", "", line)
    assert not set("\\`*_[]|~") & set(bare)


@pytest.mark.parametrize("command", ["a ``` b", "`````", "plain"])
def test_a_command_cannot_end_its_block(make_report: MakeReport, command: str) -> None:
    summary = render_summary(make_report() | {"command": command})
    fence = summary.rstrip("\n").split("\n")[-1]
    assert set(fence) == {"`"}
    assert summary.endswith(f"\n{fence}\n{command}\n{fence}\n")
    assert fence not in command
