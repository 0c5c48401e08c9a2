"""What the command prints: tables and sentences for people, JSON for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.api.views import DatasetView, GeneratorView
from service.wording import printable

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
SHOWN_FINDINGS = 12
FIGURES = {
    "kid": ("KID", "distance to the reference; 0 is the same distribution"),
    "fid": ("FID", "the same, better known and more biased for few frames"),
    "niqe": ("NIQE", "distance from pristine night frames; lower is more natural"),
    "share_night": ("called night", "share of the frames that a day/night classifier calls night"),
    "gradient_similarity_inside": ("gradients in boxes", "how much of the objects' edges is kept, 0 to 1"),
    "gradient_similarity_outside": ("gradients outside", "the same for everything else"),
}


def shown_text(text: Any) -> str:
    """Other people's text as it may stand in marked-up text: it neither colours nor moves anything."""
    return escape(one_line(text))


def one_line(text: Any) -> str:
    return printable(" ".join(str(text).splitlines()))


def print_json(value: Any) -> None:
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], console: Console = out) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(shown_text(str(cell)) for cell in row))
    console.print(table)


def print_dataset(dataset: DatasetView, console: Console = out) -> None:
    counts = dataset.counts
    what = f"{dataset.format or 'unread'}, {dataset.state}"
    console.print(f"Dataset [bold]{dataset.id}[/bold] ({shown_text(dataset.name)}), {what}", soft_wrap=True)
    if not counts:
        return
    console.print(
        f"  {counts['frames']} frames, {counts['boxes']} boxes, {counts['unlabelled']} frames without labels"
    )
    for name in ("splits", "timeofday", "categories"):
        console.print(f"  {name}: {shown_text(_listed(counts[name]))}", soft_wrap=True)
    if counts.get("findings"):
        console.print(
            f"  found: {shown_text(_listed(counts['findings']))}   (nightshift report {dataset.id})",
            soft_wrap=True,
        )


def print_report(report: Mapping[str, Any]) -> None:
    totals = report["totals"]
    out.print(f"Findings: {shown_text(_listed(totals)) if totals else 'none'}")
    rows = [
        (
            finding["severity"],
            finding["code"],
            _place(finding),
            f"{finding['message']} {finding['cure']}".strip(),
        )
        for finding in report["findings"]
    ]
    if rows:
        print_table(["severity", "code", "where", "what"], rows[:SHOWN_FINDINGS])
    if "quality" in report:
        print_quality(report["quality"])
    if len(rows) > SHOWN_FINDINGS:
        out.print(f"… and {sum(totals.values()) - SHOWN_FINDINGS} more; all of them with --json")


def print_quality(quality: Mapping[str, Any], console: Console = out) -> None:
    """The figures of a dataset, with what each means."""
    whom = f"{quality['reference_frames']} of {quality['reference']}" if quality["reference"] else "none"
    heading = f"{quality['frames']} frames, compared with {whom}; features of {quality['backbone']}"
    console.print(shown_text(heading), soft_wrap=True)
    rows = [(name, _figure(quality[key]), meaning) for key, (name, meaning) in FIGURES.items()]
    for key, name in (("brightness", "brightness"), ("noise", "noise")):
        spread = quality[key]
        if spread["median"] is not None:
            text = f"{spread['median']:.1f}  ({spread['p5']:.1f} to {spread['p95']:.1f})"
            rows.append((name, text, "median of 255, and the range of 90 %"))
    print_table(["figure", "value", "what it says"], rows, console)


def print_experiment(report: Mapping[str, Any], console: Console = out) -> None:
    """The verdict, then each arm: its mean over the seeds and how far it is from the baseline."""
    console.print(shown_text(str(report["verdict"])), soft_wrap=True)
    gained = {each["arm"]: each for each in report["differences"] if each["metric"] == "map50"}
    closed = {each["arm"]: each for each in report["gap_closed"]}
    rows = [
        (
            arm["name"],
            arm["frames"],
            _spread(arm["scores"]["map50"]),
            _spread(arm["scores"]["map50_95"]),
            _points(gained.get(arm["name"])),
            _share(closed.get(arm["name"])),
        )
        for arm in report["arms"]
    ]
    console.print(
        f"Baseline: {shown_text(str(report['baseline']))}. In per cent, 95 % intervals in brackets."
    )
    columns = ["arm", "frames", "night mAP50", "mAP50-95", "mAP50 beside baseline", "gap closed"]
    print_table(columns, rows, console)


def print_card(card: GeneratorView, console: Console = out) -> None:
    """What a user wants to know of a generator before using it."""
    rows = [
        ("what it is", card.title),
        ("direction", card.direction),
        ("architecture", " ".join([card.architecture, *(f"{k}={v}" for k, v in card.config.items())])),
        ("paper", card.paper),
        ("trained on", card.training_data),
        ("licence", card.licence),
        ("weights", f"sha256 {card.weights_sha256}" if card.weights_sha256 else "none"),
    ]
    table = Table(
        box=None, pad_edge=False, show_header=False, title=shown_text(card.reference), title_justify="left"
    )
    for name, text in rows:
        table.add_row(name, shown_text(text))
    console.print(table)
    measured = list(_measured(card.quality, ""))
    if measured:
        columns = list(dict.fromkeys(name for _, figures in measured for name in figures))
        rows = [(what, *(figures.get(name, "") for name in columns)) for what, figures in measured]
        print_table(["measured", *(name.replace("_", " ") for name in columns)], rows, console)


def _measured(quality: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The sets of figures on a card, each with what it is of."""
    if "frames" in quality:
        yield path, quality
        return
    for name, inner in quality.items():
        if isinstance(inner, Mapping):
            yield from _measured(inner, f"{path}, {name}" if path else name)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _spread(score: Mapping[str, Any]) -> str:
    if score["mean"] is None:
        return "none"
    return f"{100 * score['mean']:.1f}" + (f" ± {100 * score['sd']:.1f}" if score["sd"] is not None else "")


def _points(difference: Mapping[str, Any] | None) -> str:
    if difference is None or difference["difference"] is None:
        return ""
    return f"{100 * difference['difference']:+.1f}{_interval(difference['interval'], '+.1f')}"


def _share(gap: Mapping[str, Any] | None) -> str:
    if gap is None or gap["value"] is None:
        return ""
    return f"{100 * gap['value']:.0f}{_interval(gap['interval'], '.0f')}"


def _interval(interval: Sequence[float] | None, form: str) -> str:
    return "" if interval is None else f" [{' to '.join(format(100 * end, form) for end in interval)}]"


def _figure(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return f"none: {figure['reason']}"
    error = figure.get("standard_error")
    return f"{figure['value']:.4g}" + (f" ± {error:.2g}" if error is not None else "")


def _place(finding: Mapping[str, Any]) -> str:
    return f"{finding['path']}{' ' + finding['pointer'] if finding['pointer'] else ''}"


def _listed(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered)
