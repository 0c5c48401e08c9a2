"""The page stands alone, treats names as text, and has something to say about every kind of experiment."""

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image

from workers.report.page import breakable, duration, generator_of, render_page

MakeReport = Callable[..., dict[str, Any]]


INLINE = {"strong", "code"}


class Reader(HTMLParser):
    """What a browser would make of a page: its tags, its links, its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self._text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "wbr":
            return
        self.tags.append(tag)
        self._open.append(tag)
        self._text.append("" if tag in INLINE else " ")
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self._text.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self._text).split())

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def page(a_report: dict[str, Any]) -> str:
    """Of an experiment of four arms and three seeds, with one picture."""
    return render_page(a_report, {"n_0042.jpg": jpeg()})


@pytest.fixture(scope="module")
def usual(page: str) -> Reader:
    return Reader(page)


def test_the_page_asks_nothing_of_any_host_and_runs_nothing(page: str, usual: Reader) -> None:
    reader = usual
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "://" not in page
    assert all(value.startswith("#") for value in reader.values("href") + reader.values("xlink:href"))
    assert [value[:23] for value in reader.values("src")] == ["data:image/jpeg;base64,"]
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in reader.values("content")


def test_the_verdict_comes_first_and_every_part_has_its_place(page: str, usual: Reader) -> None:
    sections = [name for name in usual.ids if f'<section id="{name}"' in page]
    assert sections == [
        "arms",
        "categories",
        "groups",
        "curves",
        "confusion",
        "training",
        "frames",
        "data",
        "leakage",
        "method",
        "limits",
    ]
    assert page.index("an invented sentence.") < page.index('<section id="arms"')
    assert {f"#{name}" for name in sections} <= set(usual.values("href"))


def test_links_inside_the_page_lead_somewhere(usual: Reader) -> None:
    targets = usual.values("href") + usual.values("xlink:href")
    assert {target.removeprefix("#") for target in targets} <= set(usual.ids)


def test_the_table_of_arms_has_scores_differences_and_the_gap(usual: Reader) -> None:
    number = r"\d+\.\d ± \d\.\d"
    assert re.search(
        rf"day\+synthetic 664 22\.1 ± 1\.1 {number} {number} {number} \+3\.1 \+1\.2 to \+5\.0 58 % 18 % to",
        usual.text,
    )
    assert re.search(rf"day baseline 332 19\.0 ± 0\.2 {number} {number} {number} – –", usual.text)


def test_a_category_without_boxes_is_absent(usual: Reader) -> None:
    assert "rider 0 absent from the test set" in usual.text


@pytest.mark.parametrize(
    "name", ["</style><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }} a&amp;b"]
)
def test_a_hostile_name_is_only_text(usual: Reader, make_report: MakeReport, name: str) -> None:
    report = make_report({"day": 0.2, name: 0.25}, seeds=1)
    report |= {"name": name, "verdict": name, "command": name, "ignored_categories": [name]}
    report["frames"] = [{"name": name, "spread": 0.5}]
    report["leakage"] |= {"identical": [{"test": name, "other": name, "data": name}], "insisted": True}
    report["test"] |= {"name": name, "selection": {name: [name]}}
    report["arms"][1]["parts"][0] |= {"dataset": name, "card": {"licence": name, "generator": name}}
    for arm in report["arms"]:
        for seed in arm["history"]:
            seed[0]["losses"][name] = 1.0
    page = render_page(report, {name: jpeg()})
    reader = Reader(page)
    assert set(reader.tags) <= set(usual.tags)
    assert {attribute for attribute, _ in reader.attributes} <= {
        attribute for attribute, _ in usual.attributes
    }
    assert reader.text.count(name) >= 8


def test_what_cannot_be_written_is_replaced(make_report: MakeReport) -> None:
    report = make_report({"day": 0.2, "a\ud800\u202eb": 0.25}, has_histories=False)
    page = render_page(report, {})
    assert "a??b" in page.encode().decode()


def test_one_arm_and_one_seed_make_a_page_without_comparisons(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19}, seeds=1, has_histories=False)
    text = Reader(render_page(report, {})).text
    assert "Over day" not in text
    assert "Gap closed" not in text
    assert "of one seed, so without a spread" in text
    assert "No training history was kept." in text
    assert "None: there is one arm." in text
    assert " ± " not in text


def test_a_report_without_curves_matrices_and_groups_still_makes_a_page(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19, "day+synthetic": 0.2}, interval=None, upper_bound=None)
    for arm in report["arms"]:
        arm |= {"pr_curve": None, "confusion": [], "by_category": {}, "by_size": {}, "by_brightness": {}}
    report["training"] |= {"pretraining": None, "learning_rate": None, "budget": "epochs"}
    text = Reader(render_page(report, {})).text
    assert "No curves were kept." in text
    assert "No confusion matrices were kept." in text
    assert "Every arm was trained for 15 epochs: an arm with more frames got more gradient steps." in text
    assert "Gap closed" not in text


def test_the_budget_is_stated(usual: Reader) -> None:
    assert "Every arm was trained for the same 300 gradient steps" in usual.text
    assert "All started from one detector, trained before for 3,000 steps on day (332 frames)." in usual.text


def test_a_clean_test_set_is_said_to_be_one(usual: Reader) -> None:
    assert "None found: none of the 243 test frames" in usual.text


def test_an_overlap_is_listed(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19}, seeds=1, has_histories=False)
    report["leakage"] = {
        "frames_compared": 1064,
        "identical": [{"test": "a.jpg", "other": "b.jpg", "data": "day"}],
        "near_duplicates": [{"test": "c.jpg", "other": "d.jpg", "data": "night", "changed_cells": 3}],
        "insisted": True,
    }
    text = Reader(render_page(report, {})).text
    assert "Also trained or validated on: 2 test frames." in text
    assert "a.jpg b.jpg day the same bytes" in text
    assert "c.jpg d.jpg night looks the same (3 of 1024 places differ)" in text


def test_only_frames_with_a_picture_are_shown(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19}, seeds=1, has_histories=False)
    report["frames"] = [{"name": "shown.jpg", "spread": 1.5}, {"name": "missing.jpg", "spread": 1.0}]
    reader = Reader(render_page(report, {"shown.jpg": jpeg()}))
    assert "shown.jpg · spread 1.50" in reader.text
    assert "missing.jpg" not in reader.text
    assert reader.tags.count("img") == 1


def test_data_are_shown_with_counts_hash_generator_and_licence(usual: Reader) -> None:
    synthetic = (
        "synthetic street synthetic ds-synthetic 332 1 camera-night:1 weights 5c5c5c5c5c5c CC BY-NC-SA 4.0"
    )
    assert f"{synthetic} abababababab" in usual.text
    assert "the detector of day, shown test frames brightened by enlightengan-night2day:1" in usual.text


def test_few_units_and_skipped_resamples_are_among_the_limits(make_report: MakeReport) -> None:
    report = make_report({"day": 0.19, "synthetic": 0.2, "day+night": 0.24}, has_histories=False)
    report["gap_closed"][0]["skipped"] = 17
    text = Reader(render_page(report, {})).text
    assert "24 test scenes: with so few, the intervals themselves are rough" in text
    assert "In 17 resamples day+night was no better than day" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (4325.0, "72 min"),
        (5460, "1 h 31 min"),
        (7200, "2 h 0 min"),
        (None, "–"),
    ],
)
def test_a_duration_is_written_as_people_say_it(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_generator_is_named_with_its_version() -> None:
    assert generator_of({"generator": {"name": "cut-night", "version": 2}}) == "cut-night:2"
    assert generator_of({"generator": "cut-night:2"}) == "cut-night:2"
    assert generator_of({"licence": "x"}) is generator_of(None) is None


def test_a_long_name_may_break_at_its_joints_and_stays_escaped() -> None:
    assert breakable("day+<b>") == "day+<wbr>&lt;b&gt;"
