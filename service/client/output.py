"""What the command prints: tables and sentences for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.api.views import DatasetView

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
SHOWN_FINDINGS = 12


def print_json(value: Any) -> None:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif isinstance(value, list):
        value = [item.model_dump(mode="json") if isinstance(item, BaseModel) else item for item in value]
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)


def print_dataset(dataset: DatasetView, console: Console = out) -> None:
    counts = dataset.counts
    what = f"{dataset.format or 'unread'}, {dataset.state}"
    console.print(f"Dataset [bold]{dataset.id}[/bold] ({escape(dataset.name)}), {what}", soft_wrap=True)
    if not counts:
        return
    console.print(
        f"  {counts['frames']} frames, {counts['boxes']} boxes, {counts['unlabelled']} frames without labels"
    )
    for name in ("splits", "timeofday", "categories"):
        console.print(f"  {name}: {escape(_listed(counts[name]))}", soft_wrap=True)
    if counts.get("findings"):
        console.print(
            f"  found: {escape(_listed(counts['findings']))}   (nightshift report {dataset.id})",
            soft_wrap=True,
        )


def print_report(report: Mapping[str, Any]) -> None:
    totals = report["totals"]
    out.print(f"Findings: {escape(_listed(totals)) if totals else 'none'}")
    rows = [
        (
            finding["severity"],
            finding["code"],
            _place(finding),
            f"{finding['message']} {finding['cure']}".strip(),
        )
        for finding in report["findings"]
    ]
    print_table(["severity", "code", "where", "what"], rows[:SHOWN_FINDINGS])
    if len(rows) > SHOWN_FINDINGS:
        out.print(f"… and {sum(totals.values()) - SHOWN_FINDINGS} more; all of them with --json")


def _place(finding: Mapping[str, Any]) -> str:
    return f"{finding['path']}{' ' + finding['pointer'] if finding['pointer'] else ''}"


def _listed(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered)
