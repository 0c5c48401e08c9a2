"""Images per second of a translation job beside those of its generator alone.

A CycleGAN of 9 blocks with random weights goes the way of any checkpoint: saved, uploaded, imported. A
private service translates drawn streets with it, in several shards. What counts is the job's work phase, from
the first shard's start to the last one's end, so that the gaps between shards count, too. The generator alone
works on the same decoded images in a process of its own, before and after each job.

Beside that, processor time: of all processes of the service and the client together, from the end of the
planning to the end of the job, beside that of the generator alone. Neighbours on the machine hardly move it.

    python -m benchmarks.job_throughput --images 128 --rounds 3
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import torch
from PIL import Image

from benchmarks.record import write_record
from models.device import choose_device
from models.generators.cyclegan import CycleGAN
from models.generators.interface import Scene
from models.inference import Translator
from service.client.client import Client
from service.client.local import private_stack
from service.demo.streets import draw_street
from workers.images import decode, encode_jpeg

AIM = 0.95
SOURCE_QUALITY = 90
GENERATOR = "benchmark-cyclegan"
IMAGES_PER_DRAWING = 4


@dataclass(frozen=True, slots=True)
class JobTimes:
    """Seconds of one job. `work`: first shard's start to last one's end; `gaps`: of it, between shards.

    `cpu`: of all processes, from the end of the planning on.
    """

    frames: int
    shards: int
    work: float
    gaps: float
    whole: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Round:
    """`share`: the job's images per second over the generator's, as measured before and after it.

    `cpu_share`: the generator's processor seconds per image over the job's.
    """

    job: JobTimes
    job_images_per_second: float
    generator_images_per_second: float
    share: float
    cpu_share: float


def write_day(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Drawn streets, reduced, with their labels in the layout of det_20."""
    images = folder / "images" / "100k" / "train"
    images.mkdir(parents=True)
    records = []
    for number in range(count):
        if number % IMAGES_PER_DRAWING == 0:
            street = draw_street(number)
            pixels = np.asarray(street.image.resize(size, Image.Resampling.BOX))
            across, down = (new / old for new, old in zip(size, street.image.size, strict=True))
        moved = np.roll(pixels, 5 * (number % IMAGES_PER_DRAWING), axis=1)
        name = f"{number:06d}.jpg"
        (images / name).write_bytes(encode_jpeg(moved, SOURCE_QUALITY))
        labels = [
            {
                "id": str(place),
                "category": box.category,
                "attributes": box.attributes,
                "box2d": {
                    "x1": box.xyxy[0] * across,
                    "y1": box.xyxy[1] * down,
                    "x2": box.xyxy[2] * across,
                    "y2": box.xyxy[3] * down,
                },
            }
            for place, box in enumerate(street.boxes)
        ]
        records.append({"name": name, "attributes": {"timeofday": "daytime"}, "labels": labels})
    file = folder / "labels" / "det_20" / "det_train.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(records))


def write_checkpoint(path: Path) -> None:
    torch.manual_seed(0)
    torch.save(CycleGAN().state_dict(), path)


class GeneratorAlone:
    """A child process that translates the images whenever it is told to."""

    def __init__(self, folder: Path, images: int) -> None:
        command = [sys.executable, "-m", "benchmarks.job_throughput", "--child", str(folder)]
        self._images = images
        self._process = subprocess.Popen(
            [*command, "--images", str(images)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def seconds_per_image(self) -> tuple[float, float]:
        """By the clock on the wall, and of the processor."""
        _pipe(self._process.stdin).write(b"go\n")
        _pipe(self._process.stdin).flush()
        wall, cpu = _pipe(self._process.stdout).readline().split()
        return float(wall), float(cpu)

    def close(self) -> None:
        _pipe(self._process.stdin).close()
        self._process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


@contextmanager
def generator_alone(folder: Path, images: int) -> Iterator[GeneratorAlone]:
    alone = GeneratorAlone(folder, images)
    try:
        yield alone
    finally:
        alone.close()


def child(folder: Path, images: int) -> None:
    """Answers each line on stdin with the seconds per image, on the wall and of the processor."""
    torch.set_grad_enabled(False)
    network = CycleGAN()
    network.load_state_dict(torch.load(folder / "latest_net_G.pth", weights_only=True))
    translator = Translator(network)
    pixels = [decode(path.read_bytes()) for path in sorted((folder / "day").rglob("*.jpg"))[:images]]
    batches = [
        pixels[first : first + translator.batch_size]
        for first in range(0, len(pixels), translator.batch_size)
    ]
    translator.translate(batches[0], [Scene(0)] * len(batches[0]))
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            translator.translate(batch, [Scene(0)] * len(batch))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(wall / len(pixels), cpu / len(pixels), flush=True)


def job_times(client: Client, dataset_id: str) -> JobTimes:
    started = time.perf_counter()
    job = client.translate(dataset_id, GENERATOR, quality_frames=0)
    while not job.progress.frames_total:
        time.sleep(0.1)
        job = client.job(job.id)
    cpu = _cpu_seconds(os.getpid())
    job = client.wait(job)
    cpu = _cpu_seconds(os.getpid()) - cpu
    whole = time.perf_counter() - started
    running: dict[int, float] = {}
    done: dict[int, float] = {}
    for event in _events(client, job.id):
        if "index" not in event:
            continue  # about the job, not one of its shards
        if event["state"] == "running":
            running[event["index"]] = event["at"]
        # the plan and the publishing have no frames
        elif event["state"] == "done" and "frames_done" in event:
            done[event["index"]] = event["at"]
    work = max(done.values()) - min(running[index] for index in done)
    busy = sum(at - running[index] for index, at in done.items())
    return JobTimes(job.progress.frames_done, len(done), work, work - busy, whole, cpu)


def _cpu_seconds(pid: int) -> float:
    """Of a process and all its descendants, so far."""
    process = Path("/proc") / str(pid)
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = " ".join(file.read_text() for file in process.glob("task/*/children"))
    return own + sum(_cpu_seconds(int(child)) for child in children.split())


def _events(client: Client, job_id: str) -> list[dict[str, Any]]:
    """All that happened to a finished job; the stream ends by itself."""
    headers = {"Authorization": f"Bearer {client.key}"}
    text = httpx.get(f"{client.url}/v1/jobs/{job_id}/events", headers=headers, timeout=30).text
    lines = (line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines]


def measure(client: Client, folder: Path, images: int, rounds: int) -> list[Round]:
    checkpoint = client.upload(folder / "latest_net_G.pth")
    client.wait(client.import_generator(checkpoint, GENERATOR, "cyclegan", "day2night"))
    day = client.wait_for_dataset(client.create_dataset(client.upload(folder / "day")))
    # The first job loads the weights, and is not counted.
    client.wait(client.translate(day.id, GENERATOR, preview=4))
    found = []
    with generator_alone(folder, max(16, images // 4)) as alone:
        alone.seconds_per_image()
        before, cpu_before = alone.seconds_per_image()
        for number in range(rounds):
            times = job_times(client, day.id)
            after, cpu_after = alone.seconds_per_image()
            rate = times.frames / times.work
            alone_rate = 2 / (before + after)
            cpu_share = (cpu_before + cpu_after) / 2 / (times.cpu / times.frames)
            found.append(Round(times, rate, alone_rate, rate / alone_rate, cpu_share))
            before, cpu_before = after, cpu_after
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def table(found: list[Round]) -> str:
    lines = [
        "| round | job images/s | generator images/s | share | CPU share | shards | in gaps | whole job, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {number} | {one.job_images_per_second:.2f} | {one.generator_images_per_second:.2f} "
        f"| {one.share:.1%} | {one.cpu_share:.1%} | {one.job.shards} "
        f"| {one.job.gaps / one.job.work:.1%} | {one.job.whole:.1f} |"
        for number, one in enumerate(found, 1)
    ]
    return "\n".join(lines)


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--size", type=_size, default=_size("256x144"), help="WxH")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shard-seconds", type=float, default=15)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child, arguments.images)
        return
    os.environ["NIGHTSHIFT_SHARD_SECONDS"] = str(arguments.shard_seconds)
    with tempfile.TemporaryDirectory(prefix="nightshift-throughput-") as name:
        folder = Path(name)
        write_day(folder / "day", arguments.images, arguments.size)
        write_checkpoint(folder / "latest_net_G.pth")
        with private_stack(folder / "night") as client:
            found = measure(client, folder, arguments.images, arguments.rounds)
    print(table(found))
    best = max(one.job_images_per_second for one in found)
    best_alone = max(one.generator_images_per_second for one in found)
    median = statistics.median(one.share for one in found)
    cpu_median = statistics.median(one.cpu_share for one in found)
    print(
        f"job over generator: {median:.1%} (median), {best / best_alone:.1%} (best of each), "
        f"{cpu_median:.1%} in processor time; aim {AIM:.0%}"
    )
    result = {
        "images": arguments.images,
        "size": arguments.size,
        "shard_seconds": arguments.shard_seconds,
        "rounds": [asdict(one) for one in found],
        "share_median": median,
        "share_of_bests": best / best_alone,
        "cpu_share_median": cpu_median,
    }
    write_record("job-throughput", choose_device(None), result)


if __name__ == "__main__":
    main()
