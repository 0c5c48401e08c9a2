"""One update of CycleGAN: ours beside a plain re-creation of the original loop.

Both ways share networks, first weights and batches, and take turns within one run.

- original: its order of passes, one image at a time through each network, in float32, with the optimiser as
  `torch.optim.Adam` comes.
- ours: `models.training.cyclegan_step`, in float32, whose losses must be those of the original, and in the
  precision that the machine gains by.

    python -m benchmarks.training_step --sizes 64x9x256x1,32x6x128x1 --rounds 5
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from benchmarks.record import write_record
from models.device import choose_device, device_name
from models.training.cyclegan_networks import CycleGANNetworks
from models.training.cyclegan_step import CycleGANStep
from models.training.data import Batch
from models.training.recipe import Data, Networks, Recipe, Updates

TOLERANCE = 1e-4


class OriginalLoop:
    """`CycleGANModel.optimize_parameters` of pytorch-CycleGAN-and-pix2pix, written out again."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.device = device
        self.networks = CycleGANNetworks(recipe.networks, recipe.seed).to(device)
        self.criterion_gan, self.criterion_l1 = nn.MSELoss(), nn.L1Loss()
        generators = [*self.networks["G_A"].parameters(), *self.networks["G_B"].parameters()]
        discriminators = [*self.networks["D_A"].parameters(), *self.networks["D_B"].parameters()]
        self.optimiser_g = torch.optim.Adam(generators, lr=2e-4, betas=(0.5, 0.999))
        self.optimiser_d = torch.optim.Adam(discriminators, lr=2e-4, betas=(0.5, 0.999))
        self.pool_a: list[Tensor] = []
        self.pool_b: list[Tensor] = []

    def update(self, batch: Batch) -> dict[str, Tensor]:
        day, night = batch.day.to(self.device), batch.night.to(self.device)
        translate, judge = self.networks.translate, self.networks.judge
        fake_night = translate("G_A", day)
        cycled_day = translate("G_B", fake_night)
        fake_day = translate("G_B", night)
        cycled_night = translate("G_A", fake_day)

        self._require_grad(False)
        self.optimiser_g.zero_grad()
        losses = {
            "identity_A": self.criterion_l1(translate("G_A", night), night),
            "identity_B": self.criterion_l1(translate("G_B", day), day),
            "G_A": self._gan(judge("D_A", fake_night), 1.0),
            "G_B": self._gan(judge("D_B", fake_day), 1.0),
            "cycle_A": self.criterion_l1(cycled_day, day),
            "cycle_B": self.criterion_l1(cycled_night, night),
        }
        weights = {"G": 1.0, "cycle": 10.0, "identity": 0.5 * 10.0}
        torch.stack([weights[term[:-2]] * loss for term, loss in losses.items()]).sum().backward()
        self.optimiser_g.step()

        self._require_grad(True)
        self.optimiser_d.zero_grad()
        losses["D_A"] = self._backward_d("D_A", night, self._query(self.pool_a, fake_night))
        losses["D_B"] = self._backward_d("D_B", day, self._query(self.pool_b, fake_day))
        self.optimiser_d.step()
        return {term: loss.detach() for term, loss in losses.items()}

    def _require_grad(self, is_required: bool) -> None:
        for name in ("D_A", "D_B"):
            self.networks[name].requires_grad_(is_required)

    def _backward_d(self, name: str, real: Tensor, fake: Tensor) -> Tensor:
        judge = self.networks.judge
        loss = 0.5 * (self._gan(judge(name, real), 1.0) + self._gan(judge(name, fake.detach()), 0.0))
        loss.backward()
        return loss

    def _gan(self, verdicts: Tensor, target: float) -> Tensor:
        return self.criterion_gan(verdicts, torch.tensor(target, device=self.device).expand_as(verdicts))

    @staticmethod
    def _query(pool: list[Tensor], images: Tensor) -> Tensor:
        chosen = []
        for image in images.detach():
            if len(pool) < 50:
                pool.append(image)
                chosen.append(image)
            elif random.uniform(0, 1) > 0.5:
                place = random.randint(0, 49)
                chosen.append(pool[place].clone())
                pool[place] = image
            else:
                chosen.append(image)
        return torch.stack(chosen)


@dataclass(frozen=True, slots=True)
class Size:
    channels: int
    blocks: int
    crop_px: int
    batch: int

    def recipe(self, mixed_precision: bool) -> Recipe:
        networks = Networks(self.channels, self.blocks, self.channels)
        data = Data(crop_px=self.crop_px, resize="none", batch_size=self.batch)
        return Recipe(networks=networks, data=data, updates=Updates(mixed_precision=mixed_precision))

    def __str__(self) -> str:
        return f"{self.channels} ch, {self.blocks} blocks, {self.crop_px} px, batch {self.batch}"


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio`: how many times faster than the original, the median over the rounds; `difference`: of the
    first losses."""

    size: str
    way: str
    precision: str
    ms_per_image: float
    spread: float
    ratio: float
    difference: float


def batch_of(size: Size) -> Batch:
    dice = torch.Generator().manual_seed(0)
    shape = (size.batch, 3, size.crop_px, size.crop_px)
    return Batch(torch.rand(shape, generator=dice) * 2 - 1, torch.rand(shape, generator=dice) * 2 - 1)


def measure(size: Size, device: torch.device, rounds: int) -> list[Row]:
    batch = batch_of(size)
    original = OriginalLoop(size.recipe(False), device)
    steps = {"ours, float32": CycleGANStep(size.recipe(False), device)}
    mixed = CycleGANStep(size.recipe(True), device)
    if mixed.precision != "float32":
        steps[f"ours, {mixed.precision}"] = mixed
    ways: dict[str, Callable[[], dict[str, Tensor]]] = {"original": lambda: _one_by_one(original, batch)}
    for name, step in steps.items():
        ways[name] = lambda step=step: step.update(batch, 1.0)

    first = {"original": original.update(batch), **{name: ways[name]() for name in steps}}
    seconds = _timed(ways, device, rounds)
    best = {name: min(each) / size.batch for name, each in seconds.items()}
    return [
        Row(
            size=str(size),
            way=name,
            precision=steps[name].precision if name in steps else "float32",
            ms_per_image=best[name] * 1e3,
            spread=statistics.median(each) / min(each) - 1,
            ratio=statistics.median(o / w for o, w in zip(seconds["original"], each, strict=True)),
            difference=max(abs(float(loss - first["original"][term])) for term, loss in first[name].items()),
        )
        for name, each in seconds.items()
    ]


def _one_by_one(original: OriginalLoop, batch: Batch) -> dict[str, Tensor]:
    """The original trains at batch 1."""
    for piece in batch.pieces(len(batch)):
        losses = original.update(piece)
    return losses


def _timed(
    ways: dict[str, Callable[[], dict[str, Tensor]]], device: torch.device, rounds: int
) -> dict[str, list[float]]:
    """Seconds of each round; the ways take turns, so that a busy moment hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            # the first round warms caches and allocators
            if number:
                seconds[name].append(time.perf_counter() - start)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return seconds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| networks | way | ms/image | x original | median behind best | losses differ by |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.size} | {row.way} | {row.ms_per_image:.1f} | {row.ratio:.2f} | {row.spread:.0%} "
        f"| {row.difference:.1e} |"
        for row in rows
    ]
    return "\n".join(lines)


def _sizes(text: str) -> list[Size]:
    return [Size(*(int(part) for part in each.split("x"))) for each in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = "64x9x256x8" if torch.cuda.is_available() else "64x9x256x1,32x6x128x1"
    parser.add_argument("--sizes", type=_sizes, default=default, help="channels x blocks x crop x batch, …")
    parser.add_argument("--rounds", type=int, default=5, help="after one round to warm up")
    parser.add_argument("--device", help="such as cpu or cuda:1; a GPU by default where there is one")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    # both ways may try out kernels once, as crops are all of one size
    torch.backends.cudnn.benchmark = device.type == "cuda"
    rows = [row for size in arguments.sizes for row in measure(size, device, arguments.rounds)]
    print(device_name(device))
    print(table(rows))
    exact = [row for row in rows if row.precision == "float32"]
    assert all(row.difference < TOLERANCE for row in exact), "the losses are not those of the original"
    result = {"rounds": arguments.rounds, "rows": [asdict(row) for row in rows]}
    write_record(f"training-step-{device.type}", device, result)


if __name__ == "__main__":
    main()
