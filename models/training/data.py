"""Unpaired batches of day and night crops.

Which images, and where they are cropped, follows from the seed and the number of the step alone: nothing
is carried from step to step. A resumed training goes on with the very batches it would have seen, without
replaying those before, and threads may prepare several at once.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.generators.camera import CameraNight
from models.generators.interface import Direction, Scene
from models.training.dice import CAMERA, DAY, NIGHT
from models.training.images import read_image
from models.training.processes import ALONE, Team
from models.training.recipe import Data, Recipe

Item = TypeVar("Item")

_ORDER, _CROP = 0, 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Day and night crops, RGB, float32, shape (B, 3, crop, crop), values in [-1, 1].

    `is_paired`: the night images show the very scenes of the day images, as a camera model sees them.
    """

    day: Tensor
    night: Tensor
    is_paired: bool = False

    def __len__(self) -> int:
        return len(self.day)

    def towards(self, direction: Direction) -> tuple[Tensor, Tensor]:
        """The images to translate, and those that show what translations should look like."""
        return (self.day, self.night) if direction is Direction.DAY2NIGHT else (self.night, self.day)

    def to(self, device: torch.device, memory_format: torch.memory_format) -> "Batch":
        day = self.day.to(device, memory_format=memory_format, non_blocking=True)
        night = self.night.to(device, memory_format=memory_format, non_blocking=True)
        return Batch(day, night, self.is_paired)

    def pieces(self, count: int) -> list["Batch"]:
        """Equal parts of the batch; `count` divides its length."""
        parts = zip(self.day.chunk(count), self.night.chunk(count), strict=True)
        return [Batch(day, night, self.is_paired) for day, night in parts]


class UnpairedBatches:
    """The batch of any step. Each side is shuffled anew whenever all its images were seen.

    The processes of a team share a step's images: together they see what one would with a larger batch.
    """

    def __init__(
        self, day: Sequence[Path], night: Sequence[Path], recipe: Recipe, team: Team = ALONE
    ) -> None:
        self._sides = {DAY: day, NIGHT: night}
        self._recipe = recipe
        self._team = team
        self._camera = CameraNight()

    def at(self, step: int) -> Batch:
        """The batch of the given step, the first of which is 0."""
        size = self._recipe.data.batch_size
        first = (step * self._team.size + self._team.rank) * size
        positions = range(first, first + size)
        if self._recipe.is_paired(step):
            pairs = [self._pair(position) for position in positions]
            days, nights = zip(*pairs, strict=True)
            return Batch(torch.stack(days), torch.stack(nights), is_paired=True)
        return Batch(self._crops(DAY, positions), self._crops(NIGHT, positions))

    def sources(self, direction: Direction, step: int) -> Tensor:
        """What a generator is shown of its side at the given step, as if none were spent on pairs."""
        size = self._recipe.data.batch_size
        side = DAY if direction is Direction.DAY2NIGHT else NIGHT
        return self._crops(side, range(step * size, (step + 1) * size))

    def _crops(self, side: int, positions: Iterable[int]) -> Tensor:
        return torch.stack([self._crop(side, position) for position in positions])

    def examples(self, count: int) -> Batch:
        """Images of both sides, cropped in the middle to one size: the same at every step, to look at."""
        count = min(count, *(len(paths) for paths in self._sides.values()))
        data = self._recipe.data
        paths = [path for side in (DAY, NIGHT) for path in _spread(self._sides[side], count)]
        images = [resized(read_image(path), data, 1.0) for path in paths]
        size = data.crop_px or min(min(image.size) for image in images)
        middles = torch.stack([_signed(_middle(image, size)) for image in images])
        return Batch(middles[:count], middles[count:])

    def _crop(self, side: int, position: int) -> Tensor:
        dice = self._dice(side, _CROP, position)
        return _signed(drawn_crop([self._resized(side, position, dice)], self._recipe.data, dice)[0])

    def _pair(self, position: int) -> tuple[Tensor, Tensor]:
        """A day crop and the same crop of the camera model's night; the camera sees the whole image."""
        dice = self._dice(DAY, _CROP, position)
        day = self._resized(DAY, position, dice)
        pixels = torch.from_numpy(np.array(day)).permute(2, 0, 1)[None].float() / 255
        seed = int(self._dice(CAMERA, _CROP, position).integers(2**31))
        night = self._camera(pixels, [Scene(seed)])[0].mul(255).round().to(torch.uint8)
        both = [day, Image.fromarray(night.permute(1, 2, 0).contiguous().numpy())]
        day_crop, night_crop = (_signed(crop) for crop in drawn_crop(both, self._recipe.data, dice))
        return day_crop, night_crop

    def _resized(self, side: int, position: int, dice: np.random.Generator) -> Image.Image:
        zoom = float(dice.uniform(1.0, self._recipe.data.zoom))
        return resized(read_image(self._path(side, position)), self._recipe.data, zoom)

    def _path(self, side: int, position: int) -> Path:
        paths = self._sides[side]
        epoch, place = divmod(position, len(paths))
        order = self._dice(side, _ORDER, epoch).permutation(len(paths))
        return paths[int(order[place])]

    def _dice(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng((self._recipe.seed, *stream))


def resized(image: Image.Image, data: Data, zoom: float) -> Image.Image:
    """The image in the size it is cropped from, never smaller than the crop."""
    if data.resize == "square":
        side = round(data.resize_px * zoom)
        size = (side, side)
    else:
        shorter = min(image.size)
        scale = zoom * (data.resize_px / shorter if data.resize == "shorter_side" else 1.0)
        width, height = (max(data.crop_px, round(side * scale)) for side in image.size)
        size = (width, height)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def drawn_crop(images: Sequence[Image.Image], data: Data, dice: np.random.Generator) -> list[Image.Image]:
    """The same random square of images of one size, or all of them, all mirrored or none."""
    width, height = images[0].size
    kept = (data.crop_px or width, data.crop_px or height)
    left, top = int(dice.integers(width - kept[0] + 1)), int(dice.integers(height - kept[1] + 1))
    is_mirrored = data.flip and dice.random() < 0.5
    crops = [image.crop((left, top, left + kept[0], top + kept[1])) for image in images]
    return [crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for crop in crops] if is_mirrored else crops


def prefetched(make: Callable[[int], Item], numbers: Iterable[int], threads: int) -> Generator[Item]:
    """`make(number)` for each number, in order, a few ahead of the one that is taken."""
    with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
        waiting: deque[Future[Item]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(make, number))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _spread(paths: Sequence[Path], count: int) -> list[Path]:
    """Neighbours in a folder often look alike."""
    return [paths[number * len(paths) // count] for number in range(count)]


def _middle(image: Image.Image, size: int) -> Image.Image:
    left, top = ((side - size) // 2 for side in image.size)
    return image.crop((left, top, left + size, top + size))


def _signed(image: Image.Image) -> Tensor:
    """(3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(127.5).sub_(1)
