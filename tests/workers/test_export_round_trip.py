"""What is downloaded in any form and uploaded again is the same dataset."""

import io
import json
import zipfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from service.datasets import bdd100k
from service.datasets.dataset import Box, Frame, Split
from service.datasets.manifest import ManifestEntry, canonical_labels
from service.datasets.plan import Options
from service.exports import ExportFormat, export_zip
from service.jobs.job import DatasetState, JobKind, Stage
from service.jobs.records import Dataset
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import read_manifest
from workers.context import Bench, ShardTask
from workers.images import encode_jpeg
from workers.stages.assemble import assemble_dataset
from workers.stages.ingest import ingest_frames, plan_ingest


class Silence:
    def progress(self, done: int, failed: int, reading: int) -> None: ...

    def note(self, text: str) -> None: ...

    def alive(self) -> None: ...


@dataclass
class Workshop:
    """Runs the stages of an ingest, one after the other, on a store."""

    store: ObjectStore
    settings: Settings

    def ingest(self, name: str, content: bytes) -> Dataset:
        bench = Bench(self.store, self.settings, Silence())
        self.store.write(keys.upload(name), content)
        spec: dict[str, Any] = {
            "upload_id": name, "options": Options().to_json(), "exclude_suspects": False, "strict": True,
            "licence": "", "source": {"filename": name},
        }  # fmt: skip
        task = ShardTask(
            f"job-{name}",
            JobKind.INGEST,
            Stage.PLAN,
            spec,
            None,
            name,
            {},
            f"jobs/job-{name}/plan.jsonl",
            "",
            0,
            0,
        )
        plan = plan_ingest(task, bench)
        parts = []
        for part in plan.parts:
            parts.append(f"jobs/job-{name}/shards/{part.position}.jsonl")
            work = replace(
                task, stage=Stage.WORK, job_outcome=plan.facts, result_key=parts[-1],
                start_byte=part.start_byte, stop_byte=part.stop_byte,
            )  # fmt: skip
            ingest_frames(work, bench)
        row = assemble_dataset(
            replace(task, stage=Stage.PUBLISH, job_outcome=plan.facts, parts=tuple(parts)), bench
        ).dataset
        assert row is not None
        return Dataset(
            id=name, tenant="local", name=name, state=DatasetState.READY, version=1, job_id="", source={},
            format=row["format"], categories=row["categories"], counts=row["counts"],
            size_bytes=row["size_bytes"], created_at=0.0,
        )  # fmt: skip

    def labels(self, dataset: Dataset) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            (str(entry.frame.split), entry.frame.id): canonical_labels(entry.frame)
            for entry in read_manifest(self.store, dataset.id)
        }


@pytest.fixture
def workshop(store: ObjectStore, settings: Settings) -> Workshop:
    return Workshop(store, settings)


def frame(number: int, split: Split) -> Frame:
    boxes = (
        Box(
            (1.5, 2.25, 30.125, 40.0),
            "car",
            id=f"{number}-0",
            attributes={"occluded": True, "truncated": False},
        ),
        Box((0.0, 0.0, 8.0, 9.5), "traffic light", id=f"{number}-1", attributes={"trafficLightColor": "R"}),
        Box((20.0, 20.0, 33.0, 44.0), "truck", id=f"{number}-2", is_ignored=True),
    )
    attributes = {"weather": "rainy", "scene": "tunnel", "timeofday": "daytime"}
    return Frame(
        f"f{number}.jpg", f"f{number}", split, 64, 48, boxes, attributes,
        other_labels=({"category": "lane", "id": "9", "poly2d": [{"vertices": [[1, 2], [3, 4]]}]},),
        extra={"timestamp": 10000, "videoName": "v", "somethingNew": {"deep": [1, None]}},
    )  # fmt: skip


def bdd100k_zip() -> bytes:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for split, numbers in ((Split.TRAIN, range(5)), (Split.VAL, range(5, 7))):
            frames = [frame(number, split) for number in numbers]
            archive.writestr(f"labels/det_20/det_{split}.json", "".join(bdd100k.write_det20(frames)))
            for each in frames:
                pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
                archive.writestr(f"images/100k/{split}/{each.name}", encode_jpeg(pixels, 90))
    return buffer.getvalue()


def image_bytes(store: ObjectStore, dataset: Dataset) -> dict[tuple[str, str], str]:
    entries: list[ManifestEntry] = list(read_manifest(store, dataset.id))
    return {(str(entry.frame.split), entry.frame.id): entry.sha256 for entry in entries}


def test_a_bdd100k_download_is_the_same_dataset_with_every_attribute(workshop: Workshop) -> None:
    first = workshop.ingest("first", bdd100k_zip())
    again = workshop.ingest("again", b"".join(export_zip(workshop.store, first, ExportFormat.BDD100K)))
    assert workshop.labels(again) == workshop.labels(first)
    before = [entry.frame for entry in read_manifest(workshop.store, "first")]
    after = [entry.frame for entry in read_manifest(workshop.store, "again")]
    assert after == before
    assert image_bytes(workshop.store, again) == image_bytes(workshop.store, first)


@pytest.mark.parametrize("form", [ExportFormat.COCO, ExportFormat.YOLO])
def test_a_download_in_another_form_keeps_images_splits_and_boxes(
    workshop: Workshop, form: ExportFormat
) -> None:
    first = workshop.ingest("first", bdd100k_zip())
    again = workshop.ingest("again", b"".join(export_zip(workshop.store, first, form)))
    assert image_bytes(workshop.store, again) == image_bytes(workshop.store, first)
    for before, after in zip(
        read_manifest(workshop.store, "first"), read_manifest(workshop.store, "again"), strict=True
    ):
        wanted = [box for box in before.frame.boxes if form is ExportFormat.COCO or not box.is_ignored]
        assert [box.category for box in after.frame.boxes] == [box.category for box in wanted]
        for box, original in zip(after.frame.boxes, wanted, strict=True):
            assert box.xyxy == pytest.approx(original.xyxy, abs=1e-6)


def test_a_coco_download_names_the_images_by_where_they_lie(workshop: Workshop) -> None:
    first = workshop.ingest("first", bdd100k_zip())
    data = b"".join(export_zip(workshop.store, first, ExportFormat.COCO))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        labels = json.loads(archive.read("annotations/instances_val.json"))
        lying = {name for name in archive.namelist() if name.startswith("images/val/")}
    assert {f"images/val/{image['file_name']}" for image in labels["images"]} == lying
