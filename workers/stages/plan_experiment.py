"""An experiment begins: its frames are chosen and checked, and every training becomes a shard.

Where the arms start from one common detector, it is trained here, before they are cut.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.detection.detector_process import check_installed
from service.datasets.data_yaml import parse_data_yaml
from service.jobs.job import ShardPlan
from service.storage import keys
from workers.artifacts import write_json
from workers.context import Bench, Outcome, PlanCutter, ShardTask
from workers.experiment.checks import leakage, refuse_leakage, refuse_unscorable
from workers.experiment.detector import BEST, Apprenticeship, Workshop
from workers.experiment.frames import (
    ExperimentFrame,
    Labels,
    Role,
    gather,
    labels_of,
    of_role,
    write_frames,
)
from workers.experiment.recipes import training_frames
from workers.experiment.registered import start_weights
from workers.experiment.schedule import pretraining_schedule, schedule


def plan_experiment(task: ShardTask, bench: Bench) -> Outcome:
    """Raises:
    InvalidRequest: something does not fit: too few frames, no boxes to score, a test set that was trained on.
    GeneratorError: detectors cannot be trained here.
    """
    check_installed()
    spec, store = task.spec, bench.store
    known = _known_categories(spec, bench)
    labels = labels_of(spec, known)
    frames = gather(spec, store, labels)
    refuse_unscorable(frames, labels)
    start = start_weights(spec, bench)
    runs = list(_runs(spec, frames, labels))  # an arm that cannot be made shows now
    found = leakage(frames, store)
    if not spec["allow_leakage"]:
        refuse_leakage(found)
    write_json(store, keys.experiment(task.plan_key, "leakage.json"), found)
    write_frames(store, task.plan_key, frames)
    if spec["training"]["pretrain_steps"]:
        start = _pretrain(task, bench, frames, labels, start)
    parts = _write_plan(task, bench, runs)
    counts = {str(role): len(of_role(frames, role)) for role in Role}
    facts = {
        "frames": counts,
        "categories": list(labels.learnt),
        "ignored_categories": [name for name in known if labels.number(name) is None],
        "start": start,
    }
    return Outcome(parts=parts, facts=facts)


def _known_categories(spec: Mapping[str, Any], bench: Bench) -> tuple[str, ...]:
    """Of the dataset that the baseline trains on, in its order."""
    baseline = next(arm for arm in spec["arms"] if arm["name"] == spec["baseline"])
    key = keys.data_yaml(spec["data"][baseline["parts"][0]["data"]]["dataset_id"])
    stored = parse_data_yaml(bench.store.read(key), key)
    return () if stored is None else stored.names


def _runs(spec: Mapping[str, Any], frames: Sequence[ExperimentFrame], labels: Labels) -> list[dict[str, Any]]:
    """Every training: an arm with a seed, and how many images it shows. Seed by seed, so that a first
    comparison is there early.
    """
    arms = [(number, arm) for number, arm in enumerate(spec["arms"]) if arm["enhance"] is None]
    runs = []
    for seed in spec["seeds"]:
        sizes = {number: len(training_frames(spec, arm, frames, seed)) for number, arm in arms}
        baseline = next(sizes[number] for number, arm in arms if arm["name"] == spec["baseline"])
        for number, _ in arms:
            plan = schedule(spec["training"], baseline, sizes[number], len(labels.learnt))
            runs.append({"arm": number, "seed": seed, "baseline_frames": baseline, "images": plan.images})
    return runs


def _write_plan(task: ShardTask, bench: Bench, runs: Sequence[Mapping[str, Any]]) -> list[ShardPlan]:
    """A shard is one line: one training."""
    cutter = PlanCutter()
    with bench.store.writing(task.plan_key) as file:
        for run in runs:
            file.write(cutter.add(json.dumps(run).encode()))
    shown = 0
    parts = []
    for part, run in zip(cutter.cut(1), runs, strict=True):
        parts.append(ShardPlan(part.start_byte, part.stop_byte, shown, run["images"]))
        shown += run["images"]
    return parts


def _pretrain(
    task: ShardTask, bench: Bench, frames: Sequence[ExperimentFrame], labels: Labels, start: str | None
) -> str:
    """The common start of all arms, trained on the baseline's frames. Returns the key of its weights."""
    spec, training = task.spec, task.spec["training"]
    baseline = next(arm for arm in spec["arms"] if arm["name"] == spec["baseline"])
    seed = spec["seeds"][0]
    prefix = keys.experiment(task.plan_key, "pretraining")
    wish = Apprenticeship(
        detector=spec["detector"]["name"],
        categories=labels.learnt,
        image_px=training["image_px"],
        patience=training["patience"],
        seed=seed,
        schedule=pretraining_schedule(training, len(labels.learnt)),
        frames=training_frames(spec, baseline, frames, seed),
        validation=of_role(frames, Role.VALIDATION),
        start=start,
        keeps=prefix,
        about={"arm": "pretraining", "seed": seed},
    )
    with (
        tempfile.TemporaryDirectory(prefix="experiment-") as folder,
        Workshop(Path(folder), bench) as workshop,
    ):
        facts = workshop.train(wish)
    write_json(bench.store, f"{prefix}/facts.json", {**facts, "frames": len(wish.frames)})
    return f"{prefix}/{BEST}"
