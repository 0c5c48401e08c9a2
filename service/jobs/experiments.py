"""Experiments as a user asks for them: all that SQL knows is checked before anything is trained."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from service.catalogue import GeneratorCard, find_detector
from service.datasets.dataset import TimeOfDay
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.experiments.arms import (
    DAY,
    NIGHT,
    SYNTHETIC,
    Arm,
    arm_to_json,
    baseline,
    check_arms,
    parse_arm,
    upper_bound,
)
from service.experiments.categories import check_categories
from service.experiments.command import experiment_command
from service.experiments.presets import Preset, find_preset
from service.jobs.job import Job, JobKind
from service.jobs.records import Dataset
from service.jobs.store import NewJob
from service.jobs.submit import Desk, TranslationWish, for_training, new_job, submit_all, translation_job

ENHANCING = "night2day"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some frames of a dataset. Of training data without a split the training split is meant."""

    dataset_id: str
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class ExperimentWish:
    """`data`: what arms are made of, by name. Without `arms` the preset decides, or day is compared with day
    and each other data. `training`: fields of a `Training`; what is missing or None is left to the preset.
    `detector_upload_id`: an uploaded checkpoint instead of a `detector` with random weights.
    `frames_at_most`: of each arm. `test_at_most`: of the test set. `categories`: what is to be learnt, None
    for all. `scenes`: frame name -> scene, or `scene_attribute`: the frames' attribute that says it.
    """

    data: Mapping[str, Chosen]
    test: Chosen
    name: str = ""
    detector: str | None = None
    detector_upload_id: str | None = None
    arms: Sequence[str] = ()
    preset: str | None = None
    seeds: Sequence[int] = (0, 1, 2)
    training: Mapping[str, Any] = field(default_factory=dict)
    frames_at_most: int | None = None
    test_at_most: int | None = None
    validation_frames: int = 500
    categories: Sequence[str] | None = None
    category_map: Mapping[str, str] = field(default_factory=dict)
    scenes: Mapping[str, str] = field(default_factory=dict)
    scene_attribute: str = ""
    resamples: int = 1000
    allow_leakage: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset as an experiment needs to know it; `boxes` is None of one that is still being made."""

    id: str
    name: str
    categories: Sequence[str]
    boxes: int | None

    @classmethod
    def of(cls, dataset: Dataset) -> "Source":
        return cls(dataset.id, dataset.name, dataset.categories, dataset.counts.get("boxes"))


def submit_experiment(desk: Desk, wish: ExperimentWish, allowed_detectors: Collection[str]) -> Job:
    """`allowed_detectors`: the sha256 of uploads that may be loaded as detectors."""
    return submit_all(desk, [experiment_job(desk, wish, allowed_detectors)])[0]


def submit_chain(
    desk: Desk, translation: TranslationWish, then: ExperimentWish, allowed_detectors: Collection[str]
) -> tuple[Job, Job]:
    """A translation, and an experiment that begins when it has succeeded: both are handed in, or neither.

    The data of `then` is day, translated (`synthetic`) and perhaps night; the first two are filled in here.
    The day frames that are trained on are, unless `then` chooses, those that are translated.
    """
    first = translation_job(desk, translation)
    if first.result is None:
        raise InvalidRequest("A preview makes no dataset to train on.", "Leave out the preview.")
    if SYNTHETIC in then.data:
        cure = "Give it another name."
        raise InvalidRequest(f"{SYNTHETIC!r} is what the translation makes.", cure)
    made = Source(first.result["id"], first.result["name"], first.spec["categories"], None)
    day = then.data.get(DAY) or Chosen(translation.dataset_id, _without_split(translation.selection))
    data = {DAY: day, SYNTHETIC: Chosen(made.id), **then.data}
    experiment = experiment_job(desk, replace(then, data=data), allowed_detectors, made)
    translated, follow_up = submit_all(desk, [first, replace(experiment, after_id=first.id)])
    return translated, follow_up


def experiment_job(
    desk: Desk, wish: ExperimentWish, allowed_detectors: Collection[str], being_made: Source | None = None
) -> NewJob:
    """The job of an experiment, checked but not yet handed in. `being_made`: a dataset that is to come."""
    preset = find_preset(wish.preset)
    arms = [parse_arm(text) for text in wish.arms] or preset.arms(wish.data)
    check_arms(arms, wish.data)
    _refuse_repeated(wish.seeds)
    sources = {name: _source(desk, chosen, being_made) for name, chosen in wish.data.items()}
    test = Source.of(desk.library.ready_dataset(wish.test.dataset_id))
    _refuse_unlabelled(sources, test)
    lists = {name: source.categories for name, source in sources.items()}
    check_categories(lists, test.categories, wish.category_map, wish.categories)
    data = {name: _side(sources[name], _trained_on(name, wish.data)) for name in wish.data}
    tested = _side(test, wish.test.selection)
    if not wish.allow_leakage:
        _refuse_overlap(data, tested)
    cards = {arm.enhance: _enhancer(desk, arm).to_json() for arm in arms if arm.enhance}
    first, bound = baseline(arms), upper_bound(arms)
    detector = _detector(desk, wish, preset, allowed_detectors)
    spec: dict[str, Any] = {
        "name": wish.name or f"{detector['name']} on {test.name}",
        "detector": detector,
        "data": data,
        "test": tested,
        "arms": [arm_to_json(arm, cards) for arm in arms],
        "seeds": list(wish.seeds),
        "baseline": first.name,
        "upper_bound": None if bound is None else bound.name,
        "training": preset.training.with_values(wish.training).to_json(),
        "frames_at_most": wish.frames_at_most,
        "scales": preset.scales,
        "test_at_most": wish.test_at_most or preset.test_at_most,
        "validation_frames": wish.validation_frames,
        "category_map": dict(wish.category_map),
        "categories": None if wish.categories is None else list(wish.categories),
        "scenes": dict(wish.scenes),
        "scene_attribute": wish.scene_attribute,
        "resamples": wish.resamples,
        "allow_leakage": wish.allow_leakage,
        "preset": wish.preset,
    }
    spec["command"] = experiment_command(spec, arms, preset)
    return new_job(JobKind.EXPERIMENT, spec, dataset_id=data[first.data[0]]["dataset_id"])


def _source(desk: Desk, chosen: Chosen, being_made: Source | None) -> Source:
    if being_made is not None and chosen.dataset_id == being_made.id:
        return being_made
    return Source.of(desk.library.ready_dataset(chosen.dataset_id))


def _side(source: Source, selection: Selection) -> dict[str, Any]:
    return {"dataset_id": source.id, "name": source.name, "selection": selection.to_json()}


def _trained_on(name: str, data: Mapping[str, Chosen]) -> Selection:
    """A dataset that serves both day and night is divided by its tags."""
    selection = for_training(data[name].selection)
    tag = {DAY: TimeOfDay.DAYTIME, NIGHT: TimeOfDay.NIGHT}.get(name)
    both = [data[side].dataset_id for side in (DAY, NIGHT) if side in data]
    if tag is None or len(both) < 2 or both[0] != both[1]:
        return selection
    return Selection.from_json({"timeofday": [str(tag)], **selection.to_json()})


def _without_split(selection: Selection) -> Selection:
    return Selection({key: values for key, values in selection.allowed.items() if key != "split"})


def _refuse_repeated(seeds: Sequence[int]) -> None:
    if len(set(seeds)) < len(seeds):
        cure = "The same seed gives the same detector: nothing is learnt from it twice."
        raise InvalidRequest("A seed is named twice.", cure)


def _refuse_unlabelled(sources: Mapping[str, Source], test: Source) -> None:
    for name, source in {**sources, "test": test}.items():
        if source.boxes == 0:
            use = "score" if name == "test" else "train"
            cure = "Give a dataset with labels."
            raise InvalidRequest(f"Dataset {source.id} ({name}) has no boxes to {use} a detector on.", cure)


def _refuse_overlap(data: Mapping[str, Mapping[str, Any]], test: Mapping[str, Any]) -> None:
    """Only what the selections show; the frames themselves are compared by the worker."""
    for name, side in data.items():
        if side["dataset_id"] == test["dataset_id"] and _may_meet(side["selection"], test["selection"]):
            raise InvalidRequest(
                f"The test set and the data {name!r} are frames of one dataset, {side['dataset_id']}, and"
                " nothing keeps them apart.",
                "Choose other frames to test on, such as --test-select split=test, or another dataset.",
            )


def _may_meet(one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]) -> bool:
    """A frame has several categories, so choosing by them keeps nothing apart."""
    shared = (one.keys() & other.keys()) - {"category"}
    return all(set(one[key]) & set(other[key]) for key in shared)


def _enhancer(desk: Desk, arm: Arm) -> GeneratorCard:
    card = desk.library.generator(str(arm.enhance))
    if card.direction != ENHANCING:
        raise InvalidRequest(
            f"The generator {card.reference!r} of the arm {arm.name!r} makes day into night.",
            "Test frames are brightened by one of direction night2day: nightshift generators list",
        )
    return card


def _detector(
    desk: Desk, wish: ExperimentWish, preset: Preset, allowed_detectors: Collection[str]
) -> dict[str, Any]:
    if wish.detector_upload_id is None:
        name = find_detector(wish.detector or preset.detector)
        return {"name": name, "upload_id": None, "sha256": None, "filename": None}
    if wish.detector is not None:
        cure = "Give a name for random weights, or a file to start from."
        raise InvalidRequest("A detector was given by name and as a file.", cure)
    upload = desk.library.upload(wish.detector_upload_id)
    if upload.sha256 not in allowed_detectors:
        raise InvalidRequest(
            f"The detector {upload.filename!r} is not allowed: a .pt file runs code when it is loaded.",
            f"The operator allows it by adding {upload.sha256} to NIGHTSHIFT_ALLOWED_DETECTORS.",
        )
    name = upload.filename.removesuffix(".pt")
    return {"name": name, "upload_id": upload.id, "sha256": upload.sha256, "filename": upload.filename}
