"""Uploads made of a few tiny pictures, and a bench on which whole jobs run stage by stage."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from service.catalogue import BUNDLED
from service.datasets.formats import Options
from service.datasets.manifest import ManifestEntry
from service.jobs.job import JobKind, ShardPlan, Stage
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.context import Bench, Outcome, PlanCutter, ShardTask
from workers.decoder_process import Decoders
from workers.pipeline import run_stage

CARDS = {card.name: card.to_json() for card in BUNDLED}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """The pictures here are tiny: handing them to a second thread costs more than it brings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _nobody_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    """No generator stays loaded from one test to the next."""
    monkeypatch.setattr("workers.resident_generator._resident", None)
    monkeypatch.setattr("workers.resident_meter._resident", None)


@pytest.fixture(autouse=True, scope="session")
def _same_decoders() -> Iterator[None]:
    """Each job has decoders of its own, which take a third of a second to start; here all share them."""
    decoders = Decoders()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.stages.ingest.decoders_of", lambda _job_id: decoders)
        yield
    decoders.close()


class NotebookReporter:
    """A reporter that writes down what it is told."""

    def __init__(self) -> None:
        self.progressed: list[tuple[int, int, int]] = []
        self.notes: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def progress(self, done: int, failed: int, reading: int) -> None:
        self.progressed.append((done, failed, reading))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def event(self, kind: str, data: dict[str, Any]) -> None:
        self.events.append((kind, data))

    def alive(self) -> None: ...


@dataclass(frozen=True)
class Done:
    """A job that went through all its stages."""

    job_id: str
    result_id: str
    planned: Outcome
    worked: list[Outcome]
    published: Outcome
    store: ObjectStore

    def read(self, name: str) -> bytes:
        """A file of the dataset that came of the job."""
        return self.store.read(keys.dataset(self.result_id, name))

    def json(self, name: str) -> Any:
        return json.loads(self.read(name))

    @property
    def files(self) -> list[str]:
        prefix = keys.dataset(self.result_id)
        return [key.removeprefix(f"{prefix}/") for key in self.store.keys(prefix)]

    @property
    def contents(self) -> dict[str, bytes]:
        return {name: self.read(name) for name in self.files}

    @property
    def manifest(self) -> bytes:
        return self.read("manifest.jsonl")

    @property
    def entries(self) -> list[ManifestEntry]:
        return [ManifestEntry.from_line(line.decode()) for line in self.manifest.split(b"\n")[:-1]]

    @property
    def report(self) -> Any:
        return json.loads(self.store.read(keys.report(self.job_id)))


class Workshop:
    """Runs jobs as the machinery does, every task by way of JSON, but in this process."""

    def __init__(self, store: ObjectStore, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.reporter = NotebookReporter()
        self.bench = Bench(store, settings, self.reporter)
        self._numbers = count(1)
        self._plans: dict[str, ShardTask] = {}

    def upload(self, content: bytes | Mapping[str, Any]) -> str:
        """Store an upload: bytes as they are, a mapping as a zip (bytes and text as they are, else JSON)."""
        upload_id = f"up-{next(self._numbers)}"
        self.store.write(keys.upload(upload_id), content if isinstance(content, bytes) else zipped(content))
        return upload_id

    def ingest(
        self, content: bytes | Mapping[str, Any], frames_per_shard: int | None = None, **wish: Any
    ) -> Done:
        upload_id = self.upload(content)
        spec = {
            "upload_id": upload_id,
            "options": wish.pop("options", Options()).to_json(),
            "exclude_suspects": False,
            "strict": False,
            "licence": "",
            "source": {"upload_id": upload_id, "filename": "streets.zip", "sha256": "0" * 64},
        }
        return self.run(JobKind.INGEST, {**spec, **wish}, frames_per_shard=frames_per_shard)

    def translate(
        self,
        dataset: Done,
        card: str | dict[str, Any] = "identity",
        frames_per_shard: int | None = None,
        **wish: Any,
    ) -> Done:
        row = dataset.published.dataset
        assert row is not None
        spec = {
            "generator": CARDS[card] if isinstance(card, str) else card,
            "selection": {},
            "preview": 0,
            "seed": 0,
            "strength": 1.0,
            "ratio": None,
            "jpeg_quality": 95,
            "batch_size": 1,
            "quality_frames": 0,
            "categories": row["categories"],
            "format": row["format"],
        }
        return self.run(
            JobKind.TRANSLATION,
            {**spec, **wish},
            dataset_id=dataset.result_id,
            frames_per_shard=frames_per_shard,
        )

    def train(self, day: Done, night: Done, recipe_toml: str = "", **wish: Any) -> Done:
        return self.run(JobKind.TRAINING, training_spec(day, night, recipe_toml, **wish), day.result_id)

    def measure(self, done: Done, reference: Done | None = None, **wish: Any) -> Done:
        def chosen(dataset: Done) -> dict[str, Any]:
            return {"dataset_id": dataset.result_id, "name": f"set {dataset.result_id}", "selection": {}}

        spec = {
            "dataset": chosen(done),
            "reference": None if reference is None else chosen(reference),
            "backbone": {"name": "streetnet", "upload_id": None},
        }
        return self.run(JobKind.QUALITY, {**spec, **wish}, done.result_id)

    def run(
        self,
        kind: JobKind,
        spec: dict[str, Any],
        dataset_id: str | None = None,
        frames_per_shard: int | None = None,
    ) -> Done:
        plan = self.first_task(kind, spec, dataset_id)
        planned = self.do(plan)
        parts = planned.parts if frames_per_shard is None else recut(self.store, plan, frames_per_shard)
        tasks = [self.work_task(plan, planned, part, index) for index, part in enumerate(parts, start=1)]
        worked = [self.do(task) for task in tasks]
        results = tuple(task.result_key for task in tasks)
        publish = replace(plan, stage=Stage.PUBLISH, job_outcome=planned.facts, parts=results)
        published = self.do(publish)
        return Done(plan.job_id, str(plan.result_id), planned, worked, published, self.store)

    def first_task(self, kind: JobKind, spec: dict[str, Any], dataset_id: str | None = None) -> ShardTask:
        number = next(self._numbers)
        job_id = self.job_id = f"job-{number}"
        self._plans[job_id] = ShardTask(
            job_id=job_id,
            kind=kind,
            stage=Stage.PLAN,
            spec=spec,
            dataset_id=dataset_id,
            result_id=None if spec.get("preview") else f"ds-{number}",
            job_outcome={},
            plan_key=keys.plan(job_id),
            result_key=keys.shard_result(job_id, 0),
            start_byte=0,
            stop_byte=0,
        )
        return self._plans[job_id]

    def work_task(self, plan: ShardTask, planned: Outcome, part: ShardPlan, index: int) -> ShardTask:
        return replace(
            plan,
            stage=Stage.WORK,
            job_outcome=planned.facts,
            result_key=keys.shard_result(plan.job_id, index),
            start_byte=part.start_byte,
            stop_byte=part.stop_byte,
            position=part.position,
        )

    def do(self, task: ShardTask) -> Outcome:
        return run_stage(ShardTask.from_json(json.loads(json.dumps(task.to_json()))), self.bench)

    def first_task_of(self, done: Done) -> ShardTask:
        """The planning task of a job that was done, to repeat parts of it."""
        return self._plans[done.job_id]

    @property
    def rejection(self) -> Any:
        """The report of the last job, which was refused."""
        return json.loads(self.store.read(keys.report(self.job_id)))


def training_spec(day: Done, night: Done, recipe_toml: str, **wish: Any) -> dict[str, Any]:
    """As `service.jobs.submit` writes it."""
    return {
        "architecture": "cyclegan",
        "names": ["my-night", "my-night-night2day"],
        "version": 1,
        "day": {"dataset_id": day.result_id, "name": "days", "selection": {"split": ["train"]}},
        "night": {"dataset_id": night.result_id, "name": "nights", "selection": {"split": ["train"]}},
        "recipe": "default",
        "recipe_toml": recipe_toml,
        "steps": 0,
        "seed": None,
        "direction": "",
        "backbone_upload_id": None,
        **wish,
    }


def recut(store: ObjectStore, plan: ShardTask, frames_per_shard: int) -> list[ShardPlan]:
    cutter = PlanCutter()
    for line in store.lines(plan.plan_key):
        cutter.add(line)
    return cutter.cut(frames_per_shard)


def zipped(members: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            is_plain = isinstance(content, (bytes, str))
            archive.writestr(name, content if is_plain else json.dumps(content))
    return buffer.getvalue()


def smooth_pixels(width: int, height: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Slow gradients that differ from corner to corner: JPEG keeps them nearly as they are."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 40 + 180 * x / width, 60 + 150 * y / height
    blue = 30 + (seed * 37) % 120 + 60 * (x + y) / (width + height)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def encoded(pixels: Any, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def picture(width: int = 48, height: int = 32, seed: int = 0, form: str = "JPEG") -> bytes:
    return encoded(smooth_pixels(width, height, seed), form)


def bdd100k_upload(frames: int = 5, **changes: Any) -> dict[str, Any]:
    """BDD100K's det_20 layout, the last frame in val; `changes` go into every frame's attributes."""
    members: dict[str, Any] = {}
    records: dict[str, list[Any]] = {"train": [], "val": []}
    for number in range(frames):
        split = "val" if number == frames - 1 else "train"
        name = f"frame-{number}.jpg"
        members[f"bdd100k/images/100k/{split}/{name}"] = picture(48 + number, 33 + number, seed=number)
        attributes = {"weather": "clear", "scene": "city street", "timeofday": "daytime", **changes}
        labels = [
            {
                "id": f"{number}-0",
                "category": "car",
                "attributes": {"occluded": True},
                "box2d": {"x1": 3.25, "y1": 4.5, "x2": 20.125 + number, "y2": 21},
            },
            {"id": f"{number}-1", "category": "other vehicle", "box2d": {"x1": 1, "y1": 2, "x2": 9, "y2": 9}},
            {"id": f"{number}-2", "category": "lane", "poly2d": [{"vertices": [[0, 0], [5, 5]]}]},
        ]
        records[split].append({"name": name, "attributes": attributes, "timestamp": 10_000, "labels": labels})
    for split, listed in records.items():
        members[f"bdd100k/labels/det_20/det_{split}.json"] = listed
    return members


def yolo_upload() -> dict[str, Any]:
    return {
        "set/data.yaml": "train: images/train\nval: images/val\nnames: [car, 'traffic light']\npath: /else\n",
        "set/images/train/a.jpg": picture(seed=1),
        "set/images/train/b.png": picture(50, 35, seed=2, form="PNG"),
        "set/images/val/c.jpg": picture(seed=3),
        "set/labels/train/a.txt": "1 0.5 0.5 0.25 0.5\n0 0.25 0.25 0.125 0.25\n",
        "set/labels/train/b.txt": "",
        "set/labels/val/c.txt": "0 0.5 0.5 0.5 0.5\n",
    }


def coco_upload() -> dict[str, Any]:
    images = [
        {"id": 7, "file_name": "a.jpg", "width": 48, "height": 32, "attributes": {"timeofday": "daytime"}},
        {"id": 9, "file_name": "b.jpg", "width": 48, "height": 32},
    ]
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 5, 10.5, 8], "area": 84, "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 1, "bbox": [0, 0, 48, 32], "area": 1536, "iscrowd": 1},
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    return {
        "annotations/instances_train.json": {
            "images": images,
            "annotations": annotations,
            "categories": categories,
        },
        "train/a.jpg": picture(seed=1),
        "train/b.jpg": picture(seed=2),
    }


UPLOADS: dict[str, Callable[..., dict[str, Any]]] = {
    "bdd100k": bdd100k_upload,
    "yolo": yolo_upload,
    "coco": coco_upload,
}


class Kit:
    """The helpers above, for tests: they are handed out by a fixture, as test folders are no packages."""

    smooth_pixels = staticmethod(smooth_pixels)
    encoded = staticmethod(encoded)
    picture = staticmethod(picture)
    zipped = staticmethod(zipped)
    training_spec = staticmethod(training_spec)
    cards = CARDS

    @staticmethod
    def upload(layout: str, **options: Any) -> dict[str, Any]:
        return UPLOADS[layout](**options)

    @staticmethod
    def sha256(data: bytes) -> str:
        return sha256(data).hexdigest()


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()


@pytest.fixture
def workshop(store: ObjectStore, settings: Settings) -> Workshop:
    return Workshop(store, settings.model_copy(update={"device": "cpu"}))
