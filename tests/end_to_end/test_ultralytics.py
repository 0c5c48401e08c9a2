"""The download is what Ultralytics trains on: as it is, offline, without a word of help."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from service.demo.dataset import write_demo_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

TRAIN = """
import sys
from ultralytics import YOLO, settings
settings.update(sync=False)
model = YOLO("yolov8n.yaml")
model.train(data=sys.argv[1], epochs=1, imgsz=96, batch=4, device="cpu", workers=0, amp=False,
            project=sys.argv[2], name="run", plots=False, seed=0, val=True)
"""


def run_nightshift(source: Path, target: Path, *arguments: str) -> dict[str, object]:
    command = [sys.executable, "-m", "service.client.cli", "run", str(source), "--generator", "camera-night"]
    done = subprocess.run(
        [*command, "--out", str(target), "--json", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, object] = json.loads(done.stdout)
    return made


def train(data_yaml: Path, folder: Path) -> str:
    """One epoch in a process of its own, with a configuration of its own and nothing to fetch."""
    config = folder / "config" / "Ultralytics"
    config.mkdir(parents=True)
    font = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    shutil.copy(font, config / "Arial.ttf")  # it would be fetched otherwise
    environment = {
        **os.environ, "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(folder / "config"), "OMP_WAIT_POLICY": "passive",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(data_yaml), str(folder / "runs")],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def assert_trained(night: Path, folder: Path) -> None:
    folder.mkdir()
    output = train(night / "data.yaml", folder)
    assert "corrupt" not in output.replace("0 corrupt", "")
    assert (folder / "runs/run/weights/last.pt").stat().st_size > 1_000_000


def test_one_epoch_on_the_drawn_demo_set(tmp_path: Path) -> None:
    day = write_demo_dataset(tmp_path / "bdd100k", train=6, val=2)
    made = run_nightshift(day, tmp_path / "night", "--select", "timeofday=daytime")
    assert made["frames"] == 8
    assert_trained(tmp_path / "night", tmp_path / "ultralytics")


def test_one_epoch_on_real_motorway_frames(tmp_path: Path) -> None:
    if not DATA.exists():
        pytest.skip("the development images are not beside this checkout")
    made = run_nightshift(DATA / "motorway", tmp_path / "night", "--select", "split=train,val")
    assert (made["frames"], made["boxes"]) == (84, 786 + 330)
    assert_trained(tmp_path / "night", tmp_path / "ultralytics")
