"""What was asked of a job, readable: the facts of its spec, with a link to what has a page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from service.jobs.job import Job, JobKind
from service.web.jobs.words import DatasetNames, reference_of


@dataclass(frozen=True, slots=True)
class Fact:
    """`path` leads to what `text` names, if it has a page."""

    word: str
    text: str
    path: str = ""


def asked(job: Job, names: DatasetNames) -> list[Fact]:
    """In the order in which people ask for it."""
    return list(_ASKED[job.kind](job.spec, job, names))


def _ingest(spec: Mapping[str, Any], _job: Job, _names: DatasetNames) -> Iterator[Fact]:
    source, options = spec["source"], spec["options"]
    yield Fact("Source", str(source.get("uri") or source.get("filename", "")))
    yield Fact("Frames", _selection(options.get("selection", {})))
    renamed = [f"{old} → {new}" for old, new in sorted(options.get("category_map", {}).items())]
    if renamed:
        yield Fact("Categories renamed", ", ".join(renamed))
    yield Fact("Contradicting frames", "left out" if spec["exclude_suspects"] else "kept and named")
    yield Fact("A faulty item", "rejects the dataset" if spec["strict"] else "is left out and named")
    if spec["licence"]:
        yield Fact("Licence", str(spec["licence"]))


def _translation(spec: Mapping[str, Any], job: Job, names: DatasetNames) -> Iterator[Fact]:
    reference = reference_of(spec["generator"])
    yield _dataset(names, "Dataset", str(job.dataset_id))
    yield Fact("Generator", reference, f"/generators/{quote(reference)}")
    chosen = _selection(spec["selection"])
    yield Fact("Frames", f"{spec['preview']} of {chosen}" if spec["preview"] else chosen)
    yield Fact("Strength", f"{spec['strength']:g}")
    if spec.get("ratio") is not None:
        yield Fact("Brightness", f"{spec['ratio']:g} times")
    yield Fact("Seed", str(spec["seed"]))
    yield Fact("JPEG quality", str(spec["jpeg_quality"]))
    if spec["batch_size"]:
        yield Fact("Batch size", str(spec["batch_size"]))
    if not spec["preview"]:
        yield Fact("May fail", f"{100 * spec['error_budget']:g} % of the images")
        yield Fact("Measured", f"{spec['quality_frames']:,} frames at most")


def _quality(spec: Mapping[str, Any], _job: Job, names: DatasetNames) -> Iterator[Fact]:
    yield _dataset(names, "Dataset", spec["dataset"]["dataset_id"])
    yield Fact("Frames", _selection(spec["dataset"]["selection"]))
    if spec["reference"]:
        yield _dataset(names, "Reference", spec["reference"]["dataset_id"])
        yield Fact("Its frames", _selection(spec["reference"]["selection"]))
    else:
        yield Fact("Reference", "the bundled figures")
    yield Fact("Features of", str(spec["backbone"]["name"]))


def _import(spec: Mapping[str, Any], _job: Job, _names: DatasetNames) -> Iterator[Fact]:
    yield Fact("Checkpoint", str(spec["filename"]))
    yield Fact("Architecture", str(spec["architecture"]))
    yield Fact("Direction", str(spec["direction"]))
    for name, value in sorted(spec["options"].items()):
        yield Fact(name, str(value))
    yield Fact("For", "all tenants" if spec["shared"] else "this tenant")


def _training(spec: Mapping[str, Any], _job: Job, names: DatasetNames) -> Iterator[Fact]:
    yield Fact("Architecture", str(spec["architecture"]))
    yield Fact("Recipe", "its own" if spec["recipe_toml"] else str(spec["recipe"]))
    yield from _sides(spec, names)
    yield Fact("Steps", f"{spec['steps']:,}" if spec["steps"] else "as the recipe says")
    yield Fact("Seed", "as the recipe says" if spec["seed"] is None else str(spec["seed"]))
    if spec["direction"]:
        yield Fact("Direction", str(spec["direction"]))


def _sides(spec: Mapping[str, Any], names: DatasetNames) -> Iterator[Fact]:
    for side in ("day", "night"):
        yield _dataset(names, side.capitalize(), spec[side]["dataset_id"])
        yield Fact("of it", _selection(spec[side]["selection"]))


def _experiment(spec: Mapping[str, Any], _job: Job, names: DatasetNames) -> Iterator[Fact]:
    yield Fact("Detector", str(spec["detector"]["name"]))
    for name, side in spec["data"].items():
        yield _dataset(names, str(name).capitalize(), side["dataset_id"])
        yield Fact("of it", _selection(side["selection"]))
    yield _dataset(names, "Tested on", spec["test"]["dataset_id"])
    yield Fact("of it", _selection(spec["test"]["selection"]))
    yield Fact("Arms", ", ".join(str(arm["name"]) for arm in spec["arms"]))
    yield Fact("Seeds", ", ".join(map(str, spec["seeds"])))
    yield Fact("As a command", str(spec["command"]))


_ASKED = {
    JobKind.INGEST: _ingest,
    JobKind.TRANSLATION: _translation,
    JobKind.QUALITY: _quality,
    JobKind.GENERATOR_IMPORT: _import,
    JobKind.TRAINING: _training,
    JobKind.EXPERIMENT: _experiment,
}


def _dataset(names: DatasetNames, word: str, dataset_id: str) -> Fact:
    name = names.find(dataset_id)
    if name is None:
        return Fact(word, f"{dataset_id}, deleted")
    return Fact(word, name, f"/datasets/{dataset_id}")


def _selection(selection: Any) -> str:
    """`all`, or `split: train; timeofday: daytime, night`."""
    if not isinstance(selection, Mapping) or not selection:
        return "all"
    return "; ".join(f"{key}: {', '.join(values)}" for key, values in sorted(selection.items()))
