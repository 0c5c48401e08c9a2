"""What was found while a dataset was made, as its pages show it: by code, and some at a time.

A report lists ten thousand findings at most, and that of a job which has published it never changes: it is
parsed once and kept.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.api.dependencies import Services
from service.api.jobs import job_report
from service.datasets.dataset import Finding, Severity, Split
from service.datasets.members import folder_split, possible_ids
from service.errors import ObjectNotFound
from service.frames.index import Neighbour, has_frame
from service.jobs.report import finding_from_json
from service.storage import keys
from service.storage.object_store import ObjectStore

KEPT_REPORTS = 8
_GRAVITY = list(Severity)


@dataclass(frozen=True, slots=True)
class Code:
    """How often something was found, and how grave it is at worst; of one that is not listed nobody knows."""

    code: str
    count: int
    severity: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """`is_complete`: every finding is among the listed ones."""

    codes: list[Code]
    severities: dict[str, int]
    listed: list[Finding]
    is_complete: bool

    def of(self, code: str | None, severity: str | None) -> list[Finding]:
        """Those that are listed; None for any."""
        return [
            finding
            for finding in self.listed
            if code in (None, finding.code) and severity in (None, finding.severity)
        ]


def report_of(here: Services, job_id: str) -> Report:
    """Of a job that makes a dataset; while it runs, what it has found so far."""
    try:
        return _published(here.store, job_id)
    except ObjectNotFound:
        return _report(job_report(here, here.desk.jobs.job(job_id)))


def frame_of(here: Services, dataset_id: str, finding: Finding) -> Neighbour | None:
    """The frame that a finding is about, if there is one: an image that was left out has none."""
    told = folder_split(finding.path)
    for frame_id in possible_ids(finding.path):
        for split in Split if told is None else (told,):
            if has_frame(here.store, dataset_id, split, frame_id):
                return Neighbour(split, frame_id)
    return None


@lru_cache(KEPT_REPORTS)
def _published(store: ObjectStore, job_id: str) -> Report:
    return _report(json.loads(store.read(keys.report(job_id))))


def _report(data: dict[str, Any]) -> Report:
    listed = [finding_from_json(each) for each in data["findings"]]
    worst: dict[str, Severity] = {}
    for finding in listed:
        worst[finding.code] = min(
            worst.get(finding.code, finding.severity), finding.severity, key=_GRAVITY.index
        )
    codes = [Code(code, count, worst.get(code)) for code, count in data["totals"].items()]
    severities = {str(severity): int(data["severities"][severity]) for severity in Severity}
    return Report(sorted(codes, key=_first_to_see), severities, listed, data["is_complete"])


def _first_to_see(code: Code) -> tuple[int, int, str]:
    gravity = len(_GRAVITY) if code.severity is None else _GRAVITY.index(Severity(code.severity))
    return gravity, -code.count, code.code
