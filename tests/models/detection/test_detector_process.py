"""The real detector in its process: it learns, it is killed and goes on, it asks nobody anything."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from models.detection.detector_process import DetectorDied, DetectorProcess
from models.detection.orders import LabelledFile, PredictOrder, TrainOrder, order_to_json, write_frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CATEGORIES = ("disc", "square")
SIZE = (96, 64)
EPOCHS = 3


def draw(folder: Path, count: int, seed: int) -> list[LabelledFile]:
    """Frames with a light disc and a dark square each, somewhere."""
    dice = np.random.default_rng(seed)
    folder.mkdir()
    frames = []
    for number in range(count):
        image = Image.new("RGB", SIZE, (90, 110, 100))
        pen, rows = ImageDraw.Draw(image), []
        for category, (shape, colour) in enumerate(
            ((pen.ellipse, (240, 230, 180)), (pen.rectangle, (20, 20, 40)))
        ):
            side = int(dice.integers(14, 30))
            x, y = (int(dice.integers(0, limit - side)) for limit in SIZE)
            shape((x, y, x + side, y + side), fill=colour)
            centre = ((x + side / 2) / SIZE[0], (y + side / 2) / SIZE[1])
            rows.append((float(category), *centre, side / SIZE[0], side / SIZE[1]))
        file = folder / f"{number}.png"
        image.save(file)
        frames.append(LabelledFile(file, (SIZE[1], SIZE[0]), tuple(rows)))
    return frames


def make_order(folder: Path) -> TrainOrder:
    write_frames(folder / "train", draw(folder / "learnt", 10, 1))
    write_frames(folder / "validation", draw(folder / "validated", 4, 2))
    return TrainOrder(
        "yolov8n", CATEGORIES, folder / "train", folder / "validation", folder / "run",
        steps=3 * EPOCHS, epochs=EPOCHS, batch=4, image_px=96, device="cpu",
    )  # fmt: skip


@pytest.fixture
def order(tmp_path: Path) -> TrainOrder:
    return make_order(tmp_path)


@dataclass(frozen=True)
class Lesson:
    """A training that went through undisturbed."""

    room: Path
    order: TrainOrder
    before: dict[Path, bytes]
    events: list[dict[str, Any]]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    room = tmp_path_factory.mktemp("lesson")
    order = make_order(room)
    before = contents(room / "learnt")
    return Lesson(room, order, before, trained(room, order))


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.iterdir()}


def trained(room: Path, order: TrainOrder) -> list[dict[str, Any]]:
    with DetectorProcess(room, threads=1) as detector:
        return list(detector.carry_out(order, "trained"))


def killed_after(step: int, room: Path, order: TrainOrder) -> None:
    with DetectorProcess(room, threads=1) as detector:
        for event in detector.carry_out(order, "trained"):
            if event["event"] == "batch" and event["step"] == step:
                os.kill(detector.pid, signal.SIGKILL)


TO_TENSORS = """
import sys, torch
checkpoint = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
torch.save(checkpoint["model"].state_dict(), sys.argv[2])
"""


def weights(order: TrainOrder) -> dict[str, torch.Tensor]:
    """Unpickled in another process: Ultralytics, which that loads, puts its own code into Pillow."""
    best = order.folder / "weights/best.pt"
    subprocess.run([sys.executable, "-c", TO_TENSORS, best, best.with_suffix(".tensors")], check=True)
    tensors: dict[str, torch.Tensor] = torch.load(best.with_suffix(".tensors"), weights_only=True)
    return tensors


def test_it_takes_its_steps_and_tells_of_them(lesson: Lesson) -> None:
    events = lesson.events
    batches = [event for event in events if event["event"] == "batch"]
    assert [event["step"] for event in batches] == list(range(1, 3 * EPOCHS + 1))
    assert all(event["losses"]["box_loss"] > 0 for event in batches)
    epochs = [event for event in events if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == [1, 2, 3]
    assert [event["event"] for event in events].count("checkpoint") == EPOCHS
    last = events[-1]
    assert last["history"] == [{name: epoch[name] for name in last["history"][0]} for epoch in epochs]
    assert last["history"][last["best_epoch"] - 1]["validation"]["map50_95"] == max(
        epoch["validation"]["map50_95"] for epoch in epochs
    )


def test_nothing_is_written_beside_the_images(lesson: Lesson) -> None:
    assert contents(lesson.room / "learnt") == lesson.before


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(
    order: TrainOrder, lesson: Lesson, tmp_path: Path
) -> None:
    with pytest.raises(DetectorDied, match="killed by signal 9"):
        killed_after(5, tmp_path, order)
    assert (order.folder / "weights/last.pt").exists()
    events = trained(tmp_path, order)
    assert next(event["step"] for event in events if event["event"] == "batch") == 4
    undisturbed = weights(lesson.order)
    assert all(torch.equal(undisturbed[name], tensor) for name, tensor in weights(order).items())


def test_a_training_that_had_ended_is_not_begun_again(lesson: Lesson) -> None:
    again = trained(lesson.room, lesson.order)
    assert [event["event"] for event in again] == ["trained"]
    assert again[-1]["history"] == lesson.events[-1]["history"]


def test_it_ends_with_whoever_started_it(order: TrainOrder, tmp_path: Path) -> None:
    with DetectorProcess(tmp_path, threads=1) as detector:
        detector._orders.close()
        assert detector._process.wait(60) == 0


def test_boxes_seen_lie_within_their_frames_whatever_their_sizes(lesson: Lesson, tmp_path: Path) -> None:
    frames = draw(tmp_path / "tested", 3, 3)
    wide = Image.new("RGB", (120, 40), (200, 60, 60))
    wide.save(tmp_path / "tested/wide.png")
    write_frames(
        tmp_path / "test", [frames[0], LabelledFile(tmp_path / "tested/wide.png", (40, 120)), *frames[1:]]
    )
    seeing = PredictOrder(
        lesson.order.folder / "weights/best.pt", tmp_path / "test", tmp_path / "seen.npy", 96, device="cpu"
    )
    with DetectorProcess(tmp_path, threads=1) as detector:
        events = list(detector.carry_out(seeing, "seen"))
    assert events[-1]["frames"] == 4
    seen = np.load(tmp_path / "seen.npy")
    assert seen.shape[1] == 7
    assert len(seen) > 0
    limits = np.array([SIZE, (120, 40), SIZE, SIZE])[seen[:, 0].astype(int)]
    assert (seen[:, 1:5] >= 0).all()
    assert (seen[:, 3:5] <= limits + 0.5).all()
    assert set(seen[:, 6]) <= {0.0, 1.0}
    assert ((seen[:, 5] >= 0) & (seen[:, 5] <= 1)).all()


SHORT_OF_MEMORY = """
import runpy, sys
from ultralytics.models.yolo.detect import DetectionTrainer
def short(self, batch):
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
DetectionTrainer.preprocess_batch = short
runpy.run_module("models.detection.yolo", run_name="__main__", alter_sys=True)
"""


def test_a_batch_too_large_for_the_memory_is_refused_not_halved(order: TrainOrder, tmp_path: Path) -> None:
    """Ultralytics would go on with half of it, which takes other steps than the other arms."""
    with DetectorProcess(tmp_path, threads=1) as detector:
        environment = detector.environment
    told = json.dumps(order_to_json(order)) + "\n"
    with subprocess.Popen(
        [sys.executable, "-c", SHORT_OF_MEMORY], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=tmp_path, env=environment, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(told)
        process.stdin.flush()
        last = json.loads(process.stdout.readline())
        process.stdin.close()
    assert last["event"] == "refused"
    assert "batch of 4 frames at 96 px does not fit" in last["message"]


LISTENED_TO = """
import json, runpy, sys
calls = open(sys.argv[1], "a", buffering=1)
def hear(name, arguments):
    if name in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        calls.write(name + " " + repr(arguments) + chr(10))
    if name == "subprocess.Popen":
        calls.write(name + " " + repr(arguments[1]) + chr(10))
sys.addaudithook(hear)
runpy.run_module("models.detection.yolo", run_name="__main__", alter_sys=True)
"""


def test_it_asks_nobody_anything(order: TrainOrder, tmp_path: Path) -> None:
    """No name is looked up, no connection tried, no program such as pip started."""
    with DetectorProcess(tmp_path, threads=1) as detector:
        environment = detector.environment
    heard = tmp_path / "heard"
    told = json.dumps(order_to_json(order)) + "\n"
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENED_TO, str(heard)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=tmp_path, env=environment, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(told)
        process.stdin.flush()
        assert any(json.loads(line)["event"] == "trained" for line in process.stdout)
        process.stdin.close()
    calls = heard.read_text().splitlines()
    assert [call for call in calls if "pip" in call or not call.startswith("subprocess.Popen")] == []
