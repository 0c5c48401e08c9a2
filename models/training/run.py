"""Train a generator: folders of day and night images in, weights out.

    python -m models.training.run cyclegan --day DIR --night DIR --recipe compact --out DIR

Prints JSON, one event a line: started, progress, sample, checkpoint, and finished, stopped or failed. SIGTERM
and Ctrl-C stop after the step in progress, with a checkpoint; the same command with --resume goes on from
there, and ends with the same weights, bit for bit on a CPU, as if nothing had happened. On several GPUs:

    torchrun --nproc-per-node 4 -m models.training.run cyclegan …

where each process takes a batch of its own at every step, and the first one prints.
"""

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from models.errors import GeneratorError
from models.training.papers import PAPERS, directed, load_recipe
from models.training.processes import Team, joined_team, leave
from models.training.recipe import Recipe
from models.training.session import TrainingOrder, run_training

EXIT_FAILED = 2
EXIT_SIGNALLED = 128  # and the signal's number on top, as shells have it


class StopSignal:
    """Remembers a SIGTERM or SIGINT until the loop asks; a second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.number = 0
        signal.signal(signal.SIGTERM, self._remember)
        signal.signal(signal.SIGINT, self._remember)

    def __call__(self) -> bool:
        return bool(self.number)

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.number = number
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    stop = StopSignal()
    with joined_team(given.device) as (team, device):
        try:
            order = TrainingOrder(
                paper=given.paper,
                day=given.day,
                night=given.night,
                recipe=_recipe(given),
                out=given.out,
                resumes=given.resume,
                is_original_layout=given.original_layout,
                is_half=given.half,
                device=device,
                backbone_file=given.backbone_file,
            )
            is_finished = run_training(order, print_event, stop, team)
        except GeneratorError as error:
            _tell(error, team)
            return EXIT_FAILED
    # a process may stop because another one was asked to
    return 0 if is_finished else EXIT_SIGNALLED + (stop.number or signal.SIGTERM)


def _tell(error: GeneratorError, team: Team) -> None:
    """Most errors meet all processes alike; those of one alone, such as a damaged image, are told apart."""
    if team.is_first:
        print_event(
            {"event": "failed", "kind": type(error).__name__, "message": error.message, "cure": error.cure}
        )
    else:
        sys.stderr.write(f"process {team.rank}: {error}\n")


def print_event(event: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _recipe(given: argparse.Namespace) -> Recipe:
    recipe = load_recipe(given.recipe, given.paper)
    if given.seed is not None:
        recipe = replace(recipe, seed=given.seed)
    if given.direction is not None:
        recipe = directed(recipe, given.direction)
    return recipe if given.steps is None else recipe.of_steps(given.steps)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paper", choices=list(PAPERS), help="what to train")
    for side in ("day", "night"):
        parser.add_argument(
            f"--{side}", type=Path, nargs="+", required=True, metavar="DIR",
            help=f"folders with {side} images, searched to the bottom",
        )  # fmt: skip
    parser.add_argument("--recipe", default="default", help="default, compact, … or a TOML file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything is written")
    parser.add_argument("--steps", type=_positive, help="updates in all, instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--direction", help="day2night or night2day, instead of the recipe's")
    parser.add_argument(
        "--backbone-file", type=Path, help="weights of what the recipe's perceptual losses look through"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, if any")
    parser.add_argument("--original-layout", action="store_true", help="also write latest_net_*.pth")
    parser.add_argument("--half", action="store_true", help="export the generators in half precision")
    parser.add_argument("--device", help="such as cpu or cuda:1; a GPU by default where there is one")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    leave(main())
