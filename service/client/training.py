"""The command that trains a generator."""

from pathlib import Path
from typing import Annotated

import typer

from service.catalogue import ARCHITECTURES
from service.client.client import Client
from service.client.options import LOCAL_SERVER, AsJson, Server
from service.client.output import err, out, print_json
from service.client.progress import send, training_bar
from service.datasets.selection import Selection


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
