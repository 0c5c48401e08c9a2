"""One training of an experiment: an arm with a seed, to the end, then a look at the test frames.

It is one shard. Its checkpoints are in the store, and whoever takes it up again goes on from the last.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from service.storage import keys
from workers.artifacts import write_json
from workers.context import Bench, Outcome, ShardTask
from workers.experiment.detector import BEST, Apprenticeship, Workshop, machine, run_prefix
from workers.experiment.enhancement import enhanced
from workers.experiment.frames import Role, of_role, read_frames
from workers.experiment.recipes import training_frames
from workers.experiment.schedule import schedule


def train_detector(task: ShardTask, bench: Bench) -> Outcome:
    """Raises:
    GeneratorError: the detector's process says why it cannot go on.
    """
    run = json.loads(task.lines(bench.store)[0])
    with tempfile.TemporaryDirectory(prefix="experiment-") as folder:
        training = _Training(task, bench, run, Path(folder))
        facts = training.carried_out()
    write_json(bench.store, task.result_key, {**run, **facts, "machine": machine(bench.settings.device)})
    return Outcome(frames_done=run["images"])


class _Training:
    def __init__(self, task: ShardTask, bench: Bench, run: dict[str, Any], room: Path) -> None:
        self._task, self._bench, self._room = task, bench, room
        self._spec: dict[str, Any] = task.spec
        self._arm, self._seed = int(run["arm"]), int(run["seed"])
        self._frames = read_frames(bench.store, task.plan_key)
        self._tested = of_role(self._frames, Role.TEST)
        self._learnt = training_frames(task.spec, task.spec["arms"][self._arm], self._frames, self._seed)
        self._categories = tuple(task.job_outcome["categories"])
        self._schedule = schedule(
            task.spec["training"], int(run["baseline_frames"]), len(self._learnt), len(self._categories)
        )

    def carried_out(self) -> dict[str, Any]:
        with Workshop(self._room, self._bench) as workshop:
            facts = workshop.train(self._wish())
            self._look(workshop, self._arm, workshop.listed(self._tested))
            for number, arm in enumerate(self._spec["arms"]):
                if arm["enhance"] is not None and self._name == self._spec["baseline"]:
                    self._look_enhanced(workshop, number, arm["enhance"])
        return {**facts, "schedule": asdict(self._schedule)}

    @property
    def _name(self) -> str:
        return str(self._spec["arms"][self._arm]["name"])

    @property
    def _weights(self) -> str:
        return f"{run_prefix(self._task.plan_key, self._arm, self._seed)}/{BEST}"

    def _wish(self) -> Apprenticeship:
        training = self._spec["training"]
        return Apprenticeship(
            detector=self._spec["detector"]["name"],
            categories=self._categories,
            image_px=training["image_px"],
            patience=training["patience"],
            seed=self._seed,
            schedule=self._schedule,
            frames=self._learnt,
            validation=of_role(self._frames, Role.VALIDATION),
            start=self._task.job_outcome["start"],
            keeps=run_prefix(self._task.plan_key, self._arm, self._seed),
            about={"arm": self._name, "seed": self._seed},
        )

    def _look(self, workshop: Workshop, arm: int, files: list[Any]) -> None:
        seen = workshop.detections(self._weights, files, self._spec["training"]["image_px"])
        key = f"{run_prefix(self._task.plan_key, arm, self._seed)}/{keys.DETECTIONS}"
        self._bench.store.write(key, seen)

    def _look_enhanced(self, workshop: Workshop, number: int, card: dict[str, Any]) -> None:
        with torch.inference_mode():
            files = enhanced(self._tested, number, card, self._task.plan_key, self._bench, self._room)
        self._look(workshop, number, files)
