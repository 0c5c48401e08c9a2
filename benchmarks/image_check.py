"""What it costs to check strangers' images in confined processes instead of in the worker itself.

The same JPEGs of 1280x720 go through `make_plain` here and in decoders, interleaved: one at a time, which
shows what the way there and back costs, and on as many threads as there are cores, as ingest does it.

    python -m benchmarks.image_check
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.record import write_record
from workers.decoder_process import Decoders
from workers.images import make_plain

WIDTH_PX, HEIGHT_PX = 1280, 720
AIM_MS = 1.0


def frame(seed: int) -> bytes:
    """Gradients with the noise of a camera: about as large as a dashcam's JPEG."""
    dice = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    smooth = np.stack([40 + 180 * x / WIDTH_PX, 60 + 150 * y / HEIGHT_PX, 30 + (x + y) / 20], axis=-1)
    pixels = np.clip(smooth + dice.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def milliseconds(check: Callable[[bytes], Any], images: list[bytes], threads: int) -> float:
    """Per image."""
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(check, images))
        return (time.perf_counter() - started) / len(images) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    different = [frame(seed) for seed in range(20)]
    images = [different[number % len(different)] for number in range(arguments.images)]
    cores = os.cpu_count() or 1
    decoders = Decoders()
    measured: dict[str, list[float]] = {}
    milliseconds(decoders.make_plain, images, cores)  # they are started
    for _ in range(arguments.rounds):
        for threads in sorted({1, cores}):
            for name, check in (("here", make_plain), ("confined", partial(Decoders.make_plain, decoders))):
                measured.setdefault(f"{name}, {threads} at once", []).append(
                    milliseconds(check, images, threads)
                )
    decoders.close()
    size = statistics.mean(map(len, different))
    print(f"{len(images)} JPEGs of {WIDTH_PX}x{HEIGHT_PX}, {size / 1e3:.0f} kB, {arguments.rounds} rounds")
    print("| check | ms an image, median | least |\n|---|---|---|")
    for name, times in measured.items():
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} |")
    for threads in sorted({1, cores}):
        here, there = measured[f"here, {threads} at once"], measured[f"confined, {threads} at once"]
        extra = statistics.median(b - a for a, b in zip(here, there, strict=True))
        print(f"{threads} at once: {extra:+.2f} ms an image (aim {AIM_MS:g})")
    write_record("image-check", torch.device("cpu"), {"images": len(images), "bytes": size, "ms": measured})


if __name__ == "__main__":
    main()
