"""A worker is started with one GPU of its own, and whoever starts it never touches CUDA."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service import worker_command
from service.errors import InvalidRequest
from service.jobs.job import QUEUES
from service.stack import Stack
from service.worker_command import become_worker, on_gpu, share_out, visible_gpus

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        ("0,1,2", ["0", "1", "2"]),
        ("3", ["3"]),
        (" GPU-8932f937 , 1", ["GPU-8932f937", "1"]),
        ("", []),
        ("-1", []),
        ("0,-1,2", ["0"]),
    ],
)
def test_gpus_are_those_that_cuda_would_see(allowed: str, found: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": allowed}) == found


def test_without_a_wish_every_gpu_of_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0000:17:00.0", "0000:65:00.0"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(worker_command, "NVIDIA_GPUS", tmp_path)
    assert visible_gpus({}) == ["0", "1"]


def test_a_machine_without_gpus_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_command, "NVIDIA_GPUS", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == []


def test_gpus_are_shared_out_in_turn_where_there_is_a_choice() -> None:
    assert share_out(["2", "5"], 5) == ["2", "5", "2", "5", "2"]
    assert share_out(["2"], 3) == share_out([], 3) == [None, None, None]


def test_every_worker_of_a_machine_has_a_gpu_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3,5")
    monkeypatch.delenv("NIGHTSHIFT_DEVICE", raising=False)
    parts = {part.name: part.gpu for part in Stack(tmp_path, 1, workers=2, trainers=1)._parts}
    assert parts == {"api": None, "worker-0": "1", "worker-1": "3", "trainer-0": "5", "reconciler": None}
    assert on_gpu({"CUDA_VISIBLE_DEVICES": "1,3,5", "A": "b"}, "3") == {
        "CUDA_VISIBLE_DEVICES": "3",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "A": "b",
    }


def test_who_names_a_device_decides_for_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3,5")
    monkeypatch.setenv("NIGHTSHIFT_DEVICE", "cuda:1")
    assert {part.gpu for part in Stack(tmp_path, 1, workers=2)._parts} == {None}


def test_every_queue_has_workers_that_listen_to_it(tmp_path: Path) -> None:
    listened = {
        name
        for part in Stack(tmp_path, 1, workers=1, trainers=1)._parts
        if "-Q" in part.command
        for name in part.command[part.command.index("-Q") + 1].split(",")
    }
    assert listened == set(QUEUES)


def test_a_worker_takes_the_place_of_the_command_that_starts_it() -> None:
    """By a stand-in for Celery that tells what it was started with."""
    program = """
        import json, os, sys
        from service import worker_command
        tell = "import json, os, sys; print(json.dumps([os.getpid(), os.environ['CUDA_VISIBLE_DEVICES']]))"
        worker_command.worker_command = lambda name, queues: [sys.executable, "-c", tell]
        print(os.getpid(), flush=True)
        worker_command.become_worker(gpu="2")
    """
    lines = run_python(program).splitlines()
    assert json.loads(lines[1]) == [int(lines[0]), "2"]


@pytest.mark.parametrize("queues", [["shards", "nosuch"], []])
def test_a_queue_that_nobody_rings_is_refused(queues: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="There are: ingest, shards, trainings"):
        become_worker(queues=queues)


@pytest.mark.parametrize("module", ["service.client.cli", "service.stack", "workers.celery_app"])
def test_whoever_starts_a_worker_or_its_child_loads_no_torch(module: str, tmp_path: Path) -> None:
    program = f"""
        import os, sys
        os.environ["NIGHTSHIFT_DATA_DIR"] = {str(tmp_path)!r}
        import {module}
        print(sorted({{"torch", "numpy", "s3fs"}} & sys.modules.keys()))
    """
    assert run_python(program).strip() == "[]"


def run_python(program: str) -> str:
    import textwrap

    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
