"""A generator is trained: the frames of two datasets are chosen, networks learn from them, and what they have
learnt becomes a new version in the catalogue.

The training itself is one shard of hours. It leaves checkpoints in the store, and whoever takes it up again,
here or elsewhere, goes on from the last one and ends with the same weights.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from models.layouts import LAYOUTS
from models.registry import load_generator
from models.training.images import FEWEST_IMAGES
from models.training.papers import PAPERS, check_backbone, directed, load_recipe, parse_recipe
from models.training.recipe import Data, Recipe
from models.training.session import CHECKPOINT, TrainingOrder, run_training
from models.weights import load_weights
from service.catalogue import GeneratorCard
from service.datasets.manifest import ManifestEntry
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.jobs.job import CHECKPOINT_EVENT, SAMPLE_EVENT, TRAINING_EVENT, ShardPlan
from service.jobs.report import Report
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import chosen_entries, write_json
from workers.context import Bench, Outcome, ShardTask
from workers.exam import examine

SIDES = ("day", "night")
FETCHERS = 8
TELL_EVERY_SECONDS = 5.0
WEIGHTS_SUFFIX = ".safetensors"


def plan_training(task: ShardTask, bench: Bench) -> Outcome:
    """Choose the frames and check all that can be checked before hours are spent.

    Raises:
        RecipeRejected: naming the key.
        GeneratorError: the backbone of the recipe's perceptual losses is missing, or another's.
        InvalidRequest: too few frames, or too small ones.
    """
    recipe = _recipe(task.spec)
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        check_backbone(recipe, _fetched_backbone(task.spec, bench.store, Path(folder)))
    counts = dict.fromkeys(SIDES, 0)
    with bench.store.writing(task.plan_key) as file:
        for side in SIDES:
            for entry in _entries(task.spec[side], bench.store, side, recipe.data):
                key = keys.dataset(task.spec[side]["dataset_id"], entry.image)
                file.write(json.dumps({"side": side, "image": key}).encode() + b"\n")
                counts[side] += 1
    for side in SIDES:
        _refuse_few(task.spec[side], side, counts[side])
    recipe = recipe.for_images(counts["day"], counts["night"])
    shown = 2 * recipe.length.steps * recipe.data.batch_size
    whole = ShardPlan(0, bench.store.size_bytes(task.plan_key), 0, shown)
    return Outcome(parts=[whole], facts={"frames": counts, "steps": recipe.length.steps})


def train_generator(task: ShardTask, bench: Bench) -> Outcome:
    """From the last checkpoint, if there is one, to the end.

    Raises:
        GeneratorError: the losses do not allow to go on.
    """
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        room = Path(folder)
        _fetch_images(task, bench.store, room)
        training = _Training(task, bench, room)
        with torch.enable_grad():
            run_training(training.order(), training.report, training.goes_on)
    bench.store.write(task.result_key, b"")
    return Outcome(frames_done=training.shown)


def publish_generators(task: ShardTask, bench: Bench) -> Outcome:
    """Every network that the training exported becomes a generator with its card."""
    cards = [
        _publish(task, bench, PurePosixPath(key).stem, key, name)
        for key, name in zip(_exported(task, bench.store), task.spec["names"], strict=False)
    ]
    facts = {"generators": [card.reference for card in cards]}
    write_json(bench.store, keys.report(task.job_id), Report().to_json(kind=str(task.kind), **facts))
    return Outcome(generators=[card.to_json() for card in cards], facts=facts)


class _Training:
    """What the trainer tells goes into the store and into the job's events."""

    def __init__(self, task: ShardTask, bench: Bench, room: Path) -> None:
        self._task, self._bench = task, bench
        self._room, self._out = room, room / "out"
        self._out.mkdir()
        self._backbone = _fetched_backbone(task.spec, bench.store, room)
        self._told_at = 0.0
        self._images_per_step = 0
        self.shown = 0
        checkpoint = keys.training_checkpoint(task.plan_key)
        if bench.store.exists(checkpoint):
            bench.store.fetch(checkpoint, self._out / CHECKPOINT)

    def order(self) -> TrainingOrder:
        spec = self._task.spec
        return TrainingOrder(
            paper=spec["architecture"],
            day=[self._room / "day"],
            night=[self._room / "night"],
            recipe=_recipe(spec),
            out=self._out,
            resumes=True,
            device=self._bench.settings.device or None,
            backbone_file=self._backbone,
        )

    def goes_on(self) -> bool:
        """Asked after every update, of which one may take a minute on a CPU: never a reason to stop."""
        self._bench.reporter.alive()
        return False

    def report(self, event: Mapping[str, Any]) -> None:
        step = event.get("step", 0)
        match event["event"]:
            case "started":
                self._images_per_step = 2 * event["recipe"]["data"]["batch_size"]
                facts = {name: event[name] for name in ("step", "steps", "device", "precision")}
                self._bench.reporter.event("started", facts)
            case "progress":
                self._tell(event)
            case "sample":
                self._keep(event["file"], keys.training_sample(self._task.plan_key, step))
                self._bench.reporter.event(SAMPLE_EVENT, {"step": step})
            case "checkpoint":
                self._keep(CHECKPOINT, keys.training_checkpoint(self._task.plan_key))
                self._bench.reporter.event(CHECKPOINT_EVENT, {"step": step})
            case "finished":
                for name in event["files"]:
                    self._keep(name, keys.training(self._task.plan_key, name))
        self.shown = step * self._images_per_step
        self._bench.reporter.progress(self.shown, 0, self.shown)

    def _tell(self, event: Mapping[str, Any]) -> None:
        """Losses by the second help nobody, and would fill the table of events."""
        is_last = event["step"] == event["steps"]
        if is_last or time.monotonic() - self._told_at >= TELL_EVERY_SECONDS:
            self._told_at = time.monotonic()
            facts = {name: value for name, value in event.items() if name != "event"}
            self._bench.reporter.event(TRAINING_EVENT, facts)

    def _keep(self, name: str, key: str) -> None:
        with (self._out / name).open("rb") as file, self._bench.store.writing(key) as target:
            while block := file.read(1 << 20):
                target.write(block)


def _recipe(spec: Mapping[str, Any]) -> Recipe:
    paper = spec["architecture"]
    text = spec["recipe_toml"]
    recipe = parse_recipe(text, paper) if text else load_recipe(spec["recipe"], paper)
    if spec.get("direction"):
        recipe = directed(recipe, spec["direction"])
    if spec["seed"] is not None:
        recipe = replace(recipe, seed=spec["seed"])
    return recipe.of_steps(spec["steps"]) if spec["steps"] else recipe


def _fetched_backbone(spec: Mapping[str, Any], store: ObjectStore, room: Path) -> Path | None:
    """The weights that perceptual losses look through, if any were uploaded for it."""
    upload_id = spec.get("backbone_upload_id")
    if upload_id is None:
        return None
    file = room / "backbone"
    store.fetch(keys.upload(upload_id), file)
    return file


def _entries(side: Mapping[str, Any], store: ObjectStore, name: str, data: Data) -> Iterator[ManifestEntry]:
    for entry in chosen_entries(store, side["dataset_id"], Selection.from_json(side["selection"])):
        width, height = entry.frame.width_px, entry.frame.height_px
        if min(width, height) < data.smallest_px:
            crop = "the crop of " if data.crop_px else ""
            raise InvalidRequest(
                f"The {name} frame {entry.frame.name!r} ({width}x{height}) is smaller than {crop}"
                f"{data.smallest_px} px.",
                "Leave such frames out, or choose a recipe with a smaller 'data.crop_px'."
                if data.crop_px
                else "Leave such frames out.",
            )
        yield entry


def _refuse_few(side: Mapping[str, Any], name: str, count: int) -> None:
    if count < FEWEST_IMAGES:
        selection = Selection.from_json(side["selection"])
        raise InvalidRequest(
            f"Dataset {side['dataset_id']} has {count or 'no'} {name} frames with {selection}; at least"
            f" {FEWEST_IMAGES} are needed to train on.",
            "Some hundred give a useful generator. Choose others by attribute or split, or upload more.",
        )


def _fetch_images(task: ShardTask, store: ObjectStore, room: Path) -> None:
    """Named by their place in the plan: the order in which they are shown follows from the names."""
    for side in SIDES:
        (room / side).mkdir()

    def fetch(numbered: tuple[int, bytes]) -> None:
        number, line = numbered
        planned = json.loads(line)
        suffix = PurePosixPath(planned["image"]).suffix
        store.fetch(planned["image"], room / planned["side"] / f"{number:08d}{suffix}")

    with ThreadPoolExecutor(FETCHERS) as pool:
        list(pool.map(fetch, enumerate(task.lines(store))))


def _exported(task: ShardTask, store: ObjectStore) -> list[str]:
    """Day to night first: it is what most come for."""
    return [key for key in store.keys(keys.training(task.plan_key)) if key.endswith(WEIGHTS_SUFFIX)]


def _publish(task: ShardTask, bench: Bench, direction: str, key: str, name: str) -> GeneratorCard:
    spec, version, store = task.spec, task.spec["version"], bench.store
    content = store.read(key)
    weights = load_weights(content)
    layout = LAYOUTS[weights.architecture]
    counts = task.job_outcome["frames"]
    # the other side, if any, is what the generator is examined against
    sides = PAPERS[spec["architecture"]].recipe.learns_from
    shown = [f"{counts[side]} {side} frames of {spec[side]['name']!r}" for side in sides]
    licences = [f"{side} frames: {_licence(store, spec[side]['dataset_id'])}" for side in sides]
    generator = load_generator(weights.architecture, content)
    recipe = "a recipe of its own" if spec["recipe_toml"] else f"the recipe {spec['recipe']!r}"
    card = GeneratorCard(
        name=name,
        version=version,
        title=f"{layout.title}, trained for {task.job_outcome['steps']} steps by {recipe}",
        direction=direction,
        architecture=weights.architecture,
        paper=layout.paper,
        training_data=" and ".join(shown),
        licence="; ".join(licences),
        weights_sha256=hashlib.sha256(content).hexdigest(),
        is_bundled=False,
        quality=examine(store, generator, direction, spec, bench.settings.device or None),
        config=dict(weights.config),
    )
    store.write(keys.generator_weights(name, version), content)
    write_json(store, keys.generator_card(name, version), card.to_json())
    return card


def _licence(store: ObjectStore, dataset_id: str) -> str:
    card = json.loads(store.read(keys.card(dataset_id)))
    return str(card.get("licence", "not stated"))
