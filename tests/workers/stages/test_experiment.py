"""An experiment as a job: what it refuses before it trains, what it trains on, what it leaves, and that a
fault in the middle changes nothing.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.detection.detector_process import DetectorMissing
from service.errors import InvalidRequest
from service.jobs.job import CHECKPOINT_EVENT, DETECTOR_EVENT, JobKind, Stage
from service.storage import keys
from workers.experiment.detector import LAST, read_detections, run_prefix
from workers.experiment.frames import ExperimentFrame, Role, of_role, read_frames

STEPS = 4


class Killed(BaseException):
    """Ends a stage as SIGKILL would: nothing in it gets to react."""


def scene(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture like no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), np.uint8))


class Lab:
    """Datasets to experiment with."""

    def __init__(self, workshop: Any, kit: Any) -> None:
        self.workshop, self._kit = workshop, kit

    def day(self, train: int = 4, val: int = 1, seed: int = 0, quality: int = 95) -> Any:
        """Frames with boxes of all three categories to train on, and to validate on."""
        members = {"data.yaml": "train: images/train\nval: images/val\nnames: [car, truck, person]\n"}
        boxes = "0 0.25 0.25 0.3 0.4\n0 0.7 0.4 0.2 0.5\n1 0.5 0.7 0.4 0.3\n2 0.8 0.8 0.2 0.3\n"
        for number in range(train + val):
            split = "train" if number < train else "val"
            picture = self._kit.encoded(scene(100 * seed + number), quality=quality)
            members[f"images/{split}/{seed}-{number}.jpg"] = picture
            members[f"labels/{split}/{seed}-{number}.txt"] = boxes
        return self.workshop.ingest(members)

    def spec(
        self, data: dict[str, Any], test: Any, arms: list[dict[str, Any]], **more: Any
    ) -> dict[str, Any]:
        """As `service.jobs.experiments` writes it."""
        training = {
            "steps": STEPS, "epochs": 2, "batch": 2, "image_px": 64, "patience": 100, "budget": "steps",
            "pretrain_steps": 0, "learning_rate": None,
        }  # fmt: skip
        chosen = {
            name: {"dataset_id": done.result_id, "name": name, "selection": {"split": ["train"]}}
            for name, done in data.items()
        }
        return {
            "name": "a study",
            "detector": {"name": "yolov8n", "upload_id": None, "sha256": None, "filename": None},
            "data": chosen, "test": {"dataset_id": test.result_id, "name": "tests", "selection": {}},
            "arms": arms, "seeds": [0], "baseline": "day", "upper_bound": None,
            "training": {**training, **more.pop("training", {})},
            "frames_at_most": None, "scales": False, "test_at_most": None, "validation_frames": 500,
            "category_map": {}, "categories": None, "scenes": {}, "scene_attribute": "", "resamples": 100,
            "allow_leakage": False, "preset": None, "command": "nightshift experiment", **more,
        }  # fmt: skip

    def planned(self, spec: dict[str, Any]) -> list[ExperimentFrame]:
        task = self.workshop.first_task(JobKind.EXPERIMENT, spec)
        self.workshop.do(task)
        return read_frames(self.workshop.store, task.plan_key)


def arm(*data: str, name: str = "", enhance: dict[str, Any] | None = None) -> dict[str, Any]:
    parts = [{"data": each, "share": 1.0, "frames": None} for each in data]
    return {"name": name or "+".join(data), "parts": parts, "enhance": enhance}


@pytest.fixture
def lab(workshop: Any, kit: Any) -> Lab:
    return Lab(workshop, kit)


def test_frames_are_there_for_one_thing_each(lab: Lab) -> None:
    day, test = lab.day(4, 2), lab.day(3, 1, seed=1)
    frames = lab.planned(lab.spec({"day": day}, test, [arm("day")]))
    assert {role: len(of_role(frames, role)) for role in Role} == {"train": 4, "validation": 2, "test": 4}
    entry = next(each for each in day.entries if each.frame.split == "train" and each.frame.boxes)
    frame = next(each for each in frames if each.sha256 == entry.sha256)
    kept = [box for box in entry.frame.boxes if not box.is_ignored]
    assert frame.boxes == tuple(box.xyxy for box in kept)
    row = day.published.dataset
    assert [row["categories"][number] for number in frame.categories] == [box.category for box in kept]


def test_real_night_frames_are_never_validated_on_but_translated_ones_are(lab: Lab) -> None:
    day = lab.day(4, 2)
    data = {
        "day": day,
        "night": lab.day(3, 2, seed=1),
        "synthetic": lab.workshop.translate(day, "identity", jpeg_quality=80),
    }
    spec = lab.spec(data, lab.day(2, 1, seed=2), [arm("day"), arm("day", "night"), arm("day", "synthetic")])
    validated = of_role(lab.planned(spec), Role.VALIDATION)
    assert sorted(frame.data for frame in validated) == ["day", "day", "synthetic", "synthetic"]


def test_without_a_validation_split_some_frames_are_held_out_with_their_translations(lab: Lab) -> None:
    day = lab.day(12, 0)
    data = {"day": day, "synthetic": lab.workshop.translate(day, "identity", jpeg_quality=80)}
    frames = lab.planned(lab.spec(data, lab.day(2, 1, seed=2), [arm("day"), arm("day", "synthetic")]))
    origins = {
        (data, role): {frame.origin for frame in of_role(frames, role) if frame.data == data}
        for data in ("day", "synthetic")
        for role in (Role.TRAIN, Role.VALIDATION)
    }
    assert origins["day", Role.VALIDATION]
    assert origins["day", Role.VALIDATION] == origins["synthetic", Role.VALIDATION]
    assert not origins["day", Role.VALIDATION] & origins["synthetic", Role.TRAIN]


def test_the_test_split_is_meant_where_there_is_one(lab: Lab, kit: Any) -> None:
    upload = {
        "data.yaml": "train: images/train\ntest: images/test\nnames: [car]\n",
        **{f"images/{split}/{split}.jpg": kit.picture(seed=n) for n, split in enumerate(("train", "test"))},
        **{f"labels/{split}/{split}.txt": "0 0.5 0.5 0.5 0.5\n" for split in ("train", "test")},
    }
    tested = lab.workshop.ingest(upload)
    frames = lab.planned(lab.spec({"day": lab.day()}, tested, [arm("day")], allow_leakage=True))
    assert [frame.name for frame in of_role(frames, Role.TEST)] == ["test.jpg"]


def test_categories_are_renamed_and_others_left_out(lab: Lab) -> None:
    spec = lab.spec(
        {"day": lab.day()}, lab.day(3, 1, seed=1), [arm("day")],
        category_map={"truck": "car"}, categories=["person", "car"],
    )  # fmt: skip
    frames = lab.planned(spec)
    assert all(frame.categories == (1, 1, 1, 0) for frame in frames)
    plain = lab.planned({**spec, "category_map": {}, "categories": ["car"]})
    cars = [sum(len(frame.boxes) for frame in each) / len(each) for each in (frames, plain)]
    assert cars == [4, 2]


def test_a_test_set_without_boxes_is_refused(lab: Lab, kit: Any) -> None:
    empty = {"data.yaml": "train: images/train\nnames: [car]\n", "images/train/a.jpg": kit.picture()}
    tested = lab.workshop.ingest({**empty, "labels/train/a.txt": ""})
    with pytest.raises(InvalidRequest, match="The test frames have no box of"):
        lab.planned(lab.spec({"day": lab.day()}, tested, [arm("day")]))


def test_no_category_in_common_is_refused_and_both_sides_are_named(lab: Lab, kit: Any) -> None:
    signs = {
        "data.yaml": "train: images/train\nval: images/val\nnames: [car, sign]\n",
        **{f"images/{split}/{split}.jpg": kit.picture(seed=n) for n, split in enumerate(("train", "val"))},
        **{f"labels/{split}/{split}.txt": "1 0.5 0.5 0.5 0.5\n" for split in ("train", "val")},
    }
    cars = {
        **signs,
        "labels/train/train.txt": "0 0.5 0.5 0.5 0.5\n",
        "images/train/train.jpg": kit.picture(seed=7),
    }
    spec = lab.spec({"day": lab.workshop.ingest(signs)}, lab.workshop.ingest(cars), [arm("day")])
    spec["test"]["selection"] = {"split": ["train"]}
    with pytest.raises(InvalidRequest, match=r"Trained is on sign \(1\), tested on car \(1\)"):
        lab.planned(spec)


def test_test_frames_that_are_trained_on_are_refused_unless_insisted(lab: Lab) -> None:
    day = lab.day(4, 1)
    spec = lab.spec({"day": day}, day, [arm("day")])
    with pytest.raises(InvalidRequest, match="5 test frames are also trained or validated on") as refusal:
        lab.planned(spec)
    assert "--allow-leakage" in refusal.value.cure
    lab.planned({**spec, "allow_leakage": True})
    task = lab.workshop.first_task(JobKind.EXPERIMENT, {**spec, "allow_leakage": True})
    lab.workshop.do(task)
    found = json.loads(lab.workshop.store.read(keys.experiment(task.plan_key, "leakage.json")))
    assert len(found["identical"]) == 5


def test_a_translation_of_a_trained_frame_is_leakage_too(lab: Lab) -> None:
    day = lab.day(4, 1)
    with pytest.raises(InvalidRequest, match="test frames are also trained"):
        lab.planned(
            lab.spec({"day": day}, lab.workshop.translate(day, "identity", jpeg_quality=80), [arm("day")])
        )


def test_the_same_picture_at_another_quality_is_leakage_too(lab: Lab) -> None:
    day, again = lab.day(4, 1), lab.day(1, 0, quality=60)
    with pytest.raises(
        InvalidRequest, match=r"1 test frames are also trained .*: 0-0\.jpg = 0-0\.jpg \(day\)"
    ):
        lab.planned(lab.spec({"day": day}, again, [arm("day")]))


def test_every_arm_and_seed_is_a_shard_and_counts_the_images_it_shows(lab: Lab) -> None:
    day = lab.day()
    data = {"day": day, "synthetic": lab.workshop.translate(day, "identity", jpeg_quality=80)}
    arms = [
        arm("day"),
        arm("day", "synthetic"),
        arm(name="enhance:x", enhance={"name": "x", "version": 1}),
    ]
    spec = lab.spec(data, lab.day(2, 1, seed=1), arms, seeds=[0, 7])
    task = lab.workshop.first_task(JobKind.EXPERIMENT, spec)
    planned = lab.workshop.do(task)
    runs = [json.loads(line) for line in lab.workshop.store.lines(task.plan_key)]
    assert [(run["arm"], run["seed"]) for run in runs] == [(0, 0), (1, 0), (0, 7), (1, 7)]
    assert [part.frames_total for part in planned.parts] == [STEPS * 2] * 4


def test_a_detector_file_that_is_not_allowed_here_is_refused_by_its_hash(lab: Lab, kit: Any) -> None:
    upload = lab.workshop.upload(b"a pickle")
    digest = kit.sha256(b"a pickle")
    given = {"name": "best", "upload_id": upload, "sha256": digest, "filename": "best.pt"}
    spec = lab.spec({"day": lab.day()}, lab.day(2, 1, seed=1), [arm("day")], detector=given)
    with pytest.raises(InvalidRequest, match=rf"best.pt \(sha256 {digest}\) is not allowed"):
        lab.planned(spec)


def test_a_worker_without_the_detector_says_so_at_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.detection.detector_process.find_spec", lambda _: None)
    with pytest.raises(DetectorMissing, match="Ultralytics is not installed"):
        lab.planned(lab.spec({"day": lab.day()}, lab.day(2, 1, seed=1), [arm("day")]))


@pytest.fixture
def study(lab: Lab, kit: Any) -> dict[str, Any]:
    day = lab.day(6, 2)
    data = {"day": day, "synthetic": lab.workshop.translate(day, "identity", jpeg_quality=80)}
    card = kit.cards["sci-night2day"]
    arms = [arm("day"), arm("day", "synthetic"), arm(name="enhance:sci-night2day", enhance=card)]
    return lab.spec(data, lab.day(4, 1, seed=1), arms)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_experiment_ends_in_a_report(lab: Lab, study: dict[str, Any]) -> None:
    spec = {**study, "seeds": [0, 1], "training": {**study["training"], "pretrain_steps": 2}}
    done = lab.workshop.run(JobKind.EXPERIMENT, spec)
    report = done.report
    assert [each["name"] for each in report["arms"]] == ["day", "day+synthetic", "enhance:sci-night2day"]
    assert [each["frames"] for each in report["arms"]] == [6, 12, 6]
    assert [each["steps"] for each in report["arms"]] == [STEPS] * 3
    assert report["training"]["pretraining"]["steps"] == 2
    assert report["test"]["frames"] == 5
    assert report["test"]["boxes"] == sum(report["test"]["boxes_by_category"].values()) > 0
    assert len(report["differences"]) == 4
    assert report["verdict"] == done.published.facts["verdict"]
    for each in report["arms"]:
        assert [run["seed"] for run in each["seeds"]] == [0, 1]
        assert 0 <= each["scores"]["map50"]["mean"] <= 1
    page = lab.workshop.store.read(keys.report_page(done.job_id)).decode()
    assert report["verdict"].split(":")[0] in page
    assert "day+synthetic" in lab.workshop.store.read(keys.report_summary(done.job_id)).decode()
    told = [data for kind, data in lab.workshop.reporter.events if kind == DETECTOR_EVENT]
    assert {each["arm"] for each in told} == {"pretraining", "day", "day+synthetic"}
    assert told[-1]["step"] == STEPS
    assert any(kind == CHECKPOINT_EVENT for kind, _ in lab.workshop.reporter.events)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_training_goes_on_and_sees_the_same_boxes(
    lab: Lab, study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = lab.workshop.first_task(JobKind.EXPERIMENT, {**study, "arms": study["arms"][:1]})
    planned = lab.workshop.do(plan)
    store, task = lab.workshop.store, lab.workshop.work_task(plan, planned, planned.parts[0], 1)
    reporter = lab.workshop.reporter

    def event(kind: str, data: dict[str, Any]) -> None:
        if kind == CHECKPOINT_EVENT and data["epoch"] == 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(reporter, "event", event)
        with pytest.raises(Killed):
            lab.workshop.do(task)
    seen = f"{run_prefix(plan.plan_key, 0, 0)}/{keys.DETECTIONS}"
    assert store.exists(f"{run_prefix(plan.plan_key, 0, 0)}/{LAST}")
    assert not store.exists(seen)
    lab.workshop.do(task)
    resumed = read_detections(store.read(seen))
    for key in store.keys(run_prefix(plan.plan_key, 0, 0)):
        store.delete(key)
    lab.workshop.do(replace(task, stage=Stage.WORK))
    assert np.array_equal(resumed, read_detections(store.read(seen)))
