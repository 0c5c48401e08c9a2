"""One update of CycleGAN and of CUT: ours beside plain re-creations of the original loops.

Both ways share networks, first weights and batches, and take turns within one run.

- original: its order of passes, one image at a time through each network, in float32, with the optimiser as
  `torch.optim.Adam` comes.
- ours: `models.training.cyclegan_step` and `cut_step`, in float32, whose losses must be those of the
  original, and in the precision that the machine gains by.

    python -m benchmarks.training_step --sizes 64x9x256x1,32x6x128x1 --rounds 5
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.record import write_record
from models.device import choose_device, device_name
from models.training.cut_networks import CUTNetworks
from models.training.cut_recipe import CUTRecipe, CUTSizes
from models.training.cut_step import CUTStep, drawn_places
from models.training.cyclegan_networks import CycleGANNetworks
from models.training.cyclegan_recipe import CycleGANRecipe, CycleGANSizes, CycleGANUpdates
from models.training.cyclegan_step import CycleGANStep
from models.training.data import Batch
from models.training.dice import patch_dice
from models.training.recipe import Data, Recipe, Updates

TOLERANCE = 1e-4

Losses = dict[str, Tensor]


class OriginalCycleGAN:
    """`CycleGANModel.optimize_parameters` of pytorch-CycleGAN-and-pix2pix, written out again."""

    def __init__(self, recipe: CycleGANRecipe, device: torch.device) -> None:
        self.device = device
        self.networks = CycleGANNetworks(recipe.networks, recipe.seed).to(device)
        self.criterion_gan, self.criterion_l1 = nn.MSELoss(), nn.L1Loss()
        generators = [*self.networks["G_A"].parameters(), *self.networks["G_B"].parameters()]
        discriminators = [*self.networks["D_A"].parameters(), *self.networks["D_B"].parameters()]
        self.optimiser_g = torch.optim.Adam(generators, lr=2e-4, betas=(0.5, 0.999))
        self.optimiser_d = torch.optim.Adam(discriminators, lr=2e-4, betas=(0.5, 0.999))
        self.pool_a: list[Tensor] = []
        self.pool_b: list[Tensor] = []

    def update(self, batch: Batch) -> Losses:
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


class OriginalCUT:
    """`CUTModel.optimize_parameters` of contrastive-unpaired-translation, written out again.

    It draws its patches twice; here both are those that our step draws.
    """

    def __init__(self, recipe: CUTRecipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.networks = CUTNetworks(recipe.networks, recipe.seed).to(device)
        self.criterion_gan, self.criterion_nce = nn.MSELoss(), nn.CrossEntropyLoss()
        self.optimisers = {
            name: torch.optim.Adam(self.networks[name].parameters(), lr=2e-4, betas=(0.5, 0.999))
            for name in ("G", "F", "D")
        }
        self.updates = 0

    def update(self, batch: Batch) -> Losses:
        real_a, real_b = batch.day.to(self.device), batch.night.to(self.device)
        dice = patch_dice(self.recipe.seed, self.updates)
        is_flipped = self.recipe.losses.flip_equivariance and dice.random() < 0.5
        has_identity = self.recipe.losses.identity
        real = torch.cat((real_a, real_b)) if has_identity else real_a
        fake = self.networks.generator.translate(real.flip(3) if is_flipped else real)
        fake_b, same_b = fake[: len(real_a)], fake[len(real_a) :]

        self.networks["D"].requires_grad_(True)
        self.optimisers["D"].zero_grad()
        judged = self._gan(fake_b.detach(), 0.0), self._gan(real_b, 1.0)
        losses = {"D": 0.5 * (judged[0] + judged[1])}
        losses["D"].backward()
        self.optimisers["D"].step()

        self.networks["D"].requires_grad_(False)
        for name in ("G", "F"):
            self.optimisers[name].zero_grad()
        losses["G"] = self._gan(fake_b, 1.0)
        sizes = self.networks.generator.encode(real_a)
        places = drawn_places(sizes, self.recipe.losses.patches, dice)
        losses["nce"] = both = self._nce(real_a, fake_b, places, is_flipped)
        if has_identity:
            losses["nce_identity"] = self._nce(real_b, same_b, places, is_flipped)
            both = 0.5 * (losses["nce"] + losses["nce_identity"])
        (losses["G"] + self.recipe.losses.nce * both).backward()
        for name in ("G", "F"):
            self.optimisers[name].step()
        self.updates += 1
        return {term: loss.detach() for term, loss in losses.items()}

    def _gan(self, images: Tensor, target: float) -> Tensor:
        verdicts = self.networks.judge(images)
        return self.criterion_gan(verdicts, torch.tensor(target, device=self.device).expand_as(verdicts))

    def _nce(self, source: Tensor, target: Tensor, places: Sequence[Tensor], is_flipped: bool) -> Tensor:
        encode, vectors = self.networks.generator.encode, self.networks.vectors
        queries = [feature.flip(3) if is_flipped else feature for feature in encode(target)]
        pairs = zip(vectors(queries, places), vectors(encode(source), places), strict=True)
        return torch.stack([self._patch_nce(query, key.detach()) for query, key in pairs]).mean()

    def _patch_nce(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The positive first, then all the others, with the positive's place among them blotted out."""
        positive = (queries * keys).sum(dim=2, keepdim=True)
        negative = torch.bmm(queries, keys.transpose(2, 1))
        diagonal = torch.eye(queries.shape[1], dtype=torch.bool, device=self.device)
        negative.masked_fill_(diagonal, -10.0)
        logits = torch.cat((positive, negative), dim=2).flatten(0, 1) / self.recipe.losses.temperature
        return self.criterion_nce(logits, torch.zeros(len(logits), dtype=torch.long, device=self.device))


# original and ours
LOOPS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "cyclegan": (OriginalCycleGAN, CycleGANStep),
    "cut": (OriginalCUT, CUTStep),
}


@dataclass(frozen=True, slots=True)
class Size:
    channels: int
    blocks: int
    crop_px: int
    batch: int

    def recipe(self, paper: str, mixed_precision: bool) -> Recipe:
        sizes = {
            "generator_channels": self.channels,
            "generator_blocks": self.blocks,
            "discriminator_channels": self.channels,
        }
        data = Data(crop_px=self.crop_px, resize="none", batch_size=self.batch)
        if paper == "cut":
            updates = Updates(mixed_precision=mixed_precision)
            return CUTRecipe(networks=CUTSizes(**sizes), data=data, updates=updates)
        updates = CycleGANUpdates(mixed_precision=mixed_precision)
        return CycleGANRecipe(networks=CycleGANSizes(**sizes), data=data, updates=updates)

    def __str__(self) -> str:
        return f"{self.channels} ch, {self.blocks} blocks, {self.crop_px} px, batch {self.batch}"


class Way(NamedTuple):
    paper: str
    way: str = "original"
    precision: str = "float32"


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio`: how many times faster than the paper's original, the median over the rounds; `difference`: of
    the first losses."""

    size: str
    paper: str
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
    """All ways through an update of all papers; they take turns."""
    batch = batch_of(size)
    runs: dict[Way, Callable[[], Losses]] = {}
    first: dict[Way, Losses] = {}
    for paper, (original_loop, our_step) in LOOPS.items():
        original = original_loop(size.recipe(paper, False), device)
        first[Way(paper)] = original.update(batch)
        runs[Way(paper)] = partial(_one_by_one, original, batch)
        # float32 twice where the machine gains nothing by another precision: the second one is left out
        for is_mixed in (True, False):
            step = our_step(size.recipe(paper, is_mixed), device)
            way = Way(paper, "ours", step.precision)
            runs[way] = partial(step.update, batch, 1.0)
            first[way] = runs[way]()
    seconds = _timed(runs, device, rounds)
    return [
        Row(
            size=str(size),
            **way._asdict(),
            ms_per_image=min(each) / size.batch * 1e3,
            spread=statistics.median(each) / min(each) - 1,
            ratio=statistics.median(o / w for o, w in zip(seconds[Way(way.paper)], each, strict=True)),
            difference=max(
                abs(float(loss - first[Way(way.paper)][term])) for term, loss in first[way].items()
            ),
        )
        for way, each in seconds.items()
    ]


def _one_by_one(original: OriginalCycleGAN | OriginalCUT, batch: Batch) -> Losses:
    """The original trains at batch 1."""
    for piece in batch.pieces(len(batch)):
        losses = original.update(piece)
    return losses


def _timed(
    runs: dict[Way, Callable[[], Losses]], device: torch.device, rounds: int
) -> dict[Way, list[float]]:
    """Seconds of each round; the ways take turns, so that a busy moment hits all alike."""
    seconds: dict[Way, list[float]] = {way: [] for way in runs}
    for number in range(rounds + 1):
        for way, run in runs.items():
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            # the first round warms caches and allocators
            if number:
                seconds[way].append(time.perf_counter() - start)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return seconds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| networks | paper | way | ms/image | x original | median behind best | losses differ by |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.size} | {row.paper} | {row.way}, {row.precision} | {row.ms_per_image:.1f} | {row.ratio:.2f} "
        f"| {row.spread:.0%} | {row.difference:.1e} |"
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
