"""A detector at work for an experiment: trained with its checkpoints in the store, shown the test frames."""

import io
import os
import platform
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.detection.detector_process import DetectorProcess
from models.detection.orders import LabelledFile, PredictOrder, TrainOrder, write_frames
from service.jobs.job import CHECKPOINT_EVENT, DETECTOR_EVENT
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.context import Bench
from workers.experiment.frames import ExperimentFrame
from workers.experiment.schedule import Schedule

FETCHERS = 8
TELL_EVERY_SECONDS = 5.0
KEEP_EVERY_SECONDS = 30.0
LAST, BEST = "last.pt", keys.BEST_WEIGHTS


@dataclass(frozen=True, slots=True)
class Apprenticeship:
    """What a detector is to learn: on which frames, steered by which, from which weights.

    `keeps` is the prefix in the store where its checkpoints go; `about` is told with every event.
    """

    detector: str
    categories: tuple[str, ...]
    image_px: int
    patience: int
    seed: int
    schedule: Schedule
    frames: Sequence[ExperimentFrame]
    validation: Sequence[ExperimentFrame]
    start: str | None
    keeps: str
    about: Mapping[str, Any]


class Workshop:
    """A folder with a detector's process and the images that it needs, for one part of an experiment."""

    def __init__(self, room: Path, bench: Bench) -> None:
        self._room, self._bench = room, bench
        self._files: dict[str, Path] = {}
        self._told_at = 0.0
        self._kept_at: float | None = None
        self._unkept: tuple[str, ...] = (LAST,)
        self._detector = DetectorProcess(room, threads=torch.get_num_threads())

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *_: object) -> None:
        self._detector.__exit__()

    def train(self, wish: Apprenticeship) -> dict[str, Any]:
        """From the last checkpoint, if there is one, to the end; `best.pt` is in the store then.

        Returns:
            `history`, `best_epoch`, `steps` taken and `seconds` of this attempt.
        """
        store, out = self._bench.store, self._room / "run"
        (out / "weights").mkdir(parents=True)
        for name in (BEST, LAST):
            if store.exists(f"{wish.keeps}/{name}"):  # they are written to, so no links
                (out / "weights" / name).write_bytes(store.read(f"{wish.keeps}/{name}"))
        begun = time.monotonic()
        trained: dict[str, Any] = {}
        for event in self._detector.carry_out(self._order(wish, out), "trained"):
            self._bench.reporter.alive()
            match event["event"]:
                case "batch":
                    self._tell(wish, event)
                case "epoch":
                    self._bench.reporter.event(DETECTOR_EVENT, {**wish.about, **_facts(event)})
                case "checkpoint":
                    self._keep_checkpoint(wish, out / "weights", event)
                case "trained":
                    trained = event
        keep(store, Path(trained["best"]), f"{wish.keeps}/{BEST}")
        history = trained["history"]
        facts = {"history": history, "best_epoch": trained["best_epoch"], "steps": history[-1]["step"]}
        return {**facts, "seconds": round(time.monotonic() - begun, 1)}

    def detections(self, weights: str, frames: Sequence[LabelledFile], image_px: int) -> bytes:
        """What the weights at a key see in frames: a NumPy array (n, 7) of frame number, xyxy in px,
        confidence, category.
        """
        listed, out, checkpoint = (self._room / name for name in ("seen.jsonl", "seen.npy", "seen.pt"))
        write_frames(listed, frames)
        checkpoint.unlink(missing_ok=True)
        self._bench.store.fetch(weights, checkpoint)
        order = PredictOrder(checkpoint, listed, out, image_px, device=self._bench.settings.device)
        for _ in self._detector.carry_out(order, "seen"):
            self._bench.reporter.alive()
        return out.read_bytes()

    def listed(self, frames: Sequence[ExperimentFrame]) -> list[LabelledFile]:
        """The frames as files on this disk; what is not here yet is fetched."""
        self._fetch(frames)
        return [_listed(frame, self._files[frame.image]) for frame in frames]

    def _order(self, wish: Apprenticeship, out: Path) -> TrainOrder:
        start = None
        if wish.start is not None:
            start = self._room / "start.pt"
            self._bench.store.fetch(wish.start, start)
        lists = {"frames": wish.frames, "validation": wish.validation}
        for name, frames in lists.items():
            write_frames(self._room / f"{name}.jsonl", self.listed(frames))
        return TrainOrder(
            detector=wish.detector,
            categories=wish.categories,
            frames=self._room / "frames.jsonl",
            validation=self._room / "validation.jsonl",
            folder=out,
            steps=wish.schedule.steps,
            epochs=wish.schedule.epochs,
            batch=wish.schedule.batch,
            image_px=wish.image_px,
            patience=wish.patience,
            seed=wish.seed,
            optimizer=wish.schedule.optimizer,
            learning_rate=wish.schedule.learning_rate,
            weights=start,
            device=self._bench.settings.device,
            precision=self._bench.settings.precision,
        )

    def _keep_checkpoint(self, wish: Apprenticeship, weights: Path, event: Mapping[str, Any]) -> None:
        """Large detectors have large checkpoints, and epochs may be short."""
        if event["is_best"]:
            self._unkept = (BEST, LAST)  # a training goes on from the last, so that comes last
        if self._kept_at is not None and time.monotonic() - self._kept_at < KEEP_EVERY_SECONDS:
            return
        for name in self._unkept:
            keep(self._bench.store, weights / name, f"{wish.keeps}/{name}")
        self._unkept, self._kept_at = (LAST,), time.monotonic()
        self._bench.reporter.event(CHECKPOINT_EVENT, {**wish.about, "epoch": event["epoch"]})

    def _tell(self, wish: Apprenticeship, event: Mapping[str, Any]) -> None:
        shown = event["step"] * wish.schedule.batch
        self._bench.reporter.progress(shown, 0, shown)
        if time.monotonic() - self._told_at >= TELL_EVERY_SECONDS:
            self._told_at = time.monotonic()
            self._bench.reporter.event(DETECTOR_EVENT, {**wish.about, **_facts(event)})

    def _fetch(self, frames: Sequence[ExperimentFrame]) -> None:
        """Named by a number: a frame's own name is the user's, and could be anything."""
        images = self._room / "images"
        images.mkdir(exist_ok=True)
        missing = list(dict.fromkeys(frame.image for frame in frames if frame.image not in self._files))
        for image in missing:
            self._files[image] = images / f"{len(self._files):08d}{PurePosixPath(image).suffix}"
        with ThreadPoolExecutor(FETCHERS) as pool:
            list(pool.map(lambda image: self._bench.store.fetch(image, self._files[image]), missing))


def read_detections(data: bytes) -> NDArray[np.float32]:
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False), np.float32)


def keep(store: ObjectStore, file: Path, key: str) -> None:
    with file.open("rb") as source, store.writing(key) as target:
        while block := source.read(1 << 20):
            target.write(block)


def run_prefix(plan_key: str, arm: int, seed: int) -> str:
    """Where what an arm's training with a seed leaves is kept."""
    return keys.experiment(plan_key, "runs", keys.experiment_run(arm, seed))


def machine(device: str) -> dict[str, Any]:
    """What trained: for the report."""
    on_gpu = torch.cuda.is_available() and device != "cpu"
    return {
        "device": torch.cuda.get_device_name(0) if on_gpu else "cpu",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "ultralytics": version("ultralytics"),
    }


def _processor() -> str:
    """Linux says it best; elsewhere Python's word must do."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2] for line in info.read_text().splitlines() if "model name" in line]
        if names:
            return names[0].strip()
    return platform.processor() or platform.machine()


def _facts(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "event"}


def _listed(frame: ExperimentFrame, file: Path) -> LabelledFile:
    width, height = frame.width_px, frame.height_px
    rows = []
    for box, category in zip(frame.boxes, frame.categories, strict=True):
        # boxes may reach beyond the image; what lies there cannot be seen
        x1, x2 = (min(max(0.0, x), width) / width for x in box[::2])
        y1, y2 = (min(max(0.0, y), height) / height for y in box[1::2])
        if x1 < x2 and y1 < y2:
            rows.append((float(category), (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
    return LabelledFile(file, (height, width), tuple(rows))
