"""Frames per second of the translation machinery alone, beside the bound that its JPEG codec sets.

The shard stage `translate_frames` runs in this process, with the generator `identity`, on a folder store, on
drawn streets of 1280x720. Three ways take turns within one run, so that a busy moment hits all alike:

- codec: one thread that decodes and encodes the same images with the same settings, and does nothing else.
  One core's frames per second times the number of cores is the bound.
- codec, threads: the same work on as many threads as there are cores. What it misses of the bound is lost to
  the cores' shared caches and to neighbours, whatever the machinery does.
- machinery: reading, decoding, the generator's tensors, encoding, writing image and label, the results.

The share in processor time is the machinery's upper limit: what it would reach if no core ever waited. Unlike
the clock on the wall, neighbours on the machine hardly move it.

    python -m benchmarks.machinery --images 200 --rounds 8
"""

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import write_record
from service.catalogue import find_generator
from service.datasets.dataset import Box, Frame, Split
from service.datasets.manifest import ManifestEntry
from service.demo.streets import CATEGORIES, Street, draw_street
from service.jobs.job import JobKind, Stage
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore, open_store
from workers.child import LineReporter
from workers.context import Bench, ShardTask
from workers.images import decode, encode_jpeg
from workers.stages.translate import translate_frames

CORES = os.cpu_count() or 1
SOURCE = "ds-day"
SOURCE_QUALITY = 88
AIM = 0.6
# Drawing takes longer than anything measured: every drawing is used as often, moved sideways each time.
IMAGES_PER_DRAWING = 4


@dataclass(frozen=True, slots=True)
class Way:
    """`run` takes the number of the round and works on all the images once; returns nothing."""

    name: str
    cores: int
    run: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Row:
    """`share` is of the bound, `cpu_share` the same in processor time; `spread`: how far the median round was
    behind the best one.
    """

    way: str
    ms_per_frame: float
    frames_per_second: float
    share: float
    spread: float
    cpu_ms_per_frame: float
    cpu_share: float


def store_day(store: ObjectStore, count: int) -> list[ManifestEntry]:
    """A stored dataset of drawn streets: 1280x720, some 200 kB a JPEG."""
    entries = []
    for number in range(count):
        if number % IMAGES_PER_DRAWING == 0:
            street = draw_street(number)
        data = encode_jpeg(_moved(street, number % IMAGES_PER_DRAWING), SOURCE_QUALITY)
        frame = _frame(street, number)
        image = keys.image(frame.split, frame.id, ".jpg")
        store.write(keys.dataset(SOURCE, image), data)
        entries.append(ManifestEntry(frame, image, hashlib.sha256(data).hexdigest()))
    return entries


def _moved(street: Street, step: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    # 37 is no multiple of a JPEG's blocks: each move makes other coefficients.
    return np.roll(np.asarray(street.image), 37 * step, axis=1)


def _frame(street: Street, number: int) -> Frame:
    boxes = tuple(
        Box(xyxy=box.xyxy, category=box.category, id=str(place), attributes=box.attributes)
        for place, box in enumerate(street.boxes)
    )
    attributes = {"weather": street.weather, "scene": street.scene, "timeofday": "daytime"}
    name = f"{number:06d}"
    return Frame(f"{name}.jpg", name, Split.TRAIN, *street.image.size, boxes, attributes)


def shard_of(store: ObjectStore, entries: list[ManifestEntry], quality: int) -> ShardTask:
    """All the entries as one shard of a translation by `identity`."""
    plan = b"".join(entry.to_line().encode() + b"\n" for entry in entries)
    store.write(keys.plan("job"), plan)
    spec = {
        "generator": find_generator("identity", ()).to_json(),
        "quality_frames": 0,
        "seed": 0,
        "strength": 1.0,
        "jpeg_quality": quality,
        "batch_size": 0,
        "categories": list(CATEGORIES),
    }
    return ShardTask(
        "job", JobKind.TRANSLATION, Stage.WORK, spec, SOURCE, None, {},
        keys.plan("job"), keys.shard_result("job", 1), 0, len(plan),
    )  # fmt: skip


def ways_of(store: ObjectStore, settings: Settings, images: int, quality: int) -> list[Way]:
    entries = store_day(store, images)
    jpegs = [store.read(keys.dataset(SOURCE, entry.image)) for entry in entries]
    sizes = [len(jpeg) / 1000 for jpeg in jpegs]
    print(
        f"{images} JPEGs of {min(sizes):.0f} to {max(sizes):.0f} kB, {statistics.mean(sizes):.0f} on average"
    )
    task = shard_of(store, entries, quality)

    def transcode(jpeg: bytes) -> None:
        encode_jpeg(decode(jpeg), quality)

    def codec(_: int) -> None:
        for jpeg in jpegs:
            transcode(jpeg)

    def codec_threads(_: int) -> None:
        with ThreadPoolExecutor(CORES) as pool:
            for _done in pool.map(transcode, jpegs):
                pass

    def machinery(number: int, answers: Any) -> None:
        # A dataset of its own each round, as in real life. Nothing is deleted meanwhile: ext4 searches for
        # a free inode past every one that was freed in the last minutes.
        result = f"ds-{number}"
        fresh = ShardTask.from_json({**task.to_json(), "result_id": result})
        outcome = translate_frames(fresh, Bench(store, settings, LineReporter(answers)))
        assert (outcome.frames_done, outcome.frames_failed) == (images, 0)

    answers = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    return [
        Way("codec", 1, codec),
        Way("codec, threads", CORES, codec_threads),
        Way("machinery", CORES, partial(machinery, answers=answers)),
    ]


def measure(ways: list[Way], images: int, rounds: int) -> list[Row]:
    walls: dict[str, list[float]] = {way.name: [] for way in ways}
    cpus: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways:
            wall, cpu = time.perf_counter(), time.process_time()
            way.run(number)
            # the first round warms caches and allocators
            if number:
                walls[way.name].append((time.perf_counter() - wall) / images)
                cpus[way.name].append((time.process_time() - cpu) / images)
        print(f"round {number} of {rounds}", file=sys.stderr)
    bound = CORES / min(walls["codec"])
    rows = []
    for way in ways:
        best = min(walls[way.name])
        rate = CORES / way.cores / best
        rows.append(
            Row(
                way.name,
                best * 1e3,
                1 / best,
                (rate if way.cores > 1 else bound) / bound,
                statistics.median(walls[way.name]) / best - 1,
                min(cpus[way.name]) * 1e3,
                min(cpus["codec"]) / min(cpus[way.name]),
            )
        )
    return rows


def table(rows: list[Row]) -> str:
    lines = [
        "| way | ms/frame | frames/s | CPU ms/frame | of the bound | in CPU time | median behind best |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.way} | {row.ms_per_frame:.2f} | {row.frames_per_second:.1f} | {row.cpu_ms_per_frame:.2f} "
        f"| {row.share:.0%} | {row.cpu_share:.0%} | {row.spread:.0%} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=8, help="after one round to warm up")
    parser.add_argument("--quality", type=int, default=95, help="of the JPEGs that are written")
    parser.add_argument("--folder", type=Path, help="where to make the store; the system's temporary folder")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory(prefix="nightshift-machinery-", dir=arguments.folder) as folder:
        # On the CPU also where there is a GPU: no network runs, and the codec is what it is held against.
        settings = Settings(data_dir=Path(folder), device="cpu")
        store = open_store(settings)
        ways = ways_of(store, settings, arguments.images, arguments.quality)
        rows = measure(ways, arguments.images, arguments.rounds)
    print(table(rows))
    share = rows[-1].share
    print(f"machinery: {share:.0%} of the bound of {CORES} cores that only decode and encode; aim {AIM:.0%}")
    result = {
        "images": arguments.images,
        "rounds": arguments.rounds,
        "quality": arguments.quality,
        "rows": [asdict(row) for row in rows],
    }
    write_record("machinery", torch.device("cpu"), result)


if __name__ == "__main__":
    main()
