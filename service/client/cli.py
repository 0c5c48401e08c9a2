"""The `nightshift` command: the whole service from a shell, on the calls that the API has."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.catalogue import ARCHITECTURES
from service.client import local
from service.client.client import ApiError, Client, JobFailed, ServerUnreachable
from service.client.credentials import VARIABLE, needed_key
from service.client.experiment import experiment, follow, follow_up, parse_seeds, words
from service.client.folder import UploadSource
from service.client.groups import datasets, generators, jobs
from service.client.keys import keys
from service.client.options import (
    LOCAL_SERVER,
    AsJson,
    BatchSize,
    BehindProxy,
    ErrorBudget,
    ExcludeSuspects,
    GeneratorName,
    Host,
    IgnoreUnknown,
    Licence,
    MapCategory,
    Quality,
    QualityFrames,
    Ratio,
    Seed,
    Seeds,
    Select,
    Server,
    Strength,
    Strict,
    TlsCert,
    TlsKey,
    Unlabelled,
    parse_pairs,
)
from service.client.output import (
    err,
    one_line,
    out,
    print_dataset,
    print_experiment,
    print_json,
    print_quality,
    print_report,
    shown_text,
)
from service.client.progress import job_bar, send, training_bar, transfer
from service.client.webhooks import webhooks
from service.datasets.selection import Selection
from service.errors import NightshiftError
from service.listening import LOOPBACK, Listening
from service.worker_command import become_worker

EXIT_ERROR, EXIT_JOB_FAILED, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 3, 4, 130

app = typer.Typer(
    help="Turns a labelled daytime dataset into a labelled night dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
GROUPS = {
    "generators": generators,
    "datasets": datasets,
    "jobs": jobs,
    "keys": keys,
    "webhooks": webhooks,
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


@app.callback()
def credentials(
    key: Annotated[
        str,
        typer.Option(help="API key for the server; NIGHTSHIFT_KEY keeps it out of the list of processes"),
    ] = "",
) -> None:
    if key:
        os.environ[VARIABLE] = key


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    data: Annotated[Path, typer.Option(help="where everything is kept")] = Path("nightshift-data"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="how many ingest and translate")] = 1,
    trainers: Annotated[int, typer.Option(min=0, max=64, help="how many train generators and detectors")] = 1,
    host: Host = LOOPBACK,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = "",
) -> None:
    """Run API, workers and reconciler on this machine until Ctrl-C. No other server is needed."""
    listening = Listening(host, port, tls_cert, tls_key, behind_proxy)
    local.serve(data, listening, workers, trainers)


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    host: Host = LOOPBACK,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = "",
    workers: Annotated[int, typer.Option(min=1, max=64, help="how many processes answer")] = 1,
) -> None:
    """Run the API alone, one part of a cluster; where the others are stands in NIGHTSHIFT_* variables."""
    listening = Listening(host, port, tls_cert, tls_key, behind_proxy, workers)
    command = [sys.executable, "-m", "service.server", *listening.arguments()]
    os.execv(sys.executable, command)  # noqa: S606 - this process becomes the server: signals reach it


@app.command()
def key(server: Server = LOCAL_SERVER) -> None:
    """Print the API key that commands on this machine use, for curl and others."""
    print(needed_key(server))


@app.command()
def worker(
    gpu: Annotated[str, typer.Option(help="the GPU it owns, as nvidia-smi counts them")] = "",
    queues: Annotated[str, typer.Option(help="what it takes: ingest, shards, trainings")] = "ingest,shards",
    name: Annotated[str, typer.Option(help="unique on this machine; it stands in the logs")] = "",
) -> None:
    """Run one worker of a cluster until Ctrl-C; NIGHTSHIFT_* says where database, store and broker are."""
    become_worker(gpu, [queue.strip() for queue in queues.split(",") if queue.strip()], name)


@app.command()
def upload(
    path: Annotated[str, typer.Argument(help="a folder or zip of labelled images, or s3://bucket/prefix/")],
    name: Annotated[str, typer.Option(help="what to call the dataset")] = "",
    select: Select = None,
    map_category: MapCategory = None,
    ignore_unknown: IgnoreUnknown = False,
    unlabelled: Unlabelled = False,
    exclude_suspects: ExcludeSuspects = False,
    strict: Strict = False,
    licence: Licence = "",
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Send a labelled dataset (BDD100K, YOLO or COCO; found by itself) and wait until it is read.

    A bucket that the server's operator has registered is read by the server itself.
    """
    options = {
        "name": name,
        "select": Selection.parse(select or []).to_json(),
        "category_map": parse_pairs(map_category or []),
        "ignore_unknown": ignore_unknown,
        "unlabelled": unlabelled,
        "exclude_suspects": exclude_suspects,
        "strict": strict,
        "licence": licence,
    }
    with Client(server) as client:
        if path.startswith("s3://"):
            made = client.import_dataset(path, **options)
        else:
            made = client.create_dataset(_sent(client, Path(path)), **options)
        with job_bar(err, "Reading") as show:
            try:
                dataset = client.wait_for_dataset(made, show)
            except JobFailed as failure:
                err.print(f"[red]{shown_text(failure.message)}[/red]  (nightshift report {made.dataset.id})")
                raise typer.Exit(EXIT_JOB_FAILED) from None
    print_json(dataset) if as_json else print_dataset(dataset)


def _sent(client: Client, path: Path) -> str:
    source = UploadSource(path)
    with transfer(err, f"Uploading {source.filename}", source.size_bytes) as advance:
        upload_id = client.upload(path, advance, source)
    if source.skipped:
        err.print(f"{source.skipped} files were neither images nor labels and were not sent.")
    return upload_id


@app.command()
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


@app.command()
def train(
    architecture: Annotated[str, typer.Argument(help=f"what to train: {', '.join(ARCHITECTURES)}")],
    day: Annotated[str, typer.Option(help="the dataset with day frames")],
    night: Annotated[str, typer.Option(help="the dataset with night frames; it may be the same")],
    name: Annotated[str, typer.Option(help="what to call the generator; my-ARCHITECTURE if not given")] = "",
    recipe: Annotated[
        str, typer.Option(help="default (the paper's), compact (for CPUs), or a TOML file")
    ] = "default",
    day_select: Annotated[
        list[str] | None, typer.Option(help="only such day frames: split=train,val; repeatable")
    ] = None,
    night_select: Annotated[
        list[str] | None, typer.Option(help="only such night frames: timeofday=night; repeatable")
    ] = None,
    steps: Annotated[int, typer.Option(min=0, help="updates in all; 0: as the recipe says")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="instead of the recipe's")] = None,
    direction: Annotated[
        str, typer.Option(help="day2night or night2day, for papers that train one; else as the recipe says")
    ] = "",
    backbone_file: Annotated[
        Path | None, typer.Option(help="weights that perceptual losses look through, such as vgg16.pth")
    ] = None,
    watch: Annotated[bool, typer.Option(help="wait; show losses and the time left")] = False,
    samples: Annotated[
        Path | None, typer.Option(help="with --watch: a folder for pictures of what it can do so far")
    ] = None,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Train a generator on frames by day and by night; they need not show the same places.

    A killed worker's training goes on from its last checkpoint. Stop a bad one with `nightshift jobs cancel`;
    `nightshift jobs retry` takes it up again.
    """
    is_file = recipe.endswith(".toml")
    chosen = {"recipe_toml": Path(recipe).read_text(encoding="utf-8")} if is_file else {"recipe": recipe}
    with Client(server) as client:
        backbone = None if backbone_file is None else send(err, client, backbone_file)
        job = client.train(
            architecture, day, night, name=name or None, steps=steps, seed=seed, **chosen,
            direction=direction, backbone_upload_id=backbone,
            day_select=Selection.parse(day_select or []).to_json(),
            night_select=Selection.parse(night_select or []).to_json(),
        )  # fmt: skip
        if watch:
            with training_bar(err, client, samples) as show:
                job = client.wait(job, show)
    if as_json:
        print_json(job)
    else:
        out.print("\n".join(job.outcome["generators"]) if watch else job.id)


app.command()(experiment)


@app.command()
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


@app.command()
def download(
    dataset: Annotated[str, typer.Argument(help="a dataset's id")],
    folder: Annotated[Path, typer.Argument(help="an empty or new folder")],
    form: Annotated[str, typer.Option("--format", help="yolo, coco or bdd100k")] = "yolo",
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset: images, labels, its card."""
    with Client(server) as client, transfer(err, f"Downloading {dataset}", None) as advance:
        client.download(dataset, folder, form, advance)
    if as_json:
        print_json({"dataset": dataset, "folder": str(folder), "format": form})
    else:
        out.print(str(folder))


@app.command()
def report(
    dataset: Annotated[str, typer.Argument(help="the id of a dataset or of a job")],
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """What was found while a dataset was made: what was left out, changed or looks wrong, and what to do.
    Of a translation also its quality; of an experiment its verdict and its arms.
    """
    with Client(server) as client:
        found = client.job_report(dataset) if dataset.startswith("job-") else client.report(dataset)
    if as_json:
        print_json(found)
    else:
        print_experiment(found) if "verdict" in found else print_report(found)


@app.command()
def run(
    path: Annotated[Path, typer.Argument(help="a folder or zip of labelled images")],
    generator: GeneratorName,
    out_dir: Annotated[Path, typer.Option("--out", help="an empty or new folder for the result")],
    select: Select = None,
    map_category: MapCategory = None,
    ignore_unknown: IgnoreUnknown = False,
    exclude_suspects: ExcludeSuspects = False,
    licence: Licence = "",
    form: Annotated[str, typer.Option("--format", help="yolo, coco or bdd100k")] = "yolo",
    seed: Seed = 0,
    strength: Strength = 1.0,
    ratio: Ratio = None,
    quality: Quality = 95,
    as_json: AsJson = False,
) -> None:
    """Upload, translate and download in one go, on a private service that ends with the command."""
    ingest = {
        "select": Selection.parse(select or []).to_json(),
        "category_map": parse_pairs(map_category or []),
        "ignore_unknown": ignore_unknown,
        "exclude_suspects": exclude_suspects,
        "licence": licence,
    }
    translation = {"seed": seed, "strength": strength, "ratio": ratio, "jpeg_quality": quality}
    made = local.run(path, generator, out_dir, form, ingest, translation)
    print_json(made) if as_json else local.print_made(made)


@app.command()
def demo(
    path: Annotated[
        Path | None, typer.Argument(help="your own folder or zip; without it, drawn streets")
    ] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="where the result goes")] = Path("demo"),
) -> None:
    """See the whole job happen: draw or take a day dataset, make it night, say where it lies."""
    local.demo(path, out_dir)


def main() -> None:
    """One sentence with the cure for whatever a user can cure; never a traceback for it."""
    try:
        app(standalone_mode=True)
    except JobFailed as failure:
        _fail(failure, EXIT_JOB_FAILED)
    except ServerUnreachable as failure:
        _fail(failure, EXIT_UNREACHABLE)
    except (ApiError, NightshiftError) as failure:
        _fail(failure, EXIT_ERROR)
    except KeyboardInterrupt:
        err.print("Interrupted.")
        sys.exit(EXIT_INTERRUPTED)
    except OSError as failure:
        err.print(one_line(failure), style="red", markup=False)
        sys.exit(EXIT_ERROR)


def _fail(failure: NightshiftError, code: int) -> None:
    err.print(one_line(failure), style="red", markup=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
