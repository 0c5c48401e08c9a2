"""One training from folders of images to weights on disk: found, resumed, run, exported."""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from models.device import choose_device, device_name
from models.generators.network import NetworkGenerator
from models.training.checkpoint import (
    Checkpoint,
    not_finite,
    read_checkpoint,
    write_checkpoint,
    write_whole,
)
from models.training.data import UnpairedBatches, prefetched
from models.training.errors import LossNotFinite, RecipeRejected, TrainingNotResumed
from models.training.images import ImageSet, find_images
from models.training.loop import Hooks, train
from models.training.papers import PAPERS, check_backbone
from models.training.processes import ALONE, Team
from models.training.recipe import Recipe
from models.training.samples import sample_grid
from models.training.statistics import settle_statistics
from models.training.strict_toml import to_toml
from models.weights import ConvertedWeights, save_weights

CHECKPOINT = "checkpoint.pt"
EXAMPLES = 4
SETTLED_BY = 32  # batches
LOADER_THREADS_CPU, LOADER_THREADS_CUDA = 2, 8

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """What to train, on what, and where the results go.

    `paper`: a name in `models.training.papers.PAPERS`. `resumes`: go on from the checkpoint in `out` if there
    is one. `is_original_layout`: also write all networks as the original does (such as `latest_net_G_A.pth`).
    `is_half`: export in half precision. `backbone_file`: weights of what the recipe's perceptual losses look
    through.
    """

    paper: str
    day: Sequence[Path]
    night: Sequence[Path]
    recipe: Recipe
    out: Path
    resumes: bool = False
    is_original_layout: bool = False
    is_half: bool = False
    device: str | None = None
    backbone_file: Path | None = None


def run_training(
    order: TrainingOrder, report: Report, should_stop: Callable[[], bool], team: Team = ALONE
) -> bool:
    """Trains until the end or until asked to stop; what happens is reported as it happens.

    Args:
        team: the processes that carry out the same order; the first of them reports and writes.

    Returns:
        Whether the training came to its end, with its weights written.

    Raises:
        GeneratorError: the images, the checkpoint or the losses do not allow to go on.
    """
    session = _Session(order, report, team)
    done = session.train(should_stop)
    is_finished = done >= session.recipe.length.steps
    if team.is_first:
        files = session.export() if is_finished else []
        report({"event": "finished" if is_finished else "stopped", "step": done, "files": files})
    return is_finished


class _Session:
    """The parts of a training, and the hooks that tie the loop to the folder `out`."""

    def __init__(self, order: TrainingOrder, report: Report, team: Team) -> None:
        self.order, self.report, self.team = order, report, team
        smallest_px = order.recipe.data.smallest_px
        day = find_images(order.day, "day", smallest_px)
        night = find_images(order.night, "night", smallest_px)
        self.recipe = order.recipe.for_images(len(day), len(night), team.size)
        self.images = {"day": day.fingerprint, "night": night.fingerprint}
        self.batches = UnpairedBatches(day.paths, night.paths, self.recipe, team)
        self.device = choose_device(order.device)
        # crops are all of one size: trying out kernels once pays
        torch.backends.cudnn.benchmark = self.device.type == "cuda"
        features = check_backbone(self.recipe, order.backbone_file)
        self.step = PAPERS[order.paper].step(self.recipe, self.device, team, features)
        self._refuse_foreign_layout()
        self.steps_done = self._resume()
        if team.is_first:
            (order.out / "samples").mkdir(parents=True, exist_ok=True)
            write_whole(to_toml(self.recipe).encode(), order.out / "recipe.toml")
            self._report_start(day, night)
        images_per_step = 2 * self.recipe.data.batch_size * team.size  # of both sides
        self._clock = _Clock(self.steps_done, self.recipe.length.steps, images_per_step)

    def train(self, should_stop: Callable[[], bool]) -> int:
        """How many updates were made, those before a resumption included."""
        length = self.recipe.length
        hooks = Hooks(self._log, self._sample, self._save, lambda: self.team.any(should_stop()))
        threads = LOADER_THREADS_CUDA if self.device.type == "cuda" else LOADER_THREADS_CPU
        numbers = range(self.steps_done, length.steps)
        with closing(prefetched(self.batches.at, numbers, threads)) as batches:
            return train(self.step, batches, length, hooks, self.steps_done)

    def export(self) -> list[str]:
        """Writes the generators, loadable by `models.registry.load_generator`; returns the files' names."""
        self._settle()
        content = {}
        for direction, generator in self.step.generators().items():
            weights = _weights_of(generator, PAPERS[self.order.paper].architecture, self.order.is_half)
            content[f"{direction}.safetensors"] = save_weights(weights)
        if self.order.is_original_layout:
            for name, network in self.step.networks.items():
                content[f"latest_net_{name}.pth"] = _pickled(network)
        for name, data in content.items():
            write_whole(data, self.order.out / name)
        return list(content)

    def _settle(self) -> None:
        """Without averages the statistics are the training's, as published."""
        if self.step.averages is None:
            return
        for direction, generator in self.step.generators().items():
            sources = (self.batches.sources(direction, number) for number in range(SETTLED_BY))
            settle_statistics(generator, (images.to(self.device) for images in sources))

    def _refuse_foreign_layout(self) -> None:
        generators = self.step.generators().values()
        if self.order.is_original_layout and not all(each.fits_original_code for each in generators):
            raise RecipeRejected(
                "The original's code cannot use these generators: they compute what it does not.",
                "Train without its layout, or with the networks of the recipe 'default'.",
            )

    def _resume(self) -> int:
        """How many updates were made before."""
        checkpoint = self.team.share(self._found_checkpoint() if self.team.is_first else None)
        if checkpoint is None:
            return 0
        self.step.load_state_dict(checkpoint.state)
        before = {**checkpoint.recipe, **checkpoint.images, "processes": checkpoint.processes}
        changes = _changes(before, {**asdict(self.recipe), **self.images, "processes": self.team.size})
        if changes and self.team.is_first:
            self.report({"event": "changed", "step": checkpoint.step, "changes": changes})
        return checkpoint.step

    def _found_checkpoint(self) -> Checkpoint | None:
        path = self.order.out / CHECKPOINT
        if not path.exists():
            return None
        if not self.order.resumes:
            raise TrainingNotResumed(
                f"There is a training in {str(self.order.out)!r} already.",
                "Add --resume, or name another folder.",
            )
        checkpoint = read_checkpoint(path)
        if checkpoint.paper != self.order.paper:
            raise TrainingNotResumed(
                f"The training in {str(self.order.out)!r} is one of {checkpoint.paper!r}."
            )
        return checkpoint

    def _report_start(self, day: ImageSet, night: ImageSet) -> None:
        self.report(
            {
                "event": "started",
                "step": self.steps_done,
                "steps": self.recipe.length.steps,
                "day": len(day),
                "night": len(night),
                "processes": self.team.size,
                "device": device_name(self.device),
                "precision": self.step.precision,
                "recipe": asdict(self.recipe),
            }
        )

    def _log(self, number: int, losses: Mapping[str, float]) -> None:
        if not self.team.is_first:
            return
        rounded = {term: float(f"{loss:.6g}") for term, loss in losses.items()}
        self.report({"event": "progress", "losses": rounded, **self._clock.read(number)})

    def _sample(self, number: int) -> None:
        if not self.team.is_first:
            return
        # what is shown is what would be exported; the next update forgets it
        self._settle()
        path = self.order.out / "samples" / f"step-{number:07d}.png"
        write_whole(sample_grid(self.step.sample(self.batches.examples(EXAMPLES))), path)
        self.report({"event": "sample", "step": number, "file": f"samples/{path.name}"})

    def _save(self, number: int) -> None:
        # in all processes: a state is put together from all of them, and a bad one stops all of them
        state = self.step.state_dict()
        # the losses of the last update were finite, but its gradients need not have been
        bad = not_finite(state["networks"])
        if bad:
            raise LossNotFinite(number, [f"the weights {name}" for name in bad[:3]])
        if not self.team.is_first:
            return
        recipe, processes = asdict(self.recipe), self.team.size
        checkpoint = Checkpoint(self.order.paper, number, recipe, self.images, state, processes)
        write_checkpoint(checkpoint, self.order.out / CHECKPOINT)
        self.report({"event": "checkpoint", "step": number, "file": CHECKPOINT})


class _Clock:
    """Speed since the last time it was read, and what is left at this speed."""

    def __init__(self, number: int, steps: int, images_per_step: int) -> None:
        self._number, self._steps, self._images_per_step = number, steps, images_per_step
        self._read = time.monotonic()

    def read(self, number: int) -> dict[str, float]:
        now = time.monotonic()
        seconds_per_step = (now - self._read) / (number - self._number)
        self._number, self._read = number, now
        return {
            "step": number,
            "steps": self._steps,
            "images_per_second": round(self._images_per_step / seconds_per_step, 2),
            "seconds_left": round(seconds_per_step * (self._steps - number), 1),
        }


def _weights_of(generator: NetworkGenerator, architecture: str, is_half: bool) -> ConvertedWeights:
    dtype = torch.float16 if is_half else torch.float32
    state = {
        # counts of batches soon are more than a half can hold
        key: tensor.detach().cpu().to(dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for key, tensor in generator.state_dict().items()
    }
    return ConvertedWeights(architecture, state, {**generator.config_of(state), **generator.options()})


def _pickled(network: torch.nn.Module) -> bytes:
    content = io.BytesIO()
    torch.save({key: tensor.cpu().contiguous() for key, tensor in network.state_dict().items()}, content)
    return content.getvalue()


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], name: str = "") -> list[str]:
    """What differs between two nested tables, in words."""
    found = []
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            found += _changes(old, value, f"{name}{key}.")
        elif value != old:
            found.append(f"{name}{key}: {old} before, {value} now")
    return found
