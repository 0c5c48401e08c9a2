"""What a finished shard leaves in the store: a line for each frame's entry, a line for each finding."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.datasets.dataset import Finding
from service.datasets.manifest import ManifestEntry
from service.jobs.job import JobKind, Shard, ShardState, Stage
from service.jobs.report import Report, finding_from_json, finding_to_json
from service.storage import keys
from service.storage.object_store import ObjectStore

# Each line begins with what it is.
ENTRY, FINDING = b"E ", b"F "


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What became of one frame: its entry in the manifest, or none, and what there is to say about it."""

    entry: ManifestEntry | None
    findings: tuple[Finding, ...] = ()

    @property
    def is_done(self) -> bool:
        return self.entry is not None


def write_results(store: ObjectStore, key: str, results: Iterable[FrameResult]) -> None:
    """In the order given, so that the same frames make the same bytes."""
    with store.writing(key) as file:
        for result in results:
            file.write(result_lines(result))


def result_lines(result: FrameResult) -> bytes:
    """As bytes a result is a tenth of what it is as objects: a shard may have thousands."""
    entry = b"" if result.entry is None else ENTRY + result.entry.to_line().encode() + b"\n"
    return entry + b"".join(finding_line(finding) for finding in result.findings)


def write_findings(store: ObjectStore, key: str, findings: Iterable[Finding]) -> None:
    with store.writing(key) as file:
        for finding in findings:
            file.write(finding_line(finding))


def finding_line(finding: Finding) -> bytes:
    return FINDING + json.dumps(finding_to_json(finding), sort_keys=True, ensure_ascii=False).encode() + b"\n"


def read_results(store: ObjectStore, key: str) -> Iterator[ManifestEntry | Finding]:
    for line in store.lines(key):
        tag, content = line[: len(ENTRY)], line[len(ENTRY) :]
        if tag == ENTRY:
            yield ManifestEntry.from_line(content.decode())
        else:
            yield finding_from_json(json.loads(content))


def read_findings(store: ObjectStore, key: str) -> Iterator[Finding]:
    """Only the findings: the entries beside them are not even parsed."""
    for line in store.lines(key):
        if line.startswith(FINDING):
            yield finding_from_json(json.loads(line[len(FINDING) :]))


def report_so_far(store: ObjectStore, kind: JobKind, shards: Iterable[Shard]) -> Report:
    """The report of a job that has not published one: it still runs, or it failed on the way."""
    report = Report()
    for shard in shards:
        is_planned_ingest = shard.stage is Stage.PLAN and kind is JobKind.INGEST
        if shard.state is not ShardState.DONE or not (shard.stage is Stage.WORK or is_planned_ingest):
            continue
        key = shard.result_key if shard.stage is Stage.WORK else keys.findings(shard.plan_key)
        for finding in read_findings(store, key):
            report.add(finding)
    return report
