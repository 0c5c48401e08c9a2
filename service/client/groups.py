"""The commands that come in groups: `nightshift generators`, `nightshift datasets`, `nightshift jobs`."""

from pathlib import Path
from typing import Annotated

import typer

from service.catalogue import ARCHITECTURES
from service.client import local
from service.client.client import Client
from service.client.options import LOCAL_SERVER, AsJson, Ratio, Server
from service.client.output import err, out, print_card, print_dataset, print_json, print_table
from service.client.progress import job_bar, send

generators = typer.Typer(help="The catalogue of generators.", no_args_is_help=True)
datasets = typer.Typer(help="The datasets on the server.", no_args_is_help=True)
jobs = typer.Typer(help="The jobs on the server.", no_args_is_help=True)


@generators.command("list")
def list_generators(server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """What generators there are. Without a server: those that are bundled."""
    cards = local.catalogue(server)
    if as_json:
        print_json(cards)
        return
    rows = [(card.reference, card.direction, card.architecture, card.title) for card in cards]
    print_table(["generator", "direction", "architecture", "what it is"], rows)
    err.print("The whole card of one: nightshift generators show NAME")


@generators.command("show")
def show_generator(
    generator: Annotated[str, typer.Argument(help="a name of the catalogue, or name:version")],
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """The card of a generator: paper, training data, licence, hash of the weights, measured quality."""
    card = local.card(server, generator)
    print_json(card) if as_json else print_card(card)


@generators.command("import")
def import_generator(
    checkpoint: Annotated[
        list[Path],
        typer.Argument(help="a checkpoint of the original code, in all its files, or safetensors"),
    ],
    architecture: Annotated[str, typer.Option(help=f"one of {', '.join(ARCHITECTURES)}")],
    direction: Annotated[str, typer.Option(help="day2night or night2day")],
    name: Annotated[str, typer.Option(help="what to call it")],
    licence: Annotated[str, typer.Option(help="the weights' licence")] = "",
    training_data: Annotated[str, typer.Option(help="what it was trained on")] = "",
    align_corners: Annotated[
        bool | None, typer.Option(help="how an EnlightenGAN checkpoint was trained to upsample")
    ] = None,
    ratio: Ratio = None,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Add a checkpoint to the catalogue. Only tensors are read from it; it is stored as safetensors.

    --ratio is what a KinD will use whenever a translation names none.
    """
    known = {"align_corners": align_corners, "ratio": ratio}
    options = {option: value for option, value in known.items() if value is not None}
    with Client(server) as client:
        upload_id, *parts = [send(err, client, file) for file in checkpoint]
        card = {"licence": licence, "training_data": training_data}
        job = client.import_generator(
            upload_id, name, architecture, direction, part_upload_ids=parts, options=options, card=card
        )
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


@datasets.command("delete")
def delete_dataset(dataset: str, server: Server = LOCAL_SERVER) -> None:
    """Remove a dataset for good. Not while a job makes it or works on it."""
    with Client(server) as client:
        client.delete_dataset(dataset)
    err.print(f"Dataset {dataset} is deleted.", markup=False)


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
