"""Counts as bars: nothing is lost, and what has no number is not drawn."""

from hypothesis import given
from hypothesis import strategies as st

from service.web.datasets.charts import SHOWN_CATEGORIES, charts_of

WORDS = st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 10**6), max_size=40)


@given(categories=WORDS, times=WORDS)
def test_every_count_is_in_a_chart_once(categories: dict[str, int], times: dict[str, int]) -> None:
    charts = {chart.title: chart for chart in charts_of({"categories": categories, "timeofday": times})}
    for title, counted in (("Boxes by category", categories), ("Frames by time of day", times)):
        chart = charts.get(title)
        shown = [] if chart is None else [*chart.bars, *chart.others]
        assert sorted(shown) == sorted(counted.items())


def test_the_commonest_categories_come_first_and_the_rest_on_demand() -> None:
    counted = {f"c{number:02}": number for number in range(1, 31)}
    (chart,) = charts_of({"categories": counted})
    assert len(chart.bars) == SHOWN_CATEGORIES
    assert chart.bars[0] == ("c30", 30)
    assert min(number for _, number in chart.bars) > max(number for _, number in chart.others)


def test_times_and_splits_stand_in_the_order_of_a_day_and_of_a_training() -> None:
    times = {"untagged": 1, "night": 2, "noon": 3, "daytime": 4}
    by_time, by_split = charts_of({"timeofday": times, "splits": {"test": 1, "val": 1, "train": 1}})
    assert [word for word, _ in by_time.bars] == ["daytime", "night", "untagged", "noon"]
    assert [word for word, _ in by_split.bars] == ["train", "val", "test"]


def test_brightness_is_shown_from_the_darkest_to_the_brightest_tenth_there_is() -> None:
    (chart,) = charts_of({"brightness": [0, 3, 0, 5, 0, 0, 0, 0, 0, 0]})
    assert chart.bars == [("10–20 %", 3), ("20–30 %", 0), ("30–40 %", 5)]


def test_a_dataset_of_an_earlier_version_has_fewer_charts() -> None:
    assert charts_of({"frames": 3, "boxes": 0, "brightness": [0] * 10, "box_sizes": {"small": 0}}) == []
