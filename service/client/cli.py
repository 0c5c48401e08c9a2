"""The `nightshift` command: the whole service from a shell, on the calls that the API has."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.client import local
from service.client.client import ApiError, Client, JobFailed, ServerUnreachable
from service.client.folder import UploadSource
from service.client.output import err, out, print_dataset, print_json, print_report, print_table
from service.client.progress import job_bar, transfer
from service.datasets.selection import Selection
from service.errors import InvalidRequest, NightshiftError

EXIT_ERROR, EXIT_JOB_FAILED, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 3, 4, 130

app = typer.Typer(
    help="Turns a labelled daytime dataset into a labelled night dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
generators = typer.Typer(help="The catalogue of generators.", no_args_is_help=True)
datasets = typer.Typer(help="The datasets on the server.", no_args_is_help=True)
jobs = typer.Typer(help="The jobs on the server.", no_args_is_help=True)
app.add_typer(generators, name="generators")
app.add_typer(datasets, name="datasets")
app.add_typer(jobs, name="jobs")

Server = Annotated[str, typer.Option(envvar="NIGHTSHIFT_SERVER", help="address of the server")]
LOCAL_SERVER = "http://127.0.0.1:8000"
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Select = Annotated[
    list[str] | None,
    typer.Option(
        help="keep only frames of this kind, such as timeofday=daytime or split=train,val; repeatable"
    ),
]
MapCategory = Annotated[
    list[str] | None, typer.Option(help="read one category as another: van=car; repeatable")
]
IgnoreUnknown = Annotated[bool, typer.Option(help="leave out boxes of unknown categories")]
ExcludeSuspects = Annotated[bool, typer.Option(help="leave out frames whose timeofday tag looks wrong")]
Strict = Annotated[bool, typer.Option(help="reject the dataset if anything in it is faulty")]
Licence = Annotated[str, typer.Option(help="under which licence the data is; every derived card repeats it")]
GeneratorName = Annotated[str, typer.Option(help="a name of the catalogue, or name:version")]
Seed = Annotated[int, typer.Option(min=0, help="decides every random choice")]
Strength = Annotated[float, typer.Option(min=0.0, max=1.0, help="0: no change, 1: the full effect")]
Quality = Annotated[int, typer.Option(min=1, max=100, help="JPEG quality of the results")]
BatchSize = Annotated[int, typer.Option(min=0, help="images at once; 0: the machine chooses")]
ErrorBudget = Annotated[float, typer.Option(min=0.0, max=1.0, help="share of images that may fail")]


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    data: Annotated[Path, typer.Option(help="where everything is kept")] = Path("nightshift-data"),
    workers: Annotated[int, typer.Option(min=1, max=64)] = 1,
) -> None:
    """Run API, workers and reconciler on this machine until Ctrl-C. No other server is needed."""
    local.serve(data, port, workers)


@app.command()
def upload(
    path: Annotated[Path, typer.Argument(help="a folder or zip of labelled images")],
    name: Annotated[str, typer.Option(help="what to call the dataset")] = "",
    select: Select = None,
    map_category: MapCategory = None,
    ignore_unknown: IgnoreUnknown = False,
    exclude_suspects: ExcludeSuspects = False,
    strict: Strict = False,
    licence: Licence = "",
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Send a labelled dataset (BDD100K, YOLO or COCO; found by itself) and wait until it is read."""
    options = {
        "name": name,
        "select": Selection.parse(select or []).to_json(),
        "category_map": parse_pairs(map_category or []),
        "ignore_unknown": ignore_unknown,
        "exclude_suspects": exclude_suspects,
        "strict": strict,
        "licence": licence,
    }
    source = UploadSource(path)
    with Client(server) as client:
        with transfer(err, f"Uploading {source.filename}", source.size_bytes) as advance:
            upload_id = client.upload(path, advance, source)
        if source.skipped:
            err.print(f"{source.skipped} files were neither images nor labels and were not sent.")
        made = client.create_dataset(upload_id, **options)
        with job_bar(err, "Reading") as show:
            try:
                dataset = client.wait_for_dataset(made, show)
            except JobFailed as failure:
                err.print(f"[red]{failure.message}[/red]  (nightshift report {made.dataset.id})", markup=True)
                raise typer.Exit(EXIT_JOB_FAILED) from None
    print_json(dataset) if as_json else print_dataset(dataset)


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
    quality: Quality = 95,
    batch_size: BatchSize = 0,
    error_budget: ErrorBudget = 0.05,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Translate a dataset: a new one with the same labels, or with --preview a sheet of pairs to look at."""
    with Client(server) as client:
        job = client.translate(
            dataset, generator, name=name, select=Selection.parse(select or []).to_json(), preview=preview,
            seed=seed, strength=strength, jpeg_quality=quality, batch_size=batch_size,
            error_budget=error_budget,
        )  # fmt: skip
        if watch or preview:
            with job_bar(err, "Translating") as show:
                job = client.wait(job, show)
        if preview:
            client.contact_sheet(job.id, sheet)
            err.print(f"Pairs of {preview} frames: {sheet}")
    if as_json:
        print_json(job)
    elif not preview:
        out.print(job.result_id if watch else job.id)


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
    """What was found while a dataset was made: what was left out, changed or looks wrong, and what to do."""
    with Client(server) as client:
        found = client.job_report(dataset) if dataset.startswith("job-") else client.report(dataset)
    print_json(found) if as_json else print_report(found)


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
    translation = {"seed": seed, "strength": strength, "jpeg_quality": quality}
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


@generators.command("list")
def list_generators(server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """What generators there are. Without a server: those that are bundled."""
    cards = local.catalogue(server)
    if as_json:
        print_json(cards)
        return
    rows = [(card.reference, card.direction, card.architecture, card.licence, card.title) for card in cards]
    print_table(["generator", "direction", "architecture", "licence", "what it is"], rows)


@generators.command("import")
def import_generator(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint of the original code, or safetensors")],
    architecture: Annotated[str, typer.Option(help="cyclegan or enlightengan")],
    direction: Annotated[str, typer.Option(help="day2night or night2day")],
    name: Annotated[str, typer.Option(help="what to call it")],
    licence: Annotated[str, typer.Option(help="the weights' licence")] = "",
    training_data: Annotated[str, typer.Option(help="what it was trained on")] = "",
    align_corners: Annotated[
        bool | None, typer.Option(help="how an EnlightenGAN checkpoint was trained to upsample")
    ] = None,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Add a checkpoint to the catalogue. Only tensors are read from it; it is stored as safetensors."""
    options = {} if align_corners is None else {"align_corners": align_corners}
    source = UploadSource(checkpoint)
    with Client(server) as client:
        with transfer(err, f"Uploading {source.filename}", source.size_bytes) as advance:
            upload_id = client.upload(checkpoint, advance, source)
        card = {"licence": licence, "training_data": training_data}
        job = client.import_generator(upload_id, name, architecture, direction, options=options, card=card)
        job = client.wait(job)
    print_json(job) if as_json else out.print(job.outcome["generator"])


@datasets.command("list")
def list_datasets(server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """Newest first."""
    with Client(server) as client:
        found = list(client.datasets())
    if as_json:
        print_json(found)
        return
    rows = [
        (each.id, each.state, each.counts.get("frames", ""), each.format or "", each.name) for each in found
    ]
    print_table(["dataset", "state", "frames", "format", "name"], rows)


@datasets.command("show")
def show_dataset(dataset: str, server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """What a dataset holds."""
    with Client(server) as client:
        found = client.dataset(dataset)
    print_json(found) if as_json else print_dataset(found)


@jobs.command("list")
def list_jobs(server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """Newest first."""
    with Client(server) as client:
        found = list(client.jobs())
    if as_json:
        print_json(found)
        return
    rows = [
        (
            job.id,
            job.kind,
            job.state,
            f"{job.progress.frames_done}/{job.progress.frames_total}",
            job.result_id or "",
        )
        for job in found
    ]
    print_table(["job", "kind", "state", "frames", "result"], rows)


@jobs.command("watch")
def watch_job(job: str, server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """Show a job's progress until it ends."""
    with Client(server) as client, job_bar(err, job) as show:
        ended = client.wait(client.job(job), show)
    print_json(ended) if as_json else out.print(ended.result_id or ended.state)


@jobs.command("cancel")
def cancel_job(job: str, server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """Stop a job; its workers are free within seconds."""
    with Client(server) as client:
        cancelled = client.cancel(job)
    print_json(cancelled) if as_json else out.print(cancelled.state)


@jobs.command("retry")
def retry_job(job: str, server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """Start a failed or cancelled job again; what it finished is kept."""
    with Client(server) as client:
        new = client.retry(job)
    print_json(new) if as_json else out.print(new.id)


def parse_pairs(expressions: list[str]) -> dict[str, str]:
    """Raises:
    InvalidRequest: an expression is not NAME=NAME.
    """
    pairs = {}
    for expression in expressions:
        name, equals, target = expression.partition("=")
        if not (name and equals and target):
            raise InvalidRequest(
                f"{expression!r} is not NAME=CATEGORY.", "Write for example: --map-category van=car"
            )
        pairs[name] = target
    return pairs


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
        err.print(str(failure), style="red", markup=False)
        sys.exit(EXIT_ERROR)


def _fail(failure: NightshiftError, code: int) -> None:
    err.print(str(failure), style="red", markup=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
