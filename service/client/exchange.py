"""The commands by which datasets come and go."""

from pathlib import Path
from typing import Annotated

import typer

from service.client.client import Client, JobFailed
from service.client.exit_codes import EXIT_JOB_FAILED
from service.client.folder import UploadSource
from service.client.options import (
    LOCAL_SERVER,
    AsJson,
    ExcludeSuspects,
    IgnoreUnknown,
    Licence,
    MapCategory,
    Select,
    Server,
    Strict,
    Unlabelled,
    parse_pairs,
)
from service.client.output import err, out, print_dataset, print_json, shown_text
from service.client.progress import job_bar, transfer
from service.datasets.selection import Selection


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


def _sent(client: Client, path: Path) -> str:
    source = UploadSource(path)
    with transfer(err, f"Uploading {source.filename}", source.size_bytes) as advance:
        upload_id = client.upload(path, advance, source)
    if source.skipped:
        err.print(f"{source.skipped} files were neither images nor labels and were not sent.")
    return upload_id
