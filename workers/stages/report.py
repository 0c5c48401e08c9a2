"""An experiment ends: all trainings are scored on the test set, and a report tells people and machines."""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from PIL import Image

from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import stored_pixels, write_json
from workers.context import Bench, Outcome, ShardTask
from workers.experiment.frames import XYXY, ExperimentFrame, Role, of_role, read_frames
from workers.experiment.recipes import training_frames
from workers.experiment.results import SHOWN_CONFIDENCE, Results, read_test_set
from workers.report.summary import render_summary
from workers.report.verdict import verdict

SHOWN_FRAMES = 8
MONTAGE_QUALITY = 85


def publish_experiment(task: ShardTask, bench: Bench) -> Outcome:
    """Scores every arm and writes report.json, report.html and report.md."""
    # the charting library takes a second to load, for which no other stage should wait
    from workers.report.page import render_page  # noqa: PLC0415

    telling = _Telling(task, bench.store)
    report = telling.report()
    pictures = telling.pictures()
    report["verdict"] = verdict(report)
    bench.store.write(keys.report_page(task.job_id), render_page(report, pictures).encode())
    bench.store.write(keys.report_summary(task.job_id), render_summary(report).encode())
    write_json(bench.store, keys.report(task.job_id), {"kind": str(task.kind), **report})
    return Outcome(facts={"verdict": report["verdict"], "arms": _short(report)})


class _Telling:
    def __init__(self, task: ShardTask, store: ObjectStore) -> None:
        self._task, self._store = task, store
        self._spec: dict[str, Any] = task.spec
        self._frames = read_frames(store, task.plan_key)
        self._categories: list[str] = task.job_outcome["categories"]
        self._runs = [json.loads(store.read(key)) for key in task.parts]
        test = read_test_set(store, of_role(self._frames, Role.TEST), self._categories)
        self._results = Results(self._spec, test, store, task.plan_key)

    def report(self) -> dict[str, Any]:
        spec = self._spec
        return {
            "name": spec["name"],
            "preset": spec["preset"],
            "command": spec["command"],
            "detector": {"name": spec["detector"]["name"], "weights_sha256": spec["detector"]["sha256"]},
            "training": self._training(),
            "seeds": spec["seeds"],
            "baseline": spec["baseline"],
            "upper_bound": spec["upper_bound"],
            "categories": self._categories,
            "ignored_categories": self._task.job_outcome["ignored_categories"],
            "category_map": spec["category_map"],
            "resamples": spec["resamples"],
            "test": self._test(),
            "validation": self._validation(),
            "arms": [self._arm(number, arm) for number, arm in enumerate(spec["arms"])],
            "differences": self._results.differences(),
            "gap_closed": self._results.gap_closed(),
            "frames": [
                {"name": self._results.test.frames[number].name, "spread": spread}
                for number, spread in self._results.most_contested(SHOWN_FRAMES)
            ],
            "leakage": {**self._json("leakage.json"), "insisted": spec["allow_leakage"]},
            "hardware": self._runs[0]["machine"],
            "seconds": self._seconds(),
        }

    def pictures(self) -> dict[str, bytes]:
        """Test frames with the truth and what each arm found, those first where the arms differ most."""
        return {
            self._results.test.frames[number].name: self._picture(number)
            for number, _ in self._results.most_contested(SHOWN_FRAMES)
        }

    def _training(self) -> dict[str, Any]:
        training = dict(self._spec["training"])
        plans = [run["schedule"] for run in self._runs]
        shown = {name: plans[0][name] for name in ("steps", "epochs", "optimizer", "learning_rate")}
        pretraining = None
        if training["pretrain_steps"]:
            facts = self._json("pretraining/facts.json")
            pretraining = {
                "data": self._spec["baseline"],
                **{name: facts[name] for name in ("steps", "frames", "best_epoch", "seconds")},
            }
        return {**training, **shown, "pretraining": pretraining}

    def _test(self) -> dict[str, Any]:
        test, chosen = self._results.test, self._spec["test"]
        scenes = len(set(test.units))
        by_category = test.boxes_by_category()
        return {
            "dataset_id": chosen["dataset_id"],
            "name": chosen["name"],
            "selection": chosen["selection"],
            "frames": len(test.frames),
            "boxes": sum(by_category.values()),
            "boxes_by_category": by_category,
            "unit": "frame" if scenes == len(test.frames) else "scene",
            "units": scenes,
            "images_sha256": _digest(test.frames),
        }

    def _validation(self) -> dict[str, Any]:
        frames = of_role(self._frames, Role.VALIDATION)
        return {"frames": len(frames), "from": dict(Counter(frame.data for frame in frames))}

    def _arm(self, number: int, arm: Mapping[str, Any]) -> dict[str, Any]:
        runs = self._runs_of(arm)
        taught = self._taught(arm)
        frames = training_frames(self._spec, taught, self._frames, self._spec["seeds"][0])
        return {
            "name": arm["name"],
            "kind": "train" if arm["enhance"] is None else "enhance",
            "generator": None if arm["enhance"] is None else _reference(arm["enhance"]),
            "frames": len(frames),
            "boxes": sum(len(frame.boxes) for frame in frames),
            "steps": runs[0]["schedule"]["steps"],
            "parts": [self._part(part, frames) for part in taught["parts"]],
            "seeds": [self._seed(number, run) for run in runs],
            "history": [run["history"] for run in runs] if arm["enhance"] is None else [],
            **self._results.arm_scores(number),
        }

    def _part(self, part: Mapping[str, Any], frames: Sequence[ExperimentFrame]) -> dict[str, Any]:
        chosen = self._spec["data"][part["data"]]
        own = [frame for frame in frames if frame.data == part["data"]]
        return {
            "data": part["data"],
            "dataset_id": chosen["dataset_id"],
            "dataset": chosen["name"],
            "selection": chosen["selection"],
            "share": part["share"],
            "frames": len(own),
            "boxes": sum(len(frame.boxes) for frame in own),
            "sha256": _digest(own),
            "card": json.loads(self._store.read(keys.card(chosen["dataset_id"]))),
        }

    def _seed(self, arm: int, run: Mapping[str, Any]) -> dict[str, Any]:
        scores = self._results.scores[arm][self._spec["seeds"].index(run["seed"])]
        names = ("map50", "map50_95", "precision", "recall", "confidence")
        return {
            "seed": run["seed"],
            **{name: getattr(scores, name) for name in names},
            "best_epoch": run["best_epoch"],
            "epochs": len(run["history"]),
            "steps": run["steps"],
            "seconds": run["seconds"],
        }

    def _taught(self, arm: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arm whose detector it is: enhanced frames are seen by that of the baseline."""
        name = arm["name"] if arm["enhance"] is None else self._spec["baseline"]
        found: Mapping[str, Any] = self._spec["arms"][self._results.arms.index(name)]
        return found

    def _runs_of(self, arm: Mapping[str, Any]) -> list[dict[str, Any]]:
        """In the order of the seeds."""
        number = self._results.arms.index(self._taught(arm)["name"])
        by_seed = {run["seed"]: run for run in self._runs if run["arm"] == number}
        return [by_seed[seed] for seed in self._spec["seeds"]]

    def _seconds(self) -> dict[str, float | None]:
        """Of the trainings alone, one after the other, as they are what takes time."""
        first = None
        if self._spec["training"]["pretrain_steps"]:
            first = self._json("pretraining/facts.json")["seconds"]
        arms = sum(run["seconds"] for run in self._runs)
        return {"total": round(arms + (first or 0.0), 1), "pretraining": first}

    def _picture(self, number: int) -> bytes:
        from workers.report.montage import montage  # noqa: PLC0415 - as the page

        frame, seed = self._results.test.frames[number], self._spec["seeds"][0]
        truth = [
            (box, self._categories[category])
            for box, category in zip(frame.boxes, frame.categories, strict=True)
        ]
        by_arm = {name: self._shown(arm, seed, number) for arm, name in enumerate(self._results.arms)}
        image = Image.fromarray(stored_pixels(self._store, frame.image))
        data = io.BytesIO()
        montage(image, truth, by_arm).convert("RGB").save(data, "JPEG", quality=MONTAGE_QUALITY)
        return data.getvalue()

    def _shown(self, arm: int, seed: int, number: int) -> list[tuple[XYXY, str, float]]:
        seen = self._results.seen(arm, seed)
        sure = seen[(seen[:, 0] == number) & (seen[:, 5] >= SHOWN_CONFIDENCE)]
        ordered = sure[np.argsort(-sure[:, 5], kind="stable")].tolist()
        return [
            ((x1, y1, x2, y2), self._categories[int(category)], confidence)
            for _, x1, y1, x2, y2, confidence, category in ordered
        ]

    def _json(self, name: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._store.read(keys.experiment(self._task.plan_key, name)))
        return data


def _short(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the job itself says of its arms."""
    return [{"name": arm["name"], "frames": arm["frames"], "scores": arm["scores"]} for arm in report["arms"]]


def _reference(card: Mapping[str, Any]) -> str:
    return f"{card['name']}:{card['version']}"


def _digest(frames: Sequence[ExperimentFrame]) -> str:
    """Of a list of frames, whatever its order: two experiments on the same images have the same."""
    return sha256("\n".join(sorted(frame.sha256 for frame in frames)).encode()).hexdigest()
