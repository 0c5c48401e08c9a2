"""The commands that make a night of a dataset's days, and measure how well."""

from pathlib import Path
from typing import Annotated

import typer

from service.client.client import Client
from service.client.experiment import follow, follow_up, parse_seeds, words
from service.client.options import (
    LOCAL_SERVER,
    AsJson,
    BatchSize,
    ErrorBudget,
    GeneratorName,
    MapCategory,
    Quality,
    QualityFrames,
    Ratio,
    Seed,
    Seeds,
    Select,
    Server,
    Strength,
    parse_pairs,
)
from service.client.output import err, out, print_json, print_quality
from service.client.progress import job_bar, send
from service.datasets.selection import Selection


def translate(
    dataset: Annotated[str, typer.Argument(help="a dataset's id")],
    generator: GeneratorName,
    name: Annotated[str, typer.Option(help="what to call the new dataset")] = "",
    select: Select = None,
    preview: Annotated[int, typer.Option(min=0, max=64, help="only so many frames, as a contact sheet")] = 0,
    sheet: Annotated[Path, typer.Option(help="where to save a preview's contact sheet")] = Path(
        "preview.jpg"
    ),
    watch: Annotated[bool, typer.Option(help="wait and show progress")] = False,
    seed: Seed = 0,
    strength: Strength = 1.0,
    ratio: Ratio = None,
    quality: Quality = 95,
    batch_size: BatchSize = 0,
    error_budget: ErrorBudget = 0.05,
    quality_frames: QualityFrames = 256,
    then_train: Annotated[
        str,
        typer.Option(help="when it is done, train this detector by day and with the result; see experiment"),
    ] = "",
    test: Annotated[str, typer.Option(help="with --then-train: the night dataset to score it on")] = "",
    night: Annotated[str, typer.Option(help="with --then-train: real night frames, as upper bound")] = "",
    test_select: Annotated[list[str] | None, typer.Option(help="only such test frames; repeatable")] = None,
    night_select: Annotated[list[str] | None, typer.Option(help="only such night frames; repeatable")] = None,
    seeds: Seeds = "3",
    steps: Annotated[int | None, typer.Option(min=0, help="updates of every detector")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="passes over the day frames")] = None,
    image_px: Annotated[int | None, typer.Option(min=32, max=2048, help="what detectors see")] = None,
    preset: Annotated[str, typer.Option(help="of the experiment: classic or finetune")] = "",
    categories: Annotated[str, typer.Option(help="only these are learnt and scored: car,bus")] = "",
    map_category: MapCategory = None,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Translate a dataset: a new one with the same labels, or with --preview a sheet of pairs to look at.

    With --then-train and --test an experiment follows: does the result make a detector better at night?
    """
    following = follow_up(
        then_train, test, night, test_select, night_select, seeds=parse_seeds(seeds), steps=steps,
        epochs=epochs, image_px=image_px, preset=preset or None, categories=words(categories),
        category_map=parse_pairs(map_category or []),
    )  # fmt: skip
    with Client(server) as client:
        job = client.translate(
            dataset, generator, name=name, select=Selection.parse(select or []).to_json(), preview=preview,
            seed=seed, strength=strength, ratio=ratio, jpeg_quality=quality, batch_size=batch_size,
            error_budget=error_budget, quality_frames=quality_frames, then_train=following,
        )  # fmt: skip
        if watch or preview:
            with job_bar(err, "Translating") as show:
                job = client.wait(job, show)
        if job.follow_up_id is not None:
            follow(client, job, watch, as_json)
            return
        if preview:
            client.contact_sheet(job.id, sheet)
            err.print(f"Pairs of {preview} frames: {sheet}")
    if as_json:
        print_json(job)
    elif not preview:
        out.print(job.result_id if watch else job.id)


def quality(
    dataset: Annotated[str, typer.Argument(help="a dataset's id")],
    reference: Annotated[
        str, typer.Option(help="a dataset of real night frames; without it, bundled figures of some")
    ] = "",
    select: Select = None,
    reference_select: Annotated[
        list[str] | None, typer.Option(help="only such reference frames: timeofday=night; repeatable")
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="streetnet, or NAME:FILE with weights of torchvision: inception:FILE")
    ] = "streetnet",
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Measure how close a dataset comes to real night, and how much of the day's structure it keeps."""
    kind, _, file = backbone.partition(":")
    with Client(server) as client:
        options = {"backbone": kind}
        if file:
            options["backbone_upload_id"] = send(err, client, Path(file))
        job = client.measure(
            dataset,
            reference_id=reference or None,
            select=Selection.parse(select or []).to_json(),
            reference_select=Selection.parse(reference_select or []).to_json(),
            **options,
        )
        with job_bar(err, "Measuring") as show:
            job = client.wait(job, show)
    print_json(job.outcome["quality"]) if as_json else print_quality(job.outcome["quality"])
