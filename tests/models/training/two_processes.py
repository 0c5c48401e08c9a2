"""What two processes do together for `test_processes.py`: one within the tests, the other as a command.

It is started with RANK=1 and so on, and with the folder to fill and the folders of day and night images.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from models.errors import GeneratorError
from models.training.cyclegan_recipe import CycleGANRecipe
from models.training.data import UnpairedBatches
from models.training.images import find_images
from models.training.papers import PAPERS, check_backbone, load_recipe
from models.training.processes import Team, joined_team, leave
from models.training.recipe import Recipe
from models.training.session import TrainingOrder, run_training


def main(folder: Path, day: Path, night: Path) -> None:
    torch.set_num_threads(1)
    with joined_team("cpu") as (team, device):
        for paper in PAPERS:
            recipe = load_recipe(str(folder / f"{paper}.toml"), paper)
            order = TrainingOrder(paper, [day], [night], recipe, folder / paper / "whole", device=device)
            train(order, team, lambda: False)
            halves = replace(order, out=folder / paper / "halves")
            # only the second process is told to stop
            train(halves, team, after(2) if team.rank == 1 else lambda: False)
            train(replace(halves, resumes=True), team, lambda: False)
            torch.save(updated(paper, order, team), folder / f"{paper}-{team.rank}.pt")
        (folder / f"team-{team.rank}").write_text(json.dumps(talk(team)))
        # only the second process finds a damaged image
        if team.rank == 1:
            order = replace(order, day=[folder / "damaged"])
        order = replace(order, out=folder / "damaged-out")
        try:
            train(order, team, lambda: False)
        except GeneratorError as error:
            (folder / f"error-{team.rank}").write_text(f"{type(error).__name__}: {error}")


def train(order: TrainingOrder, team: Team, should_stop: Callable[[], bool]) -> None:
    def report(event: Any) -> None:
        order.out.mkdir(parents=True, exist_ok=True)
        with (order.out / f"events-{team.rank}.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")

    run_training(order, report, should_stop, team)


def after(updates: int) -> Callable[[], bool]:
    left = iter(range(updates))
    return lambda: next(left, None) is None


def updated(paper: str, order: TrainingOrder, team: Team) -> dict[str, Any]:
    """The weights after three updates, and their losses, without pools: these are each process's own."""
    recipe = without_pools(order.recipe)
    day, night = (find_images(folders, "", 32).paths for folders in (order.day, order.night))
    batches = UnpairedBatches(day, night, recipe, team)
    step = PAPERS[paper].step(recipe, None, team, check_backbone(recipe, None))
    losses = [step.update(batches.at(number), 1.0) for number in range(3)]
    return {"losses": losses, "networks": step.networks.state_dict()}


def without_pools(recipe: Recipe) -> Recipe:
    if isinstance(recipe, CycleGANRecipe):
        return replace(recipe, updates=replace(recipe.updates, pool_size=0))
    return recipe


def talk(team: Team) -> list[Any]:
    """What this process hears from both, when each gives its rank."""
    tensors = [torch.tensor([float(team.rank), 4.0]), torch.tensor(10.0 * team.rank)]
    team.average(tensors)
    agreed = [team.any(team.rank == 1), team.any(False)]
    return [[each.tolist() for each in tensors], agreed, team.gather(team.rank), team.share(team.rank)]


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
    leave(0)
