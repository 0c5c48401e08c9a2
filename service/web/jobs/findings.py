"""What a job has found so far, a page at a time: the report's list, or what its finished parts say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from service.api.dependencies import Services
from service.datasets.dataset import Severity
from service.errors import ObjectNotFound
from service.jobs.job import Job, JobKind, ShardState, Stage
from service.jobs.report import finding_to_json
from service.jobs.results import read_findings
from service.storage import keys

PAGE_LENGTH = 50
# What is left out before what was kept.
ORDER = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Findings:
    """Some of them, from `start` on. `following` is where the next page starts; `total` is None while the
    job runs, as only its end counts them. `severities` likewise."""

    rows: list[dict[str, Any]]
    start: int = 0
    following: int | None = None
    total: int | None = None
    severities: Mapping[str, int] = field(default_factory=dict)


def findings(here: Services, job: Job, start: int = 0) -> Findings:
    report = _report(here, job)
    if report is None:
        return _so_far(here, job, start)
    rows = sorted(report["findings"], key=lambda finding: ORDER.index(finding["severity"]))
    stop = start + PAGE_LENGTH
    return Findings(
        rows[start:stop],
        start,
        stop if stop < len(rows) else None,
        sum(report["totals"].values()),
        {name: count for name, count in report.get("severities", {}).items() if count},
    )


def _report(here: Services, job: Job) -> dict[str, Any] | None:
    if not job.is_final:
        return None
    try:
        report: dict[str, Any] = json.loads(here.store.read(keys.report(job.id)))
    except ObjectNotFound:
        return None
    return report if "findings" in report and "totals" in report else None


def _so_far(here: Services, job: Job, start: int) -> Findings:
    """One more than the page is looked for: it says whether there is another."""
    rows = list(islice(_rows(here, job), start, start + PAGE_LENGTH + 1))
    following = start + PAGE_LENGTH if len(rows) > PAGE_LENGTH else None
    return Findings(rows[:PAGE_LENGTH], start, following)


def _rows(here: Services, job: Job) -> Iterator[dict[str, Any]]:
    """Finished parts that lost no frame are not read: of a large job that would be most of its bytes, and
    again at every look. What they say besides is in the report at the end.
    """
    for shard in here.desk.jobs.shards(job.id):
        if shard.state is not ShardState.DONE:
            continue
        if shard.stage is Stage.PLAN and job.kind is JobKind.INGEST:
            yield from _read(here, keys.findings(shard.plan_key))
        elif shard.stage is Stage.WORK and shard.frames_failed:
            yield from _read(here, shard.result_key)


def _read(here: Services, key: str) -> Iterator[dict[str, Any]]:
    try:
        for finding in read_findings(here.store, key):
            yield finding_to_json(finding)
    except ObjectNotFound:
        return
