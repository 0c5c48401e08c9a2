"""Peak memory of planning the ingest of a dataset of BDD100K's size, in a fresh process.

A label file in the layout of the detection 2020 release is streamed to the disk, with 69,863 frames and 1.3
million boxes, and packed with as many tiny images into a zip. `plan_ingest` reads it in a child process. What
counts is how far the child's peak (VmHWM) rises above what it holds once everything is imported.

    python -m benchmarks.ingest_memory
"""

import argparse
import io
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import simplejpeg
import torch

from benchmarks.record import write_record

FRAMES = 69_863
BOXES = 1_300_000
AIM_MB = 200
UPLOAD = "up-benchmark"
CATEGORIES: Final = (
    "car", "traffic sign", "traffic light", "pedestrian", "truck",
    "bus", "bicycle", "rider", "motorcycle", "train",
)  # fmt: skip


def label_file(frames: int, boxes: int) -> Iterator[bytes]:
    """A Scalabel list, one frame at a time; every frame has nearly as many boxes as any other."""
    dice = random.Random(0)
    opening, number = b"[\n", 0
    for frame in range(frames):
        last = (frame + 1) * boxes // frames
        labels = [_label(dice, box) for box in range(number, last)]
        number = last
        yield opening + json.dumps(_record(dice, frame, labels)).encode()
        opening = b",\n"
    yield b"\n]\n"


def _record(dice: random.Random, frame: int, labels: list[dict[str, Any]]) -> dict[str, Any]:
    attributes = {
        "weather": dice.choice(("clear", "overcast", "rainy", "partly cloudy")),
        "timeofday": dice.choice(("daytime", "night", "dawn/dusk")),
        "scene": dice.choice(("city street", "highway", "residential")),
    }
    return {"name": frame_name(frame), "attributes": attributes, "timestamp": 10000, "labels": labels}


def _label(dice: random.Random, number: int) -> dict[str, Any]:
    x, y = dice.uniform(0, 1100), dice.uniform(0, 600)
    return {
        "id": f"{number:08d}",
        "attributes": {
            "occluded": dice.random() < 0.5,
            "truncated": dice.random() < 0.1,
            "trafficLightColor": "NA",
        },
        "category": dice.choices(CATEGORIES, (55, 19, 14, 7, 2, 1, 0.6, 0.4, 0.3, 0.1))[0],
        "box2d": {"x1": x, "y1": y, "x2": x + dice.uniform(5, 170), "y2": y + dice.uniform(5, 110)},
    }


def frame_name(number: int) -> str:
    return f"{number * 2_654_435_761 % 2**32:08x}-{number:08x}.jpg"


def write_upload(path: Path, frames: int, boxes: int) -> int:
    """The zip as a client would send it. Returns the size of its label file in bytes."""
    pixels = np.full((16, 16, 3), 128, dtype=np.uint8)
    jpeg = simplejpeg.encode_jpeg(pixels, 90, colorsubsampling="420")
    labels = path.with_suffix(".json")
    with labels.open("wb") as file:
        file.writelines(label_file(frames, boxes))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(labels, "labels/det_20/det_train.json")
        for number in range(frames):
            archive.writestr(f"images/100k/train/{frame_name(number)}", jpeg)
    size_bytes = labels.stat().st_size
    labels.unlink()
    return size_bytes


def plan_in_child(data_dir: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.ingest_memory", "--child", str(data_dir)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def child(data_dir: Path) -> dict[str, Any]:
    """Plan the ingest of the upload in `data_dir`, and say what it cost."""
    # Here, so that making the upload does not add to what is measured.
    from service.datasets.formats import Options  # noqa: PLC0415
    from service.jobs.job import JobKind, Stage  # noqa: PLC0415
    from service.settings import Settings  # noqa: PLC0415
    from service.storage import keys  # noqa: PLC0415
    from service.storage.object_store import open_store  # noqa: PLC0415
    from workers.child import LineReporter  # noqa: PLC0415
    from workers.context import Bench, ShardTask  # noqa: PLC0415
    from workers.stages.ingest import plan_ingest  # noqa: PLC0415

    settings = Settings(data_dir=data_dir)
    store = open_store(settings)
    spec = {"upload_id": UPLOAD, "options": Options().to_json(), "source": {"filename": "bdd100k.zip"}}
    task = ShardTask(
        "job", JobKind.INGEST, Stage.PLAN, spec, None, "ds", {},
        keys.plan("job"), keys.shard_result("job", 0), 0, 0,
    )  # fmt: skip
    Path("/proc/self/clear_refs").write_text("5")  # the peak of the imports is forgotten
    baseline = _peak_mb()
    started = time.perf_counter()
    outcome = plan_ingest(task, Bench(store, settings, LineReporter(io.StringIO())))
    return {
        "seconds": time.perf_counter() - started,
        "baseline_mb": baseline,
        "growth_mb": _peak_mb() - baseline,
        "shards": len(outcome.parts),
        "facts": outcome.facts,
    }


def _peak_mb() -> float:
    """VmHWM: the most memory this process ever had resident."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--boxes", type=int, default=BOXES)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(child(arguments.child)))
        return
    with tempfile.TemporaryDirectory(prefix="nightshift-ingest-") as folder:
        upload = Path(folder) / "store" / "uploads" / UPLOAD
        upload.parent.mkdir(parents=True)
        label_bytes = write_upload(upload, arguments.frames, arguments.boxes)
        size = f"labels {label_bytes / 1e6:.0f} MB"
        print(f"{arguments.frames} frames, {arguments.boxes} boxes, {size}", flush=True)
        rounds = [plan_in_child(Path(folder)) for _ in range(arguments.rounds)]
    assert all(made["facts"]["frames_total"] == arguments.frames for made in rounds)
    lines = ["| round | seconds | after imports, MB | growth, MB | of the aim |", "|---|---|---|---|---|"]
    lines += [
        f"| {number} | {made['seconds']:.1f} | {made['baseline_mb']:.0f} | {made['growth_mb']:.0f} "
        f"| {made['growth_mb'] / AIM_MB:.0%} |"
        for number, made in enumerate(rounds, 1)
    ]
    print("\n".join(lines))
    result = {"frames": arguments.frames, "boxes": arguments.boxes, "label_bytes": label_bytes}
    write_record("ingest-memory", torch.device("cpu"), {**result, "rounds": rounds})


if __name__ == "__main__":
    main()
