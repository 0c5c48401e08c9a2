"""From uint8 images to translated uint8 images of the same size, whatever size and memory there is."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.device import (
    Precision,
    choose_device,
    choose_precision,
    device_name,
    exact_kernels,
    is_out_of_memory,
)
from models.errors import NotEnoughMemory
from models.generators.interface import Generator, Scene
from models.generators.network import NetworkGenerator
from models.pixels import Image, common_size, pad, padded_frame, stack, to_images, up_to_multiple
from models.tiles import SMALLEST_TILE_PX, Window, scene_in, tile_windows, translate_in_tiles

# Measured: on a CPU batches bring nothing, and alone an image's bytes depend on no neighbour.
BATCH_SIZE_CPU = 1
BATCH_SIZE_CUDA = 8
MOST_LANES = 16


@dataclass(frozen=True, slots=True)
class _Plan:
    """How many images go through the network at once, whole or (alone) in tiles of `tile_px`."""

    batch: int
    tile_px: int | None = None


class Translator:
    """A generator on its device, with all that lies between pixels in a file and a network's tensors.

    Pads to the generator's stride and crops back, batches, picks precision and memory layout. When memory
    runs out it halves the batch, then translates in overlapping tiles, halving these too; what did not fit
    is remembered, and `notes` says what was done.

    Args:
        generator: taken over: moved to the device, set to eval mode.
        device: such as "cuda:1"; by default a GPU if there is one.
        precision: by default the fastest without loss to the eye, see `models.device.choose_precision`.
        batch_size: the most images at once; by default 1 on a CPU, 8 on a GPU.
        max_tile_px: longest side to translate in one piece; None for no limit but memory.
    """

    def __init__(
        self,
        generator: Generator,
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        batch_size: int | None = None,
        max_tile_px: int | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        if max_tile_px is not None and max_tile_px < SMALLEST_TILE_PX:
            raise ValueError(f"max_tile_px must be at least {SMALLEST_TILE_PX}, got {max_tile_px}")
        self.device = choose_device(device)
        # a formula without a network gains nothing from half precision, and shows its steps in dark skies
        is_network = isinstance(generator, NetworkGenerator)
        self.precision = choose_precision(self.device, precision if is_network else "float32")
        self.memory_format = _memory_format(generator, self.device)
        self.batch_size = batch_size or (BATCH_SIZE_CUDA if self.device.type == "cuda" else BATCH_SIZE_CPU)
        self.max_tile_px = max_tile_px
        # Formulas are many small steps: a core an image is faster than all cores on one image. A network uses
        # the cores by itself, and its memory would be needed as often.
        is_formula_on_cpu = self.device.type == "cpu" and not is_network
        self.lanes = min(MOST_LANES, os.cpu_count() or 1) if is_formula_on_cpu else 1
        """How many threads, of one torch thread each, may call `translate` side by side."""
        self.notes: list[str] = []
        self.generator = generator.eval().requires_grad_(False)
        self.generator.to(device=self.device).to(memory_format=self.memory_format)
        # the smallest number of pixels that once was too much
        self._failed_px = math.inf

    def translate(self, images: Sequence[Image], scenes: Sequence[Scene]) -> list[Image]:
        """Args:
            images: RGB, uint8, shape (H, W, 3), all of one size.
            scenes: one for each image.

        Returns:
            RGB, uint8, in the same order and of the same size.

        Raises:
            NotEnoughMemory: not even one image, or its smallest tile, fits.
            ValueError: images of several sizes, of another type, or not as many scenes.
        """
        if not images and not scenes:
            return []
        translated: list[Image] = []
        plan = self._plan(common_size(images, scenes))
        while len(translated) < len(images):
            part = slice(len(translated), len(translated) + plan.batch)
            result = self._attempt(images[part], scenes[part], plan)
            if result is None:
                plan = self._smaller_plan(plan, len(images[part]), images[0].shape[:2])
            else:
                translated += result
        return translated

    def describe(self) -> dict[str, str | int]:
        """What the result depends on beside the generator, for a dataset's card."""
        return {
            "device": device_name(self.device),
            "precision": self.precision,
            "torch": torch.__version__,
            "memory_format": str(self.memory_format).removeprefix("torch.").removesuffix("_format"),
            "batch_size": self.batch_size,
        }

    def _plan(self, size: tuple[int, int]) -> _Plan:
        """The largest batch, else the largest tile, of fewer pixels than ever failed."""
        height, width = (up_to_multiple(side, self.generator.stride) for side in size)
        for tile_px in self._tile_sizes(max(height, width)):
            is_whole = tile_px >= max(height, width)
            batch = self.batch_size if is_whole else 1
            while batch * min(tile_px, height) * min(tile_px, width) >= self._failed_px:
                batch //= 2
            if batch:
                return _Plan(batch, None if is_whole else tile_px)
        raise NotEnoughMemory(
            f"An image of {size[1]}x{size[0]} does not fit into the memory of {device_name(self.device)}.",
            "Give the worker more memory, or run fewer workers on the device.",
        )

    def _tile_sizes(self, longest: int) -> Iterator[int]:
        """The whole image first, then tiles of half the side each time, at last the smallest."""
        if not self.generator.is_tileable:
            yield longest
            return
        tile_px = min(longest, self.max_tile_px or longest)
        while tile_px > SMALLEST_TILE_PX:
            yield up_to_multiple(tile_px, self.generator.stride)
            tile_px //= 2
        yield up_to_multiple(SMALLEST_TILE_PX, self.generator.stride)

    def _smaller_plan(self, failed: _Plan, batch: int, size: tuple[int, int]) -> _Plan:
        """Remembers what did not fit, picks the next smaller way and notes it."""
        height, width = (up_to_multiple(side, self.generator.stride) for side in size)
        tile_px = failed.tile_px or max(height, width)
        self._failed_px = min(self._failed_px, batch * min(tile_px, height) * min(tile_px, width))
        plan = self._plan(size)
        if plan.tile_px is None:
            self.notes.append(f"out of memory at batch {batch}: halved to {plan.batch}")
        elif failed.tile_px is None:
            self.notes.append(f"out of memory at {size[1]}x{size[0]}: in tiles of {plan.tile_px} px")
        else:
            self.notes.append(f"out of memory in tiles of {failed.tile_px} px: halved to {plan.tile_px} px")
        return plan

    def _attempt(self, images: Sequence[Image], scenes: Sequence[Scene], plan: _Plan) -> list[Image] | None:
        """The translated images, or None if memory ran out."""
        height, width = images[0].shape[:2]
        frame = padded_frame(height, width, self.generator.stride)
        try:
            padded = stack([pad(image, frame) for image in images])
            framed = [scene_in(frame, scene) for scene in scenes]
            with exact_kernels(self.device, self.precision):
                if plan.tile_px is None:
                    result = self._run(padded, framed)
                else:
                    result = self._run_in_tiles(padded, framed[0], plan.tile_px)
                top, left = -frame.top, -frame.left
                return to_images(result[..., top : top + height, left : left + width])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Only here, outside the handler, has the traceback let go of the failed run's tensors.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _run(self, padded: Image, scenes: Sequence[Scene]) -> Tensor:
        """(B, H, W, 3) uint8 -> (B, 3, H, W) float in [0, 1] on the device."""
        # Pixels side by side are what channels_last means: for such networks nothing is rearranged.
        pixels = torch.from_numpy(padded).to(self.device).permute(0, 3, 1, 2)
        images = pixels.to(torch.float32, memory_format=self.memory_format).div_(255)
        translated: Tensor = self.generator(images, scenes)
        return translated

    def _run_in_tiles(self, padded: Image, scene: Scene, tile_px: int) -> Tensor:
        """(1, H, W, 3) uint8 -> (1, 3, H, W) float in [0, 1] on the CPU."""
        height, width = padded.shape[1:3]

        def translate(window: Window) -> Tensor:
            rows = slice(window.top, window.top + window.height)
            columns = slice(window.left, window.left + window.width)
            return self._run(padded[:, rows, columns], [scene_in(window, scene)])

        windows = tile_windows(height, width, tile_px, self.generator.stride)
        return translate_in_tiles((height, width), windows, translate)


def _memory_format(generator: Generator, device: torch.device) -> torch.memory_format:
    """On a CPU each network knows what was measured for it; otherwise channels_last, as images lie."""
    if isinstance(generator, NetworkGenerator) and device.type != "cuda":
        return generator.cpu_memory_format
    return torch.channels_last
