"""The report in Markdown, short enough to paste into a pull request."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from service.experiments.wording import (
    counted,
    point_range,
    points,
    printable,
    share,
    size_of_test,
    with_spread,
)
from workers.report.verdict import difference_of, gap_of


def render_summary(report: Mapping[str, Any]) -> str:
    sections = (
        f"# {escaped(report['name'])}",
        f"**{escaped(report['verdict'])}**",
        _table(_arm_rows(report)),
        _scores_note(report),
        "## AP50 by category",
        _table(_category_rows(report)),
        "## How it was done",
        "\n".join(f"- {line}" for line in _settings(report)),
        "To repeat it:",
        _code(report["command"]),
    )
    return "\n\n".join(sections) + "\n"


def escaped(text: str) -> str:
    """Text in which Markdown and HTML find nothing to act on, on one line."""
    line = " ".join(printable(str(text)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", line)


def _arm_rows(report: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    yield ("Arm", "Frames", "mAP50", "mAP50-95", "Precision", "Recall", "Over baseline", "Gap closed")
    for arm in report["arms"]:
        name = escaped(arm["name"])
        scores = (with_spread(arm["scores"][key]) for key in ("map50", "map50_95", "precision", "recall"))
        role = " (baseline)" if arm["name"] == report["baseline"] else ""
        yield (
            f"{name}{role}",
            f"{arm['frames']:,}",
            *scores,
            _gain(report, arm["name"]),
            _gap(report, arm["name"]),
        )


def _gain(report: Mapping[str, Any], arm: str) -> str:
    found = difference_of(report, arm)
    if found is None or found["difference"] is None:
        return "–"
    interval = f" ({point_range(found['interval'])})" if found["interval"] else ""
    return points(found["difference"]) + interval


def _gap(report: Mapping[str, Any], arm: str) -> str:
    gap = gap_of(report, arm)
    if gap is None or gap["value"] is None:
        return "–"
    interval = f" ({share(gap['interval'][0])} to {share(gap['interval'][1])})" if gap["interval"] else ""
    return share(gap["value"]) + interval


def _category_rows(report: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    yield ("Category", "Test boxes", *(escaped(arm["name"]) for arm in report["arms"]))
    for category in report["categories"]:
        boxes = report["test"]["boxes_by_category"].get(category, 0)
        scores = (_category_score(arm, category) if boxes else "absent" for arm in report["arms"])
        yield (escaped(category), f"{boxes:,}", *scores)


def _category_score(arm: Mapping[str, Any], category: str) -> str:
    return with_spread(arm["by_category"].get(category, {}).get("ap50"))


def _scores_note(report: Mapping[str, Any]) -> str:
    seeds = len(report["seeds"])
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed, so without a spread"
    unit = report["test"]["unit"]
    return (
        f"Scores in percent: {spread}. Over baseline: points of mAP50 with the 95 % interval of a paired"
        f" bootstrap over test {unit}s. A category without a test box is absent and in no mean."
    )


def _settings(report: Mapping[str, Any]) -> Iterator[str]:
    training, test, hardware = report["training"], report["test"], report["hardware"]
    detector = escaped(report["detector"]["name"])
    yield f"Detector {detector}, batch {training['batch']}, {training['image_px']} px"
    if training["budget"] == "steps":
        yield f"Every arm was trained for the same {counted(training['steps'], 'gradient step')}"
    else:
        yield f"Every arm was trained for {counted(training['epochs'], 'epoch')}"
    if training["pretraining"]:
        first = training["pretraining"]
        yield (
            f"All started from one detector, trained for {counted(first['steps'], 'step')} on"
            f" {escaped(first['data'])} ({counted(first['frames'], 'frame')})"
        )
    yield f"Seeds {', '.join(map(str, report['seeds']))}"
    yield f"Test set {escaped(test['name'])}: {size_of_test(report)}, {counted(test['boxes'], 'box')}"
    yield f"Leakage: {_leakage(report)}"
    yield f"{escaped(hardware['processor'])}, torch {escaped(hardware['torch'])}"


def _leakage(report: Mapping[str, Any]) -> str:
    leakage = report["leakage"]
    if not (leakage["identical"] or leakage["near_duplicates"]):
        return f"none found in {counted(leakage['frames_compared'], 'frame')}"
    pairs = len(leakage["identical"]) + len(leakage["near_duplicates"])
    return f"{counted(pairs, 'pair')} of a test frame and a frame of training or validation"


def _table(rows: Iterable[Sequence[str]]) -> str:
    head, *body = rows
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def _code(text: str) -> str:
    """A block whose fence is longer than any run of backticks inside."""
    text = printable(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
