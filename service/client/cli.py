"""The `nightshift` command: the whole service from a shell, on the calls that the API has."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.client import local
from service.client.client import ApiError, Client, JobFailed, ServerUnreachable
from service.client.credentials import VARIABLE
from service.client.exchange import download, upload
from service.client.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_JOB_FAILED, EXIT_UNREACHABLE
from service.client.experiment import experiment
from service.client.groups import datasets, generators, jobs
from service.client.keys import keys
from service.client.options import (
    LOCAL_SERVER,
    AsJson,
    ExcludeSuspects,
    GeneratorName,
    IgnoreUnknown,
    Licence,
    MapCategory,
    Quality,
    Ratio,
    Seed,
    Select,
    Server,
    Strength,
    parse_pairs,
)
from service.client.output import err, one_line, print_experiment, print_json, print_report
from service.client.serving import key, serve, up, worker
from service.client.training import train
from service.client.translation import quality, translate
from service.client.webhooks import webhooks
from service.datasets.selection import Selection
from service.errors import NightshiftError

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


COMMANDS = (up, serve, key, worker, upload, translate, train, experiment, quality, download)
for command in COMMANDS:
    app.command()(command)


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
