"""Charts are text with the arms' colours in it: the same numbers make the same bytes, names stay harmless."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from workers.report import charts

MakeReport = Callable[..., dict[str, Any]]
CHARTS = [
    charts.arms_chart,
    charts.differences_chart,
    charts.categories_chart,
    charts.sizes_chart,
    charts.brightness_chart,
    charts.curves_chart,
    charts.training_chart,
]


def parsed(svg: str) -> ET.Element:
    """As a browser sees it, which knows the prefix of links."""
    return ET.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))  # noqa: S314


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter("text")]


@pytest.fixture(scope="module")
def drawn(a_report: dict[str, Any]) -> dict[Callable[[Any], str], str]:
    return {draw: draw(a_report) for draw in CHARTS}


@pytest.mark.parametrize("draw", CHARTS)
def test_the_same_report_makes_the_same_bytes(
    draw: Callable[[Any], str], drawn: dict[Any, str], make_report: MakeReport
) -> None:
    assert drawn[draw] == draw(make_report())
    assert drawn[draw].startswith('<svg class="chart" role="img" aria-label="')


@pytest.mark.parametrize("draw", CHARTS)
def test_a_chart_takes_its_colours_and_its_font_from_the_page(
    draw: Callable[[Any], str], drawn: dict[Any, str]
) -> None:
    svg = drawn[draw]
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) == set(
        re.findall(r"var\(--[a-z0-9-]+, (#[0-9a-f]{6})\)", svg)
    )
    assert set(re.findall(r"font-family: ([^;\"]*)", svg)) == {"inherit"}
    assert "<style" not in svg
    assert "http" not in svg
    assert "<image" not in svg


def test_an_arm_has_one_colour_in_every_chart(drawn: dict[Any, str]) -> None:
    for draw in CHARTS:
        used = set(re.findall(r"var\(--arm-(\d)", drawn[draw]))
        # the second arm is brightened test frames: it was not trained; the first is what others differ from
        missing = {charts.training_chart: {"2"}, charts.differences_chart: {"0"}}.get(draw, set())
        assert used == {"0", "1", "2", "3"} - missing


def test_the_bars_say_their_numbers(make_report: MakeReport) -> None:
    found = texts(charts.arms_chart(make_report({"day": 0.2, "day+synthetic": 0.25}, seeds=1)))
    assert {"day", "20.0", "day+synthetic", "25.0"} <= set(found)
    differences = texts(
        charts.differences_chart(make_report({"day": 0.2, "x": 0.25}, interval=(-0.01, 0.01)))
    )
    assert {"x", "+5.0 (+4.0 to +6.0)"} <= set(differences)


def test_a_bar_is_as_long_as_its_score(make_report: MakeReport) -> None:
    svg = charts.arms_chart(make_report({"day": 0.1, "day+synthetic": 0.25}, seeds=1))
    lengths = []
    for number in (0, 1):
        (outline,) = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: var\(--arm-{number}', svg)
        across = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", outline)]
        lengths.append(max(across) - min(across))
    assert lengths[1] / lengths[0] == pytest.approx(2.5, rel=1e-3)


def test_a_category_without_boxes_is_not_drawn(drawn: dict[Any, str]) -> None:
    found = texts(drawn[charts.categories_chart])
    assert "car · 402 boxes" in found
    assert not [text for text in found if text.startswith("rider")]


def test_a_confusion_row_is_written_in_percent_of_its_own_sum(make_report: MakeReport) -> None:
    report = make_report({"day": 0.2})
    report["categories"] = ["car"]
    report["arms"][0]["confusion"] = [[30, 10], [7, 0]]
    numbers = [text for text in texts(charts.confusion_chart(report, report["arms"][0])) if text.isdigit()]
    assert numbers == ["75", "25", "100"]


def test_a_confusion_row_without_boxes_stays_empty(make_report: MakeReport) -> None:
    report = make_report({"day": 0.2})
    report["categories"] = ["car"]
    report["arms"][0]["confusion"] = [[0, 0], [7, 0]]
    numbers = [text for text in texts(charts.confusion_chart(report, report["arms"][0])) if text.isdigit()]
    assert numbers == ["100"]


def test_each_loss_has_a_chart(make_report: MakeReport) -> None:
    assert list(charts.loss_charts(make_report({"day": 0.2}, seeds=1))) == [
        "box_loss",
        "cls_loss",
        "dfl_loss",
    ]


def test_nothing_to_draw_is_an_empty_string(make_report: MakeReport) -> None:
    report = make_report({"day": 0.2}, has_histories=False)
    report["arms"][0] |= {
        "pr_curve": None,
        "confusion": [],
        "by_category": {},
        "by_size": {},
        "by_brightness": {},
    }
    report["arms"][0]["scores"]["map50"] = {"mean": None, "sd": None}
    assert [draw(report) for draw in CHARTS] == [""] * len(CHARTS)
    assert charts.confusion_chart(report, report["arms"][0]) == ""
    assert charts.loss_charts(report) == {}


def test_an_early_stop_and_a_missing_validation_shorten_a_line_only(make_report: MakeReport) -> None:
    report = make_report({"day": 0.2}, seeds=2)
    del report["arms"][0]["history"][1][3:]
    report["arms"][0]["history"][0][5]["validation"] = None
    assert charts.training_chart(report)


def test_more_arms_than_colours_are_still_told_apart(make_report: MakeReport) -> None:
    svg = charts.curves_chart(make_report({f"arm-{number}": 0.2 for number in range(10)}))
    assert len(re.findall(r"stroke-dasharray", svg)) >= 2


@pytest.mark.parametrize(
    "name",
    [
        '</text><script>alert(1)</script>"><img src=x onerror=alert(1)>',
        r"$\frac{$ 100% & #0072b2",
        "夜の街 a\x00b\u202ec\ud800 line\nbreak",
        "long " * 99,
    ],
)
def test_a_hostile_name_is_only_text(make_report: MakeReport, name: str) -> None:
    report = make_report({"day": 0.2, name: 0.25}, seeds=1)
    report["categories"][0] = name
    report["test"]["boxes_by_category"][name] = 5
    for arm in report["arms"]:
        arm["by_category"][name] = arm["by_category"].pop("car")
    confusion = charts.confusion_chart(report, report["arms"][1])
    for svg in (*(draw(report) for draw in CHARTS), confusion):
        assert {element.tag for element in parsed(svg).iter()} <= {
            "svg",
            "g",
            "defs",
            "path",
            "use",
            "text",
            "clipPath",
            "rect",
        }
        assert svg.encode()
    shown = name.replace("\x00", "?").replace("\u202e", "?").replace("\ud800", "?").replace("\n", " ")
    assert any(text and shown.startswith(text.rstrip("…")) for text in texts(charts.arms_chart(report))[1:])
