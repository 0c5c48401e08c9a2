"""Train StreetNet, the bundled backbone and day/night classifier: folders of real frames in, weights out.

    python -m models.metrics.train_streetnet --day DIR... --night DIR... --without FILE --out FILE

Two things are learnt from one description of a frame: whether it is night; and what was done to it and how
strongly, of the corruptions that translations go wrong by. Exposure is among them, so that night is not just
dark. To also tell crops of one frame from those of others (SimCLR) was tried and left out: it made nights of
other places and cameras lie farther apart. Same frames, seed and threads, same weights.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from models.metrics.corruptions import CORRUPTIONS
from models.metrics.frame import Image
from models.metrics.streetnet import DIM, StreetNet, save_streetnet
from models.metrics.working_size import reduced

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
CROP_PX = (224, 320)  # height, width
CLEAN = 0.2  # of the crops stay as they are
SECOND = 0.3  # of the others are corrupted twice
WARM_UP = 0.1  # of the steps
LOG_EVERY = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. `crops`: a step, half of them night. `corruption_weight`: against 1 for day and night."""

    steps: int = 700
    seed: int = 0
    crops: int = 48
    learning_rate: float = 4e-3
    corruption_weight: float = 10.0


def train(day: Sequence[Image], night: Sequence[Image], plan: Plan) -> StreetNet:
    """Args:
    day, night: RGB, uint8, (H, W, 3), at their working size.
    """
    torch.manual_seed(plan.seed)
    network, strength_head = StreetNet().train(), nn.Linear(DIM, len(CORRUPTIONS))
    parameters = [*network.parameters(), *strength_head.parameters()]
    optimiser = torch.optim.AdamW(parameters, plan.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step / plan.steps))
    batches = _batches(day, night, plan)
    for step in range(1, plan.steps + 1):
        crops, is_night, strengths = next(batches)
        features, logits = network(crops)
        night_loss = binary_cross_entropy_with_logits(logits, is_night)
        corruption_loss = mse_loss(strength_head(features), strengths)
        optimiser.zero_grad()
        torch.autograd.backward(night_loss + plan.corruption_weight * corruption_loss)
        optimiser.step()
        schedule.step()
        if step % LOG_EVERY == 0 or step == plan.steps:
            report({"step": step, "night": night_loss.item(), "corruption": corruption_loss.item()})
    return _calibrated(network.eval(), [*day, *night])


def _pace(done: float) -> float:
    """The learning rate after a part of the steps, as a share of the highest: up fast, then down a cosine."""
    return min(1.0, (done + 0.01) / WARM_UP) * (1 + math.cos(math.pi * done)) / 2


def _batches(
    day: Sequence[Image], night: Sequence[Image], plan: Plan
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Crops (B, 3, h, w) in [0, 1], whether each is night (B,), how strongly what corrupts it (B, kinds)."""
    dice = np.random.default_rng(plan.seed)
    half = plan.crops // 2
    is_night = torch.tensor([0.0, 1.0]).repeat_interleave(half)
    while True:
        frames = [side[index] for side in (day, night) for index in dice.integers(len(side), size=half)]
        strengths = [_strengths(dice) for _ in frames]
        crops = [
            _corrupted(_crop(frame, dice), row, dice) for frame, row in zip(frames, strengths, strict=True)
        ]
        pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
        yield pixels, is_night, torch.from_numpy(np.stack(strengths))


def _strengths(dice: np.random.Generator) -> NDArray[np.float32]:
    """How strongly each kind corrupts: none, one or two of them, at any strength."""
    strengths = np.zeros(len(CORRUPTIONS), np.float32)
    count = 0 if dice.random() < CLEAN else 1 + int(dice.random() < SECOND)
    strengths[dice.choice(len(CORRUPTIONS), count, replace=False)] = dice.random(count)
    return strengths


def _corrupted(image: Image, strengths: NDArray[np.float32], dice: np.random.Generator) -> Image:
    for corruption, strength in zip(CORRUPTIONS.values(), strengths.tolist(), strict=True):
        if strength:
            image = corruption(image, strength, dice)
    return image


def _crop(frame: Image, dice: np.random.Generator) -> Image:
    """A part of the frame, mirrored or not; a frame that is too low is continued by its mirror image."""
    height, width = CROP_PX
    missing = [(0, max(0, wanted - side)) for wanted, side in zip(CROP_PX, frame.shape, strict=False)]
    frame = np.pad(frame, (*missing, (0, 0)), mode="reflect")
    top = int(dice.integers(frame.shape[0] - height + 1))
    left = int(dice.integers(frame.shape[1] - width + 1))
    part = frame[top : top + height, left : left + width]
    return part[:, :: int(dice.choice((-1, 1)))].copy()


def _calibrated(network: StreetNet, frames: Sequence[Image]) -> StreetNet:
    """Features get mean 0 and deviation 1 on the frames, so that no few of them rule the distances."""
    with torch.inference_mode():
        pixels = (torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float() / 255 for frame in frames)
        features = torch.cat([network(image)[0] for image in pixels])
        mean, deviation = features.mean(dim=0), features.std(dim=0)
        # what the classifier sees stays what it was
        network.night.bias.add_(network.night.weight[0] @ mean)
        network.night.weight.mul_(deviation)
        network.mean.copy_(mean)
        network.deviation.copy_(deviation)
    return network


def read_frames(folders: Sequence[Path], without: frozenset[str]) -> list[Image]:
    """The images in and below the folders, in order of their paths, at their working size."""
    paths = [
        path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES
    ]
    return [
        reduced(np.asarray(Pillow.open(path).convert("RGB"))) for path in paths if path.name not in without
    ]


def report(event: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train StreetNet on real frames by day and by night.")
    parser.add_argument("--day", nargs="+", type=Path, required=True)
    parser.add_argument("--night", nargs="+", type=Path, required=True)
    parser.add_argument("--without", type=Path, help="a file of image names to leave out, one a line")
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--seed", type=int, default=Plan().seed)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    without = frozenset(given.without.read_text().split() if given.without else ())
    day, night = read_frames(given.day, without), read_frames(given.night, without)
    network = train(day, night, Plan(steps=given.steps, seed=given.seed))
    sha256 = save_streetnet(network, given.out)
    report({"day": len(day), "night": len(night), "sha256": sha256})


if __name__ == "__main__":
    main()
