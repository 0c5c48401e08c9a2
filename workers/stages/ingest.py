"""An upload, or a folder of a bucket, becomes a dataset: labels are matched to images, then every image is
checked and stored."""

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
from service.datasets.members import suffix
from service.datasets.streams import LabelTooLarge, decode_text
from service.errors import DatasetRejected, LabelUnreadable
from service.jobs.report import Report
from service.jobs.results import FrameResult, result_lines, write_findings
from service.storage import keys
from workers.artifacts import result_prefix, write_frame, write_json
from workers.brightness import brightness
from workers.context import Bench, Outcome, PlanCutter, ShardTask
from workers.daylight import DAY_UP_TO, NIGHT_FROM, looks_like_night
from workers.decoder_process import Decoders, decoders_of
from workers.images import MAX_FILE_BYTES, ImageRejected, PlainImage, refuse_size, too_many_bytes
from workers.progress import in_order
from workers.sources import Source, list_source, open_source, planned_names

SAMPLE_FRAMES = 8
THREADS = os.cpu_count() or 1
MAX_LABEL_BYTES = 16_000_000
MAX_GUESSED_NAMES = 100
# Of what was changed in an image: what a person should look at.
WARNINGS = frozenset({"converted-cmyk"})
# What the pixels of a frame look like that the audit doubts.
LOOKS = {"not-daytime": "night", "not-night": "day"}


def plan_ingest(task: ShardTask, bench: Bench) -> Outcome:
    """Read the labels, match them to images, and cut the frames into shards of measured size."""
    options = Options.from_json(task.spec["options"])
    findings: list[Finding] = []
    try:
        findings += list_source(task, bench)
        with open_source(task, bench) as archive:
            findings += _guessed_names(archive)
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
    with open_source(task, bench, planned_names(lines)) as archive:
        ingest = _FrameIngest(archive, task, bench)
        with ThreadPoolExecutor(THREADS) as pool, bench.store.writing(task.result_key) as file:
            for result in in_order(pool, ingest, lines, ahead=2 * THREADS):
                file.write(result_lines(result))
                finished += 1
                failed += not result.is_done
                reading = min(len(lines), finished + 2 * THREADS + 1)
                bench.reporter.progress(finished - failed, failed, reading)
    return Outcome(frames_done=finished - failed, frames_failed=failed)


def _guessed_names(archive: Source) -> list[Finding]:
    message = "The archive does not say how this name is encoded; it was read as UTF-8, or else as cp437."
    cure = "If it looks wrong, and labels do not find it, pack the dataset again with UTF-8 names."
    guessed = archive.guessed_names
    findings = [
        Finding("name-encoding-guessed", Severity.WARNING, name, message, cure)
        for name in guessed[:MAX_GUESSED_NAMES]
    ]
    if left := len(guessed) - len(findings):
        message = f"{left} more names are encoded in a way that the archive does not tell."
        findings.append(Finding("name-encoding-guessed", Severity.WARNING, "", message, cure))
    return findings


class _FrameIngest:
    """One line of the plan in, one stored frame out."""

    def __init__(self, archive: Source, task: ShardTask, bench: Bench) -> None:
        self._archive = archive
        self._decoders = decoders_of(task.job_id)
        self._store = bench.store
        self._prefix = result_prefix(task)
        self._options = Options.from_json(task.spec["options"])
        self._format = Format(task.job_outcome["format"])
        self._categories: list[str] = task.job_outcome["categories"]
        self._excludes_suspects = bool(task.spec["exclude_suspects"])

    def __call__(self, line: bytes) -> FrameResult:
        planned = PlannedFrame.from_json(json.loads(line))
        try:
            plain = _checked_image(self._archive, self._decoders, planned.image)
            frame, findings = self._frame(planned, plain)
        except (ImageRejected, DatasetRejected, LabelUnreadable) as error:
            # A damaged member costs its own frame, not the dataset.
            finding = Finding(error.code, Severity.ERROR, planned.image, error.message, error.cure)
            return FrameResult(None, (finding,))
        audit = _audit(frame, plain, planned.image, self._excludes_suspects)
        if audit is not None and self._excludes_suspects:
            return FrameResult(None, (*findings, audit))
        image = write_frame(self._store, self._prefix, frame, plain.suffix, plain.data, self._categories)
        entry = ManifestEntry(
            frame=frame,
            image=image,
            sha256=hashlib.sha256(plain.data).hexdigest(),
            brightness=brightness(plain.small),
            looks=None if audit is None else LOOKS[audit.code],
        )
        return FrameResult(entry, (*findings, audit) if audit is not None else findings)

    def _frame(self, planned: PlannedFrame, plain: PlainImage) -> tuple[Frame, tuple[Finding, ...]]:
        text = None if planned.label is None else self._label_text(planned.label)
        frame, findings = build_frame(
            planned,
            self._format,
            self._categories,
            self._options,
            width_px=plain.width_px,
            height_px=plain.height_px,
            label_text=text,
        )
        return frame, (*findings, *_image_notes(planned.image, plain))

    def _label_text(self, label: str) -> str:
        if self._archive.size_bytes(label) > MAX_LABEL_BYTES:
            raise LabelTooLarge(label, MAX_LABEL_BYTES)
        return decode_text(self._archive.read(label), label)


def _checked_image(archive: Source, decoders: Decoders, member: str) -> PlainImage:
    """Bytes of strangers are decoded elsewhere, in a process that may crash: it holds nothing."""
    if archive.size_bytes(member) > MAX_FILE_BYTES:
        raise too_many_bytes(archive.size_bytes(member))
    plain = decoders.make_plain(archive.read(member))
    refuse_size(plain.width_px, plain.height_px)
    return plain


def _image_notes(member: str, plain: PlainImage) -> Iterator[Finding]:
    for code, message in plain.notes:
        yield Finding(code, Severity.WARNING if code in WARNINGS else Severity.NOTE, member, message)
    said = ".jpg" if suffix(member) == ".jpeg" else suffix(member)
    if said != plain.suffix:
        kind = "a PNG" if plain.suffix == ".png" else "a JPEG"
        message = f"The image is {kind} in spite of its name; it is stored with the right one."
        yield Finding("extension-mismatch", Severity.WARNING, member, message, "Mend what wrote it.")


def _audit(frame: Frame, plain: PlainImage, path: str, is_excluded: bool) -> Finding | None:
    """Whether the tag says day and the pixels say night, or the reverse."""
    if frame.timeofday not in (TimeOfDay.DAYTIME, TimeOfDay.NIGHT):
        return None
    score = looks_like_night(plain.small)
    says_day = frame.timeofday == TimeOfDay.DAYTIME
    if (says_day and score < NIGHT_FROM) or (not says_day and score > DAY_UP_TO):
        return None
    code = "not-daytime" if says_day else "not-night"
    return Finding(
        code=code,
        severity=Severity.ERROR if is_excluded else Severity.WARNING,
        path=path,
        message=f"The frame is tagged {frame.timeofday} but looks like {LOOKS[code]} ({score:.2f}).",
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


def _seconds_per_frame(archive: Source, task: ShardTask, bench: Bench) -> float:
    """Measured on a few frames. Only the decoding counts: it is what most of the time goes into."""
    decoders = decoders_of(task.job_id)
    decoders.warm_up()
    started = time.perf_counter()
    count = 0
    for line in _sample(task, bench):
        planned = PlannedFrame.from_json(json.loads(line))
        with suppress(ImageRejected, DatasetRejected):  # the shard will report it
            _checked_image(archive, decoders, planned.image)
        count += 1
    return max(1e-4, (time.perf_counter() - started) / max(1, count) / THREADS)


def _sample(task: ShardTask, bench: Bench) -> Iterator[bytes]:
    first = task.attempts * SAMPLE_FRAMES
    yield from islice(bench.store.lines(task.plan_key), first, first + SAMPLE_FRAMES)
