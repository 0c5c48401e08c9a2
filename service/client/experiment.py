"""`nightshift experiment`, and what `nightshift translate --then-train` makes follow."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from service.api.views import JobView
from service.catalogue import DETECTORS
from service.client.client import Client
from service.client.options import LOCAL_SERVER, AsJson, MapCategory, Seeds, Server, parse_pairs
from service.client.output import err, out, print_experiment, print_json
from service.client.progress import experiment_bar, send
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.experiments.arms import DAY, NIGHT, SYNTHETIC, parse_arms
from service.experiments.presets import PRESETS
from service.experiments.scenes import parse_scenes

Selected = list[str] | None


def _select(what: str) -> Any:
    return typer.Option(help=f"only such {what} frames: split=train or timeofday=night; repeatable")


def experiment(
    test: Annotated[str, typer.Option(help="the dataset of night frames that every arm is scored on")],
    day: Annotated[str, typer.Option(help="the dataset of day frames")] = "",
    night: Annotated[str, typer.Option(help="the dataset of real night frames")] = "",
    synthetic: Annotated[str, typer.Option(help="the dataset of translated frames")] = "",
    data: Annotated[
        list[str] | None,
        typer.Option(help="a further dataset by a name of its own: NAME=DATASET; repeatable"),
    ] = None,
    arms: Annotated[
        str, typer.Option(help="recipes with commas between: day,day+night,day+synthetic,enhance:GENERATOR")
    ] = "",
    arm: Annotated[
        list[str] | None,
        typer.Option(help="one recipe: half=day:0.5,night:0.5 or day#5000+night#5000; repeatable"),
    ] = None,
    detector: Annotated[str, typer.Option(help=f"yolov8n if not given; one of {', '.join(DETECTORS)}")] = "",
    detector_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="a .pt to start from, if the operator allows it"),
    ] = None,
    preset: Annotated[str, typer.Option(help=f"{' or '.join(PRESETS)}")] = "",
    seeds: Seeds = "3",
    steps: Annotated[
        int | None, typer.Option(min=0, help="updates of every arm; 0: what --epochs takes for the baseline")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="passes over the baseline's frames")] = None,
    batch: Annotated[int | None, typer.Option(min=1, max=1024, help="images at once")] = None,
    image_px: Annotated[
        int | None, typer.Option(min=32, max=2048, help="longer side that detectors see, a multiple of 32")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="epochs without a better validation that end a training")
    ] = None,
    budget: Annotated[
        str, typer.Option(help="steps: as many updates for every arm; epochs: as many passes over its frames")
    ] = "",
    pretrain_steps: Annotated[
        int | None, typer.Option(min=0, help="updates by day that all arms start from")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="instead of the trainer's choice")] = None,
    frames_at_most: Annotated[int | None, typer.Option(min=1, help="training frames of an arm")] = None,
    test_at_most: Annotated[int | None, typer.Option(min=1, help="test frames")] = None,
    validation_frames: Annotated[
        int, typer.Option(min=1, help="so many frames, never of the test set, steer the trainings")
    ] = 500,
    categories: Annotated[str, typer.Option(help="only these are learnt and scored: car,bus")] = "",
    map_category: MapCategory = None,
    scenes: Annotated[
        Path | None, typer.Option(help="which scene each test frame shows: JSON, or CSV of frame,scene")
    ] = None,
    scene_attribute: Annotated[str, typer.Option(help="the frames' attribute that names their scene")] = "",
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="of the bootstrap")] = 1000,
    allow_leakage: Annotated[
        bool, typer.Option("--allow-leakage", help="go on although test frames are trained on")
    ] = False,
    day_select: Annotated[Selected, _select("day")] = None,
    night_select: Annotated[Selected, _select("night")] = None,
    synthetic_select: Annotated[Selected, _select("translated")] = None,
    data_select: Annotated[
        Selected, typer.Option(help="only such frames of a --data: NAME:KEY=VALUE; repeatable")
    ] = None,
    test_select: Annotated[Selected, _select("test")] = None,
    name: Annotated[str, typer.Option(help="what to call the experiment")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="wait, show progress, print the verdict")] = False,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="with --watch: a folder for the report: JSON, HTML, Markdown")
    ] = None,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Does synthetic night data make a detector better at night? Train it on several mixes of datasets, score
    all on the same night frames, and say by how much they differ, with intervals.

    Without --arms and --arm, day alone is compared with day and each other dataset. A worker that is killed
    goes on from its last checkpoint; `nightshift jobs retry` takes up what failed.
    """
    sides = {
        DAY: _frames(day, day_select),
        NIGHT: _frames(night, night_select),
        SYNTHETIC: _frames(synthetic, synthetic_select),
        **_further(data or [], data_select or []),
    }
    training = {
        "steps": steps, "epochs": epochs, "batch": batch, "image_px": image_px, "patience": patience,
        "budget": budget or None, "pretrain_steps": pretrain_steps, "learning_rate": learning_rate,
    }  # fmt: skip
    options = {
        **training, "name": name, "detector": detector or None, "preset": preset or None,
        "arms": [*(map(str, parse_arms(arms)) if arms else ()), *(arm or [])], "seeds": parse_seeds(seeds),
        "frames_at_most": frames_at_most, "test_at_most": test_at_most,
        "validation_frames": validation_frames, "categories": words(categories),
        "category_map": parse_pairs(map_category or []), "scenes": _scenes(scenes),
        "scene_attribute": scene_attribute, "resamples": resamples, "allow_leakage": allow_leakage,
    }  # fmt: skip
    given = {side: frames for side, frames in sides.items() if frames is not None}
    with Client(server) as client:
        if detector_file is not None:
            options["detector_upload_id"] = send(err, client, detector_file)
        job = client.experiment(given, _frames(test, test_select) or test, **options)
        if watch:
            job = watch_experiment(client, job, out_dir)
            show_experiment(client, job, as_json)
        else:
            print_json(job) if as_json else out.print(job.id)


def watch_experiment(client: Client, job: JobView, folder: Path | None) -> JobView:
    """Until it has ended; the report is saved into the folder, if there is one."""
    with experiment_bar(err, client) as show:
        job = client.wait(job, show)
    if folder is not None:
        save_report(client, job.id, folder)
    return job


def show_experiment(client: Client, job: JobView, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    print_experiment(client.experiment_report(job.id))
    out.print(f"The whole report: {client.url}/v1/experiments/{job.id}/report.html", soft_wrap=True)


def save_report(client: Client, job_id: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = json.dumps(client.experiment_report(job_id), indent=2, ensure_ascii=False)
    (folder / "report.json").write_text(report + "\n", encoding="utf-8")
    (folder / "report.html").write_bytes(client.experiment_page(job_id))
    (folder / "report.md").write_text(client.experiment_summary(job_id), encoding="utf-8")
    err.print(f"Report saved: {folder / 'report.html'}", soft_wrap=True, markup=False)


def follow_up(
    detector: str, test: str, night: str, test_select: Selected, night_select: Selected, **options: Any
) -> dict[str, Any] | None:
    """What follows a translation: an experiment on what it makes; None unless a detector is named.

    Raises:
        InvalidRequest: there is something to train and nothing to score it on, or the other way round.
    """
    if not detector:
        if test or night or test_select or night_select:
            raise InvalidRequest("--test and --night are for a detector.", "Name it: --then-train yolov8n")
        return None
    frames = _frames(test, test_select)
    if frames is None:
        raise InvalidRequest("--then-train has nothing to score detectors on.", "Add --test NIGHT_DATASET.")
    real = _frames(night, night_select)
    data = {} if real is None else {NIGHT: real}
    given = {name: value for name, value in options.items() if value is not None}
    return {"data": data, "test": frames, "detector": detector, **given}


def follow(client: Client, translation: JobView, watch: bool, as_json: bool) -> None:
    """The experiment behind a translation: named, or watched to its end if the translation was too."""
    experiment = client.job(str(translation.follow_up_id))
    if watch:
        experiment = watch_experiment(client, experiment, None)
    if as_json:
        print_json({"translation": translation, "experiment": experiment})
        return
    out.print(translation.result_id if watch else translation.id)
    if watch:
        show_experiment(client, experiment, as_json)
    else:
        out.print(experiment.id)


def parse_seeds(text: str) -> int | list[int]:
    """`3`: so many; `0,1,2` or `7,`: these.

    Raises:
        InvalidRequest: it is neither.
    """
    words = [word.strip() for word in text.split(",")]
    numbers = [word for word in words if word]
    if not numbers or not all(word.isascii() and word.isdigit() for word in numbers):
        raise InvalidRequest(
            f"{text!r} are no seeds.", "Write how many, --seeds 3, or which ones, --seeds 0,1,2"
        )
    return int(text) if len(words) == 1 else [int(word) for word in numbers]


def _frames(dataset: str, select: Selected) -> dict[str, Any] | None:
    if not dataset:
        if select:
            raise InvalidRequest(f"{select[0]!r} selects frames of a dataset that was not given.", "Name it.")
        return None
    return {"dataset_id": dataset, "select": Selection.parse(select or []).to_json()}


def _further(data: list[str], selects: list[str]) -> dict[str, dict[str, Any] | None]:
    """`NAME=DATASET` and the `NAME:KEY=VALUE` that belong to them."""
    named: dict[str, str] = {}
    chosen: dict[str, list[str]] = {}
    for expression in data:
        name, equals, dataset = expression.partition("=")
        if not (name and equals and dataset) or name in (DAY, NIGHT, SYNTHETIC):
            raise InvalidRequest(
                f"{expression!r} is not NAME=DATASET.", "Write for example: --data rainy=ds-1"
            )
        named[name] = dataset
    for expression in selects:
        name, colon, selected = expression.partition(":")
        if not colon or name not in named:
            cure = "Write NAME:KEY=VALUE with the NAME of a --data."
            raise InvalidRequest(f"{expression!r} selects nothing that was given.", cure)
        chosen.setdefault(name, []).append(selected)
    return {name: _frames(dataset, chosen.get(name)) for name, dataset in named.items()}


def words(text: str) -> list[str] | None:
    return [word.strip() for word in text.split(",") if word.strip()] or None


def _scenes(file: Path | None) -> dict[str, str]:
    return {} if file is None else parse_scenes(file.read_text(encoding="utf-8"), file.name)
