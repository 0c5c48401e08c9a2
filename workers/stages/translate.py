"""Day to night or back: frames are chosen and cut into shards, then every shard is translated.

Reading and decoding, translating, encoding and writing overlap: the generator waits for nobody.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from models.batches import group_by_size
from models.generators.interface import Scene, SceneObject
from models.inference import Translator
from models.metrics.frame import FrameMeasurement
from models.metrics.measurements import Measurements
from service.datasets.dataset import Finding, Frame, TimeOfDay
from service.datasets.manifest import ManifestEntry, SourceFrame
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.jobs.results import FrameResult, result_lines
from service.storage import keys
from workers.artifacts import (
    StoredImageUnreadable,
    chosen_entries,
    result_prefix,
    stored_pixels,
    write_frame,
)
from workers.brightness import brightness
from workers.context import Bench, Outcome, PlanCutter, ShardTask
from workers.images import Pixels, encode_jpeg
from workers.progress import in_order
from workers.resident_generator import resident_translator
from workers.resident_meter import MEASURED, resident_meter

# One thread decodes faster than most generators translate; more only matter when nothing else is to do.
READERS = WRITERS = max(2, (os.cpu_count() or 2) // 2)
WARM_UP_IS_ENOUGH_SECONDS = 3.0
SAMPLE_FRAMES = 4
UNMEASURED_SECONDS = 1.0
TIMEOFDAY_AFTER = {"day2night": TimeOfDay.NIGHT, "night2day": TimeOfDay.DAYTIME}


@dataclass(frozen=True, slots=True)
class LoadedFrame:
    """A frame of the plan with its pixels, or the finding that says why it has none."""

    number: int
    entry: ManifestEntry
    pixels: Pixels | None
    finding: Finding | None = None

    @property
    def size(self) -> tuple[int, ...]:
        return () if self.pixels is None else self.pixels.shape


def plan_translation(task: ShardTask, bench: Bench) -> Outcome:
    """Choose the frames, measure the generator on some of them, cut shards of the wanted duration."""
    selection = Selection.from_json(task.spec["selection"])
    cutter = PlanCutter()
    sample: list[bytes] = []
    with bench.store.writing(task.plan_key) as file:
        for line in _chosen(task, bench, selection):
            file.write(cutter.add(line))
            if len(cutter) > task.attempts * SAMPLE_FRAMES and len(sample) < SAMPLE_FRAMES:
                sample.append(line)
    if len(cutter) == 0:
        raise InvalidRequest(
            f"No frame of dataset {task.dataset_id} fits the selection {selection}.",
            "Widen it; the dataset's counts show what there is.",
        )
    run = _Translation(task, bench)
    seconds = run.seconds_per_frame(sample)
    facts = {
        "frames_total": len(cutter),
        "quality_every": max(1, -(-len(cutter) // max(1, task.spec["quality_frames"]))),
        "measured_seconds_per_image": round(seconds, 4),
        "machine": run.translator.describe(),
    }
    return Outcome(parts=cutter.cut(round(bench.settings.shard_seconds / seconds)), facts=facts)


def translate_frames(task: ShardTask, bench: Bench) -> Outcome:
    """Translate one shard; the same shard writes the same bytes to the same keys each time."""
    lines = task.lines(bench.store)
    run = _Translation(task, bench)
    results: dict[int, bytes] = {}
    failed = 0
    for number, result in run.results(lines):
        results[number] = result_lines(result)
        failed += not result.is_done
        bench.reporter.progress(len(results) - failed, failed, run.reading)
    for note in run.translator.notes:
        bench.reporter.note(note)
    run.translator.notes.clear()
    run.keep_measurements(task.result_key)
    bench.store.write(task.result_key, b"".join(results[number] for number in range(len(lines))))
    return Outcome(frames_done=len(results) - failed, frames_failed=failed)


class _Translation:
    """One shard on its way through the machine."""

    def __init__(self, task: ShardTask, bench: Bench) -> None:
        self._spec: dict[str, Any] = task.spec
        self._store = bench.store
        self._prefix = result_prefix(task)
        self._source = str(task.dataset_id)
        self.translator: Translator = resident_translator(
            task.spec["generator"], task.spec["batch_size"], bench.settings, bench.store
        )
        self._reporter = bench.reporter
        self._has_finished = False
        self.reading = 0
        """How many frames have been taken up: those from the finished ones up to here may be in flight."""
        self._first = task.position
        self._quality_every = task.job_outcome.get("quality_every", 0) if self._spec["quality_frames"] else 0
        self._meter = resident_meter(bench.store) if self._quality_every else None
        self._measured: dict[int, FrameMeasurement] = {}

    def keep_measurements(self, result_key: str) -> None:
        """Of the frames that were measured, for the report."""
        if self._meter is None:
            return
        measurements = Measurements(self._meter.yardstick)
        for number, measurement in self._measured.items():
            measurements.add(self._first + number, measurement)
        self._store.write(keys.measurements(result_key, MEASURED), measurements.to_bytes())

    def results(self, lines: list[bytes]) -> Iterator[tuple[int, FrameResult]]:
        """In the order in which the frames are finished."""
        for result in self._side_by_side(lines) if self.translator.lanes > 1 else self._overlapped(lines):
            self._has_finished = True
            yield result

    def _side_by_side(self, lines: list[bytes]) -> Iterator[tuple[int, FrameResult]]:
        """Every core takes whole frames, from reading to writing: nothing is handed over, nobody waits."""
        with _one_core_each(self.translator.lanes) as lanes:
            yield from in_order(lanes, self._whole, self._counted(lines), ahead=2 * self.translator.lanes)

    def _overlapped(self, lines: list[bytes]) -> Iterator[tuple[int, FrameResult]]:
        """One generator works on batches while others read ahead of it and write behind it."""
        batch_size = self.translator.batch_size
        ahead = 2 * batch_size + READERS
        look_ahead = 1 if batch_size == 1 else 4 * batch_size
        with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(WRITERS) as writers:
            loaded = in_order(readers, self._load, self._counted(lines), ahead)
            written: list[Future[tuple[int, FrameResult]]] = []
            for batch in group_by_size(loaded, lambda frame: frame.size, batch_size, look_ahead):
                written += [writers.submit(self._write, *pair) for pair in self._translate(batch)]
                while len(written) > ahead:
                    yield written.pop(0).result()
            for future in written:
                yield future.result()

    def seconds_per_frame(self, lines: list[bytes]) -> float:
        """Measured after a warm-up, unless that alone took long enough to go by."""
        frames = [self._load((number, line)) for number, line in enumerate(lines)]
        seconds = []
        with _one_core_each(1) as lane:
            run = lane.submit if self.translator.lanes > 1 else _at_once
            for frame in frames:
                started = time.perf_counter()
                run(self._translate_and_encode, frame).result()
                seconds.append((time.perf_counter() - started) / self.translator.lanes)
                if seconds[-1] > WARM_UP_IS_ENOUGH_SECONDS:
                    break
        return max(1e-3, min(seconds, default=UNMEASURED_SECONDS))

    def _whole(self, numbered: tuple[int, bytes]) -> tuple[int, FrameResult]:
        ((loaded, pixels),) = self._translate([self._load(numbered)])
        return self._write(loaded, pixels)

    def _translate_and_encode(self, frame: LoadedFrame) -> None:
        for _, pixels in self._translate([frame]):
            if pixels is not None:
                encode_jpeg(pixels, self._spec["jpeg_quality"])

    def _counted(self, lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
        for number, line in enumerate(lines):
            self.reading = number + 1
            if not self._has_finished:  # whoever sees us die now must know on how many
                self._reporter.progress(0, 0, self.reading)
            yield number, line

    def _load(self, numbered: tuple[int, bytes]) -> LoadedFrame:
        number, line = numbered
        entry = ManifestEntry.from_line(line.decode())
        try:
            pixels = stored_pixels(self._store, keys.dataset(self._source, entry.image))
        except StoredImageUnreadable as error:
            return LoadedFrame(number, entry, None, error.finding(entry.frame.name))
        return LoadedFrame(number, entry, pixels)

    def _translate(self, batch: list[LoadedFrame]) -> Iterator[tuple[LoadedFrame, Pixels | None]]:
        usable = [frame for frame in batch if frame.pixels is not None]
        images = [frame.pixels for frame in usable if frame.pixels is not None]
        scenes = [self._scene(frame.entry.frame) for frame in usable]
        yield from ((frame, None) for frame in batch if frame.pixels is None)
        yield from zip(usable, self.translator.translate(images, scenes), strict=True)

    def _write(self, loaded: LoadedFrame, pixels: Pixels | None) -> tuple[int, FrameResult]:
        if pixels is None or loaded.finding is not None:
            findings = () if loaded.finding is None else (loaded.finding,)
            return loaded.number, FrameResult(None, findings)
        data = encode_jpeg(pixels, self._spec["jpeg_quality"])
        self._measure(loaded, pixels)
        frame = self._retagged(loaded.entry.frame)
        image = write_frame(self._store, self._prefix, frame, ".jpg", data, self._spec["categories"])
        entry = ManifestEntry(
            frame=frame,
            image=image,
            sha256=hashlib.sha256(data).hexdigest(),
            source=SourceFrame(self._source, loaded.entry.sha256),
            brightness=brightness(pixels),
        )
        return loaded.number, FrameResult(entry)

    def _measure(self, loaded: LoadedFrame, pixels: Pixels) -> None:
        """Some frames spread evenly over the dataset: enough to judge it, and no burden for a large one."""
        is_due = self._meter is not None and (self._first + loaded.number) % self._quality_every == 0
        if self._meter is not None and is_due:
            boxes = [box.xyxy for box in loaded.entry.frame.boxes if not box.is_ignored]
            self._measured[loaded.number] = self._meter.measure(pixels, loaded.pixels, boxes)

    def _scene(self, frame: Frame) -> Scene:
        objects = tuple(
            SceneObject(box.xyxy, box.category, box.attributes) for box in frame.boxes if not box.is_ignored
        )
        # From the frame, never from its place in a batch or shard: the same image, the same night.
        digest = hashlib.sha256(f"{self._spec['seed']}:{frame.split}/{frame.id}".encode()).digest()
        seed = int.from_bytes(digest[:6], "big")
        return Scene(seed, self._spec["strength"], objects, ratio=self._spec.get("ratio"))

    def _retagged(self, frame: Frame) -> Frame:
        card = self._spec["generator"]
        if card["architecture"] == "identity":
            return frame
        return frame.with_attributes(timeofday=str(TIMEOFDAY_AFTER[card["direction"]]))


def _one_core_each(threads: int) -> ThreadPoolExecutor:
    """Threads in which torch uses one core: together they use them all, without waiting for each other."""
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


def _at_once(function: Callable[[LoadedFrame], None], frame: LoadedFrame) -> "Future[None]":
    """Like an executor's `submit`, in this thread: there torch uses all cores."""
    function(frame)
    done: Future[None] = Future()
    done.set_result(None)
    return done


def _chosen(task: ShardTask, bench: Bench, selection: Selection) -> Iterator[bytes]:
    """The manifest lines of the frames to translate; for a preview only some of them, spread evenly."""
    fitting = _fitting(task, bench, selection)
    wanted = task.spec["preview"]
    if not wanted:
        return fitting
    total = sum(1 for _ in _fitting(task, bench, selection))
    numbers = {number * total // wanted for number in range(wanted)} if wanted < total else set(range(total))
    return (line for number, line in enumerate(fitting) if number in numbers)


def _fitting(task: ShardTask, bench: Bench, selection: Selection) -> Iterator[bytes]:
    for entry in chosen_entries(bench.store, str(task.dataset_id), selection):
        yield entry.to_line().encode()
