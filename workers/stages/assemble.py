"""The finished shards become a dataset: counts, card, report, and last of all the manifest."""

import json
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import chain
from typing import Any

from models.metrics.quality import quality
from models.metrics.reference import bundled_reference
from service.datasets.dataset import Finding, Severity
from service.datasets.manifest import ManifestEntry
from service.datasets.yolo import write_data_yaml
from service.errors import DatasetRejected
from service.jobs.job import JobKind
from service.jobs.report import Report
from service.jobs.results import read_results
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import source_image, write_json
from workers.contact_sheet import contact_sheet
from workers.context import Bench, Outcome, ShardTask
from workers.counts import Counts
from workers.resident_meter import MEASURED, merged, resident_meter

SHEET_PAIRS = 6
BDD100K_LICENCE = (
    "BDD100K data: education, research, not-for-profit; commercial use for its Commons members only"
)


def assemble_dataset(task: ShardTask, bench: Bench) -> Outcome:
    """Raises:
    DatasetRejected: no frame is left, or `strict` was asked for and something was found.
    """
    store, dataset_id = bench.store, str(task.result_id)
    report, counts = _tally(task, store)
    rejected = report.count(Severity.ERROR)
    facts = {"kind": str(task.kind), "counts": counts.to_json(), **_quality(task, store)}
    write_json(store, keys.report(task.job_id), report.to_json(**facts))
    _refuse(task, counts, rejected)
    known = task.job_outcome if "categories" in task.job_outcome else task.spec
    categories: list[str] = known["categories"]
    store.write(keys.data_yaml(dataset_id), write_data_yaml(categories, sorted(counts.splits)).encode())
    if task.kind is JobKind.TRANSLATION:
        _write_contact_sheet(task, store, counts.frames)
    card = _card(task, store, counts, report)
    write_json(store, keys.card(dataset_id), card)
    _write_manifest(task, store)  # the commit: without it the dataset does not exist
    row = {
        "size_bytes": store.size_below(keys.dataset(dataset_id)),
        "categories": categories,
        "counts": {**counts.to_json(), "findings": report.totals},
        "format": task.job_outcome.get("format") or task.spec.get("format"),
    }
    return Outcome(dataset=row, facts={"findings": report.totals})


def _tally(task: ShardTask, store: ObjectStore) -> tuple[Report, Counts]:
    report, counts = Report(), Counts()
    for item in chain(_plan_findings(task, store), _items(task, store)):
        if isinstance(item, Finding):
            report.add(item)
        else:
            counts.add(item)
    return report, counts


def _plan_findings(task: ShardTask, store: ObjectStore) -> Iterable[ManifestEntry | Finding]:
    key = keys.findings(task.plan_key)
    return read_results(store, key) if task.kind is JobKind.INGEST and store.exists(key) else ()


def _items(task: ShardTask, store: ObjectStore) -> Iterator[ManifestEntry | Finding]:
    for part in task.parts:
        yield from read_results(store, part)


def _entries(task: ShardTask, store: ObjectStore) -> Iterator[ManifestEntry]:
    return (item for item in _items(task, store) if isinstance(item, ManifestEntry))


def _refuse(task: ShardTask, counts: Counts, rejected: int) -> None:
    if counts.frames == 0:
        raise DatasetRejected(
            "empty-dataset",
            "No frame could be used.",
            "The report says why for each; mend them and try again.",
        )
    if task.spec.get("strict") and rejected:
        raise DatasetRejected(
            "strict",
            f"{rejected} findings in a dataset that was to be taken strictly.",
            "The report lists them.",
        )


def _write_manifest(task: ShardTask, store: ObjectStore) -> None:
    with store.writing(keys.manifest(str(task.result_id))) as file:
        for entry in _entries(task, store):
            file.write(entry.to_line().encode() + b"\n")


def _write_contact_sheet(task: ShardTask, store: ObjectStore, frames: int) -> None:
    wanted = {number * frames // SHEET_PAIRS for number in range(SHEET_PAIRS)}
    pairs = [
        (
            entry.frame.name,
            source_image(store, str(task.dataset_id), entry.frame),
            store.read(keys.dataset(str(task.result_id), entry.image)),
        )
        for number, entry in enumerate(_entries(task, store))
        if number in wanted
    ]
    store.write(keys.contact_sheet(task.job_id), contact_sheet(pairs))


def _card(task: ShardTask, store: ObjectStore, counts: Counts, report: Report) -> dict[str, Any]:
    """Where the dataset comes from, under which licence, how it was made and what was left out."""
    common = {
        "made_by": f"nightshift {version('nightshift')}",
        "counts": counts.to_json(),
        "findings": report.totals,
    }
    if task.kind is JobKind.INGEST:
        form = task.job_outcome["format"]
        licence = task.spec["licence"] or (BDD100K_LICENCE if form.startswith("bdd100k") else "not stated")
        options = {name: task.spec[name] for name in ("options", "exclude_suspects", "strict")}
        return {
            **common,
            "source": task.spec["source"],
            "format": form,
            "licence": licence,
            "options": options,
        }
    recipe = {name: task.spec[name] for name in ("seed", "strength", "jpeg_quality", "selection")}
    if task.spec.get("ratio") is not None:
        recipe["ratio"] = task.spec["ratio"]
    parent = _read_card(store, str(task.dataset_id))
    return {
        **common,
        **_quality(task, store),
        "source": {"dataset": task.dataset_id, "card": parent},
        "licence": parent.get("licence", "not stated"),
        "generator": task.spec["generator"],
        "recipe": recipe,
        "machine": task.job_outcome.get("machine", {}),
    }


def _quality(task: ShardTask, store: ObjectStore) -> dict[str, Any]:
    """How close a translation comes to real night, and how much of the day frames' structure it keeps."""
    if task.kind is not JobKind.TRANSLATION or not task.spec["quality_frames"]:
        return {}
    measurements = merged(store, resident_meter(store), task.parts, MEASURED)
    return {"quality": quality(measurements, bundled_reference()).to_json()}


def _read_card(store: ObjectStore, dataset_id: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(store.read(keys.card(dataset_id)))
    return card
