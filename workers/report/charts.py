"""The report's charts: the same bytes for the same numbers; a chart of nothing is an empty string.

An arm keeps its colour, that of its place in the report, everywhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from service.experiments.wording import counted, percent, point_range, points, with_spread
from workers.report.drawing import HEAT, INK, LIGHT, as_svg, colour_of, dash_of, shortened
from workers.report.verdict import METRIC


@dataclass(frozen=True, slots=True)
class Bar:
    """One arm's score in a group, in percent; `sd` is None with a single seed."""

    arm: int
    mean: float
    sd: float | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Where each arm keeps the scores of one group: `arm[table][key]`."""

    label: str
    table: str
    key: str


def arms_chart(report: Mapping[str, Any]) -> str:
    """mAP50 of each arm: mean, standard deviation, one dot a seed, and a line at the baseline."""
    rows = [
        (number, arm)
        for number, arm in enumerate(report["arms"])
        if arm["scores"][METRIC]["mean"] is not None
    ]

    def draw(axes: Axes) -> None:
        for row, (number, arm) in enumerate(rows):
            stat = arm["scores"][METRIC]
            _bar(axes, row, Bar(number, 100 * stat["mean"], _percent(stat["sd"])), height=0.42)
            seeds = [100 * seed[METRIC] for seed in arm["seeds"] if seed[METRIC] is not None]
            axes.plot(seeds, [row] * len(seeds), "o", ms=4.5, mfc="none", mec=INK, mew=1)
            _row_label(axes, row - 0.32, arm["name"], with_spread(stat))
            if arm["name"] == report["baseline"]:
                axes.axvline(100 * stat["mean"], color=INK, lw=1, ls=(0, (4, 3)))
        _rows(axes, len(rows))
        axes.set_xlim(left=0)
        axes.set_xlabel("mAP50 on the test set, %")

    return as_svg("mAP50 of each arm, mean and spread over seeds", 50 * len(rows) + 50, draw) if rows else ""


def differences_chart(report: Mapping[str, Any]) -> str:
    """What each arm gains in mAP50, with its 95 % interval, against a line at 0."""
    numbers = {arm["name"]: number for number, arm in enumerate(report["arms"])}
    rows = [row for row in report["differences"] if row["metric"] == METRIC and row["difference"] is not None]

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=INK, lw=1)
        for row, found in enumerate(rows):
            colour, text = colour_of(numbers[found["arm"]]), points(found["difference"])
            if found["interval"] is not None:
                low, high = (100 * bound for bound in found["interval"])
                axes.plot([low, high], [row, row], color=colour, lw=3, solid_capstyle="round")
                text = f"{text} ({point_range(found['interval'])})"
            axes.plot([100 * found["difference"]], [row], "o", ms=9, color=colour)
            _row_label(axes, row - 0.32, found["arm"], text)
        _rows(axes, len(rows))
        axes.set_xlabel("difference in mAP50, points")

    title = "difference in mAP50 of each arm from its baseline, with 95 % intervals"
    return as_svg(title, 50 * len(rows) + 50, draw) if rows else ""


def categories_chart(report: Mapping[str, Any]) -> str:
    """AP50 of each arm, category by category; those without a test box are left out."""
    counts = report["test"]["boxes_by_category"]
    groups = [
        Group(f"{category} · {counted(counts.get(category, 0), 'box')}", "by_category", category)
        for category in report["categories"]
    ]
    return _grouped(report, groups, "ap50", "AP50, %", "AP50 of each arm by category")


def sizes_chart(report: Mapping[str, Any]) -> str:
    return _grouped(report, _groups(report, "by_size"), METRIC, "mAP50, %", "mAP50 by box size")


def brightness_chart(report: Mapping[str, Any]) -> str:
    title = "mAP50 by brightness of the box region"
    return _grouped(report, _groups(report, "by_brightness"), METRIC, "mAP50, %", title)


def curves_chart(report: Mapping[str, Any]) -> str:
    """Precision over recall at IoU 0.5, mean over categories and seeds."""
    curves = [(number, arm["pr_curve"]) for number, arm in enumerate(report["arms"]) if arm["pr_curve"]]

    def draw(axes: Axes) -> None:
        for number, curve in curves:
            axes.plot(curve["recall"], curve["precision"], color=colour_of(number), ls=dash_of(number), lw=2)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")

    title = "precision over recall at IoU 0.5, one line an arm"
    return as_svg(title, 320, draw, left_px=54) if curves else ""


def confusion_chart(report: Mapping[str, Any], arm: Mapping[str, Any]) -> str:
    """Rows are the truth and add up to 100 %; the last row is what was seen where nothing is."""
    matrix = arm["confusion"]
    names = [shortened(name, 16) for name in [*report["categories"], "background"]]
    cell_px = min(48, max(26, 330 // len(names)))

    def draw(axes: Axes) -> None:
        for row, counts in enumerate(matrix):
            total = sum(counts)
            for column, count in enumerate(counts if total else ()):
                _cell(axes, row, column, count / total, is_written=len(names) <= 14)
        _matrix_axes(axes, names)

    title = f"confusion matrix of {arm['name']}, row by row in percent"
    longest_px = 7 * max(map(len, names))
    bottom_px = 40 + 0.65 * longest_px  # names stand aslant
    height_px = cell_px * len(names) + bottom_px
    return as_svg(title, height_px, draw, longest_px + 32, bottom_px) if matrix else ""


def training_chart(report: Mapping[str, Any]) -> str:
    """mAP50 on the validation frames after each epoch."""
    return _history_chart(
        report, "validation mAP50, %", lambda epoch: _percent(_of(epoch["validation"], METRIC))
    )


def loss_charts(report: Mapping[str, Any]) -> dict[str, str]:
    """One chart for each loss that the detector reports."""
    epochs = [epoch for arm in report["arms"] for seed in arm["history"] for epoch in seed]
    names = dict.fromkeys(name for epoch in epochs for name in epoch["losses"] or ())
    drawn = {name: _history_chart(report, name, partial(_loss, name), height_px=230) for name in names}
    return {name: chart for name, chart in drawn.items() if chart}


def _history_chart(
    report: Mapping[str, Any], label: str, value: Callable[[Any], float | None], height_px: int = 320
) -> str:
    """One line an arm, the mean of its seeds, in a band from the lowest to the highest."""
    arms = ((number, _by_epoch(arm["history"], value)) for number, arm in enumerate(report["arms"]))
    lines = [(number, line) for number, line in arms if line]

    def draw(axes: Axes) -> None:
        for number, line in lines:
            colour, epochs, values = colour_of(number), list(line), list(line.values())
            axes.fill_between(
                epochs, [*map(min, values)], [*map(max, values)], color=colour, alpha=0.18, lw=0
            )
            marker = "o" if len(epochs) == 1 else ""
            axes.plot(epochs, [*map(fmean, values)], color=colour, ls=dash_of(number), lw=2, marker=marker)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=shortened(label, 30))

    return as_svg(f"{label} by epoch, one line an arm", height_px, draw, left_px=54) if lines else ""


def _by_epoch(
    history: Sequence[Sequence[Any]], value: Callable[[Any], float | None]
) -> dict[int, list[float]]:
    """Values of the seeds that reached each epoch: an early stop ends a seed's part."""
    found: dict[int, list[float]] = {}
    for epoch in chain.from_iterable(history):
        number = value(epoch)
        if number is not None:
            found.setdefault(epoch["epoch"], []).append(number)
    return dict(sorted(found.items()))


def _groups(report: Mapping[str, Any], table: str) -> list[Group]:
    names = dict.fromkeys(name for arm in report["arms"] for name in arm[table])
    boxes = {name: max(_entry(arm, table, name).get("boxes", 0) for arm in report["arms"]) for name in names}
    return [Group(f"{name} · {counted(boxes[name], 'box')}", table, name) for name in names]


def _grouped(report: Mapping[str, Any], groups: Sequence[Group], metric: str, label: str, title: str) -> str:
    found = [(group.label, list(_bars(report, group, metric))) for group in groups]
    shown = [(name, bars) for name, bars in found if bars]
    lines = sum(len(bars) + 1.9 for _, bars in shown)

    def draw(axes: Axes) -> None:
        top = 0.0
        for name, bars in shown:
            _row_label(axes, top + 0.85, name, "")
            for number, bar in enumerate(bars):
                _bar(axes, top + 1.45 + number, bar, height=0.8)
            top += len(bars) + 1.9
        axes.set_ylim(top - 0.3, -0.3)
        axes.set_yticks([])
        _room_for_numbers(axes, [bar for _, bars in shown for bar in bars])
        axes.set_xlabel(label)

    return as_svg(title, 14 * lines + 50, draw) if shown else ""


def _bars(report: Mapping[str, Any], group: Group, metric: str) -> Iterator[Bar]:
    for number, arm in enumerate(report["arms"]):
        entry = _entry(arm, group.table, group.key)
        stat = entry.get(metric)
        if entry.get("boxes") and stat and stat["mean"] is not None:
            yield Bar(number, 100 * stat["mean"], _percent(stat["sd"]), percent(stat["mean"]))


def _entry(arm: Mapping[str, Any], table: str, key: str) -> Mapping[str, Any]:
    return arm[table].get(key) or {}


def _loss(name: str, epoch: Mapping[str, Any]) -> float | None:
    return _of(epoch["losses"], name)


def _of(numbers: Mapping[str, float | None] | None, name: str) -> float | None:
    return (numbers or {}).get(name)


def _percent(score: float | None) -> float | None:
    return None if score is None else 100 * score


def _bar(axes: Axes, at: float, bar: Bar, height: float) -> None:
    strength = 0.85 if bar.arm < len(LIGHT) else 0.45  # a ninth arm has the first one's colour, paler
    axes.barh(at, bar.mean, height, color=colour_of(bar.arm), alpha=strength, lw=0)
    if bar.sd is not None:
        ends = [max(0.0, bar.mean - bar.sd), bar.mean + bar.sd]
        axes.plot(ends, [at, at], color=INK, lw=1.2, marker="|", ms=6, mew=1.2)
    if bar.text:
        end = bar.mean + (bar.sd or 0)
        axes.annotate(bar.text, (end, at), (6, 0), textcoords="offset points", va="center", fontsize=10.5)


def _room_for_numbers(axes: Axes, bars: Sequence[Bar]) -> None:
    """The number behind the longest bar needs a tenth of the width."""
    longest = max(bar.mean + (bar.sd or 0) for bar in bars)
    axes.set_xlim(0, 1.12 * longest or 1)


def _rows(axes: Axes, count: int) -> None:
    axes.set_ylim(count - 0.6, -0.78)
    axes.set_yticks([])


def _row_label(axes: Axes, at: float, name: str, value: str) -> None:
    """Above its bar, so that a long name takes no room from the bars."""
    across = axes.get_yaxis_transform()
    axes.text(0.005, at, shortened(name), transform=across, va="bottom", fontsize=12)
    axes.text(0.995, at, value, transform=across, va="bottom", ha="right", fontsize=12, fontweight="bold")


def _cell(axes: Axes, row: int, column: int, portion: float, is_written: bool) -> None:
    # Never quite solid: the number must be legible on it, by day and by night.
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fc=HEAT, alpha=0.6 * portion, lw=0))
    if is_written and portion >= 0.005:
        axes.text(column, row, f"{100 * portion:.0f}", ha="center", va="center", fontsize=11)


def _matrix_axes(axes: Axes, names: Sequence[str]) -> None:
    axes.grid(visible=False)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), xlabel="predicted", ylabel="truth")
    axes.tick_params(length=0)
