"""How good is a dataset? Its frames are measured, and those of a reference; the figures compare both."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from models.metrics.errors import MeasurementsRejected
from models.metrics.frame import FrameMeasurement
from models.metrics.measurements import Measurements
from models.metrics.meter import FrameMeter
from models.metrics.niqe import NiqeModel
from models.metrics.quality import quality
from models.metrics.reference import bundled_reference
from models.metrics.working_size import luma, reduced
from service.datasets.dataset import Finding
from service.datasets.manifest import ManifestEntry
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.jobs.report import Report
from service.jobs.results import read_results, write_findings
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import (
    StoredImageUnreadable,
    chosen_entries,
    source_key,
    stored_pixels,
    write_json,
)
from workers.context import Bench, Outcome, PlanCutter, ShardTask
from workers.images import Pixels
from workers.progress import in_order
from workers.resident_meter import merged, resident_meter

DATASET, REFERENCE = "dataset", "reference"
SECONDS_PER_FRAME = 0.1
LANES = max(1, os.cpu_count() or 1)
FRAMES_FOR_NIQE = 256


@dataclass(frozen=True, slots=True)
class Measured:
    """One frame of a shard."""

    number: int
    side: str
    measurement: FrameMeasurement | None
    finding: Finding | None = None


def plan_quality(task: ShardTask, bench: Bench) -> Outcome:
    """List the frames of both datasets; fit what pristine night frames are like to the reference.

    Raises:
        InvalidRequest: a selection fits no frame.
        GeneratorError: the backbone's weights are not what they should be.
    """
    cutter = PlanCutter()
    frames = dict.fromkeys(_sides(task.spec), 0)
    with bench.store.writing(task.plan_key) as file:
        for side, chosen in _sides(task.spec).items():
            for entry in _entries(bench.store, chosen):
                file.write(cutter.add(_planned(side, chosen["dataset_id"], entry)))
                frames[side] += 1
            if not frames[side]:
                raise InvalidRequest(
                    f"No frame of dataset {chosen['dataset_id']} fits the selection.",
                    "Widen it; the dataset's counts show what there is.",
                )
    niqe_key = _fit_niqe(task, bench.store) if REFERENCE in frames else None
    meter = resident_meter(bench.store, task.spec["backbone"], niqe_key)
    facts = {"frames": frames, "niqe_key": niqe_key, "backbone_sha256": meter.backbone.sha256}
    return Outcome(parts=cutter.cut(round(bench.settings.shard_seconds / SECONDS_PER_FRAME)), facts=facts)


def measure_frames(task: ShardTask, bench: Bench) -> Outcome:
    """Measure one shard, every core a frame."""
    lines = task.lines(bench.store)
    shard = _Shard(task, bench.store)
    measurements = {side: Measurements(shard.meter.yardstick, side) for side in (DATASET, REFERENCE)}
    findings: list[Finding] = []
    for count, measured in enumerate(shard.measured(lines), start=1):
        if measured.measurement is not None:
            measurements[measured.side].add(measured.number, measured.measurement)
        if measured.finding is not None:
            findings.append(measured.finding)
        bench.reporter.progress(count - len(findings), len(findings), shard.reading)
    for side, rows in measurements.items():
        bench.store.write(keys.measurements(task.result_key, side), rows.to_bytes())
    write_findings(bench.store, task.result_key, findings)
    return Outcome(frames_done=len(lines) - len(findings), frames_failed=len(findings))


def publish_quality(task: ShardTask, bench: Bench) -> Outcome:
    """The figures, in the job's report."""
    meter = resident_meter(bench.store, task.spec["backbone"], task.job_outcome["niqe_key"])
    ours = merged(bench.store, meter, task.parts, DATASET)
    if task.spec["reference"]:
        theirs = merged(bench.store, meter, task.parts, REFERENCE)
        theirs.name = task.spec["reference"]["name"]
    else:
        theirs = bundled_reference()
    figures = quality(ours, theirs).to_json()
    report = Report()
    for part in task.parts:
        for item in read_results(bench.store, part):
            if isinstance(item, Finding):
                report.add(item)
    write_json(bench.store, keys.report(task.job_id), report.to_json(kind=str(task.kind), quality=figures))
    return Outcome(facts={"quality": figures})


class _Shard:
    """The frames of one shard on their way through the meter."""

    def __init__(self, task: ShardTask, store: ObjectStore) -> None:
        self._store, self._first = store, task.position
        self.meter: FrameMeter = resident_meter(store, task.spec["backbone"], task.job_outcome["niqe_key"])
        self.reading = 0

    def measured(self, lines: list[bytes]) -> Iterator[Measured]:
        with ThreadPoolExecutor(LANES, initializer=torch.set_num_threads, initargs=(1,)) as lanes:
            yield from in_order(lanes, self._measure, self._counted(lines), ahead=2 * LANES)

    def _counted(self, lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
        for number, line in enumerate(lines):
            self.reading = number + 1
            yield self._first + number, line

    def _measure(self, numbered: tuple[int, bytes]) -> Measured:
        number, line = numbered
        planned = json.loads(line)
        entry = ManifestEntry.from_line(planned["entry"])
        frame = entry.frame
        try:
            image = stored_pixels(self._store, keys.dataset(planned["dataset_id"], entry.image))
        except StoredImageUnreadable as error:
            return Measured(number, planned["side"], None, error.finding(frame.name))
        boxes = [box.xyxy for box in frame.boxes if not box.is_ignored]
        return Measured(number, planned["side"], self.meter.measure(image, self._source_of(entry), boxes))

    def _source_of(self, entry: ManifestEntry) -> Pixels | None:
        """What a translated frame was made from, if it is still there."""
        if entry.source is None:
            return None
        with suppress(StoredImageUnreadable):
            return stored_pixels(self._store, source_key(self._store, entry.source.dataset, entry.frame))
        return None


def _planned(side: str, dataset_id: str, entry: ManifestEntry) -> bytes:
    """`image` is what the frame is called should it have to be left out."""
    line = {"side": side, "dataset_id": dataset_id, "image": entry.image, "entry": entry.to_line()}
    return json.dumps(line).encode()


def _sides(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    given = {DATASET: spec["dataset"], REFERENCE: spec["reference"]}
    return {side: chosen for side, chosen in given.items() if chosen}


def _entries(store: ObjectStore, chosen: Mapping[str, Any]) -> Iterator[ManifestEntry]:
    return chosen_entries(store, chosen["dataset_id"], Selection.from_json(chosen["selection"]))


def _fit_niqe(task: ShardTask, store: ObjectStore) -> str | None:
    """To the first frames: a few hundred make many thousands of patches. None if they make too few."""
    chosen = task.spec["reference"]
    entries = islice(_entries(store, chosen), FRAMES_FOR_NIQE)
    images = (keys.dataset(chosen["dataset_id"], entry.image) for entry in entries)
    key = keys.niqe(task.plan_key)
    try:
        niqe = NiqeModel.fit(luma(reduced(image)) for image in _readable(store, images))
    except MeasurementsRejected:
        return None
    store.write(key, niqe.to_bytes())
    return key


def _readable(store: ObjectStore, images: Iterable[str]) -> Iterator[Pixels]:
    """Those that are not will be named when they are measured."""
    for image in images:
        with suppress(StoredImageUnreadable):
            yield stored_pixels(store, image)
