"""An upload becomes a dataset: labels are matched to images, then every image is checked and stored."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any

from service.datasets.dataset import Finding, Frame, Severity, TimeOfDay
from service.datasets.formats import Format, Options, Plan, PlannedFrame, build_frame, plan_dataset
from service.datasets.manifest import ManifestEntry
from service.datasets.streams import decode_text
from service.errors import DatasetRejected, LabelUnreadable
from service.jobs.report import Report
from service.jobs.results import FrameResult, result_lines, write_findings
from service.storage import keys
from service.storage.archives import Archive, open_archive
from workers.artifacts import result_prefix, write_frame, write_json
from workers.context import Bench, Outcome, PlanCutter, ShardTask
from workers.daylight import DAY_UP_TO, NIGHT_FROM, looks_like_night
from workers.images import ImageRejected, PlainImage, make_plain
from workers.progress import in_order

SAMPLE_FRAMES = 8
THREADS = os.cpu_count() or 1


def plan_ingest(task: ShardTask, bench: Bench) -> Outcome:
    """Read the labels, match them to images, and cut the frames into shards of measured size."""
    options = Options.from_json(task.spec["options"])
    findings: list[Finding] = []
    try:
        with open_archive(bench.store, keys.upload(task.spec["upload_id"])) as archive:
            plan = plan_dataset(archive.names, archive.open, options)
            cutter = _write_plan(task, bench, plan, findings)
            _refuse_empty(cutter, options)
            categories = list(plan.categories)
            seconds = _seconds_per_frame(archive, task, bench)
    except DatasetRejected as error:
        _write_rejection(task, bench, findings, error)
        raise
    write_findings(bench.store, keys.findings(task.plan_key), findings)
    facts = {"format": str(plan.format), "categories": categories, "frames_total": len(cutter)}
    parts = cutter.cut(round(bench.settings.shard_seconds / seconds))
    return Outcome(parts=parts, facts=facts)


def ingest_frames(task: ShardTask, bench: Bench) -> Outcome:
    """Check, convert and store the images of one shard, with their labels."""
    lines = task.lines(bench.store)
    finished = failed = 0
    with open_archive(bench.store, keys.upload(task.spec["upload_id"])) as archive:
        ingest = _FrameIngest(archive, task, bench)
        with ThreadPoolExecutor(THREADS) as pool, bench.store.writing(task.result_key) as file:
            for result in in_order(pool, ingest, lines, ahead=2 * THREADS):
                file.write(result_lines(result))
                finished += 1
                failed += not result.is_done
                reading = min(len(lines), finished + 2 * THREADS + 1)
                bench.reporter.progress(finished - failed, failed, reading)
    return Outcome(frames_done=finished - failed, frames_failed=failed)


class _FrameIngest:
    """One line of the plan in, one stored frame out."""

    def __init__(self, archive: Archive, task: ShardTask, bench: Bench) -> None:
        self._archive = archive
        self._store = bench.store
        self._prefix = result_prefix(task)
        self._options = Options.from_json(task.spec["options"])
        self._format = Format(task.job_outcome["format"])
        self._categories: list[str] = task.job_outcome["categories"]
        self._excludes_suspects = bool(task.spec["exclude_suspects"])

    def __call__(self, line: bytes) -> FrameResult:
        planned = PlannedFrame.from_json(json.loads(line))
        try:
            plain = make_plain(self._archive.read(planned.image))
            frame, findings = self._frame(planned, plain)
        except (ImageRejected, DatasetRejected, LabelUnreadable) as error:
            # A damaged member costs its own frame, not the dataset.
            finding = Finding(error.code, Severity.ERROR, planned.image, error.message, error.cure)
            return FrameResult(None, (finding,))
        audit = _audit(frame, plain, planned.image, self._excludes_suspects)
        if audit is not None and self._excludes_suspects:
            return FrameResult(None, (*findings, audit))
        image = write_frame(self._store, self._prefix, frame, plain.suffix, plain.data, self._categories)
        entry = ManifestEntry(frame=frame, image=image, sha256=hashlib.sha256(plain.data).hexdigest())
        return FrameResult(entry, (*findings, audit) if audit is not None else findings)

    def _frame(self, planned: PlannedFrame, plain: PlainImage) -> tuple[Frame, tuple[Finding, ...]]:
        text = None
        if planned.label is not None:
            text = decode_text(self._archive.read(planned.label), planned.label)
        frame, findings = build_frame(
            planned,
            self._format,
            self._categories,
            self._options,
            width_px=plain.width_px,
            height_px=plain.height_px,
            label_text=text,
        )
        notes = (Finding(code, Severity.NOTE, planned.image, message) for code, message in plain.notes)
        return frame, (*findings, *notes)


def _audit(frame: Frame, plain: PlainImage, path: str, is_excluded: bool) -> Finding | None:
    """Whether the tag says day and the pixels say night, or the reverse."""
    if frame.timeofday not in (TimeOfDay.DAYTIME, TimeOfDay.NIGHT):
        return None
    score = looks_like_night(plain.small)
    says_day = frame.timeofday == TimeOfDay.DAYTIME
    if (says_day and score < NIGHT_FROM) or (not says_day and score > DAY_UP_TO):
        return None
    looks = "night" if says_day else "day"
    return Finding(
        code="not-daytime" if says_day else "not-night",
        severity=Severity.ERROR if is_excluded else Severity.WARNING,
        path=path,
        message=f"The frame is tagged {frame.timeofday} but looks like {looks} ({score:.2f}).",
        cure="It was left out, as asked."
        if is_excluded
        else "Look at it; exclude such frames with --exclude-suspects.",
    )


def _write_plan(task: ShardTask, bench: Bench, plan: Plan, findings: list[Finding]) -> PlanCutter:
    cutter = PlanCutter()
    with bench.store.writing(task.plan_key) as file:
        for item in plan.frames():
            if isinstance(item, Finding):
                findings.append(item)
            else:
                file.write(cutter.add(_plan_line(item.to_json())))
    return cutter


def _plan_line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _refuse_empty(cutter: PlanCutter, options: Options) -> None:
    if len(cutter) == 0:
        wanted = options.selection.to_json()
        raise DatasetRejected(
            "empty-dataset",
            f"No frame is left after selecting {wanted}." if wanted else "The upload holds no frame.",
            "Read the report, and widen the selection." if wanted else "Upload images with their labels.",
        )


def _write_rejection(task: ShardTask, bench: Bench, findings: list[Finding], error: DatasetRejected) -> None:
    report = Report()
    report.add(
        Finding(error.code, Severity.ERROR, task.spec["source"]["filename"], error.message, error.cure)
    )
    for finding in findings:
        report.add(finding)
    write_json(bench.store, keys.report(task.job_id), report.to_json(kind=str(task.kind), is_rejected=True))


def _seconds_per_frame(archive: Archive, task: ShardTask, bench: Bench) -> float:
    """Measured on a few frames. Only the decoding counts: it is what most of the time goes into."""
    started = time.perf_counter()
    count = 0
    for line in _sample(task, bench):
        planned = PlannedFrame.from_json(json.loads(line))
        with suppress(ImageRejected, DatasetRejected):  # the shard will report it
            make_plain(archive.read(planned.image))
        count += 1
    return max(1e-4, (time.perf_counter() - started) / max(1, count) / THREADS)


def _sample(task: ShardTask, bench: Bench) -> Iterator[bytes]:
    first = task.attempts * SAMPLE_FRAMES
    yield from islice(bench.store.lines(task.plan_key), first, first + SAMPLE_FRAMES)
