"""The command that repeats an experiment, whoever asked for it and however."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.datasets.selection import Selection
from service.experiments.arms import DAY, NIGHT, SYNTHETIC, Arm
from service.experiments.presets import Preset

USUAL_DATA = (DAY, NIGHT, SYNTHETIC)


def experiment_command(spec: Mapping[str, Any], arms: Sequence[Arm], preset: Preset) -> str:
    """`spec` is what the worker is given, `preset` what it started from: only what differs is said."""
    words = [*_data_words(spec), *_detector_words(spec["detector"])]
    if spec["preset"]:
        words += ["--preset", spec["preset"]]
    for arm in arms:
        words += ["--arm", str(arm)]
    words += ["--seeds", seeds_text(spec["seeds"])]
    words += _option_words(spec, preset)
    return shlex.join(["nightshift", "experiment", *words])


def seeds_text(seeds: Sequence[int]) -> str:
    """`3` for the seeds 0, 1, 2; else a list, which a comma tells from a count."""
    if list(seeds) == list(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _data_words(spec: Mapping[str, Any]) -> Iterator[str]:
    for name, side in spec["data"].items():
        is_usual = name in USUAL_DATA
        yield from (
            (f"--{name}", side["dataset_id"]) if is_usual else ("--data", f"{name}={side['dataset_id']}")
        )
        for expression in _expressions(side):
            selected = (
                (f"--{name}-select", expression) if is_usual else ("--data-select", f"{name}:{expression}")
            )
            yield from selected
    yield from ("--test", spec["test"]["dataset_id"])
    for expression in _expressions(spec["test"]):
        yield from ("--test-select", expression)


def _expressions(side: Mapping[str, Any]) -> list[str]:
    selection = Selection.from_json(side["selection"]).to_json()
    return [f"{key}={','.join(values)}" for key, values in selection.items()]


def _detector_words(detector: Mapping[str, Any]) -> tuple[str, str]:
    return (
        ("--detector-file", detector["filename"])
        if detector["upload_id"]
        else ("--detector", detector["name"])
    )


def _option_words(spec: Mapping[str, Any], preset: Preset) -> Iterator[str]:
    usual = {
        **preset.training.to_json(), "frames_at_most": None, "test_at_most": preset.test_at_most,
        "validation_frames": 500, "resamples": 1000, "scene_attribute": "",
    }  # fmt: skip
    said = {**spec["training"], **{name: spec[name] for name in usual if name in spec}}
    for name, value in said.items():
        if value != usual[name]:
            yield from (f"--{name.replace('_', '-')}", str(value))
    if spec["categories"]:
        yield from ("--categories", ",".join(spec["categories"]))
    for name, category in spec["category_map"].items():
        yield from ("--map-category", f"{name}={category}")
    if spec["scenes"]:
        yield from ("--scenes", "scenes.json")
    if spec["allow_leakage"]:
        yield "--allow-leakage"
