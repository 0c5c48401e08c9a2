"""Experiments as a user runs them: the command, a real worker, the real detector, faults on the way."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.client.client import Client
from service.demo.dataset import write_demo_dataset
from service.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PATIENCE_SECONDS = 240.0
QUICK = ("--image-px", 64, "--batch", 4, "--seeds", 1)


@pytest.fixture(scope="module")
def datasets(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Drawn streets by day, and others made night to test on."""
    folder = tmp_path_factory.mktemp("streets")
    with Client(stack.url) as client:

        def uploaded(name: str, seed: int, train: int, val: int) -> str:
            root = write_demo_dataset(folder / name, train, val, seed)
            return client.wait_for_dataset(client.create_dataset(client.upload(root))).id

        day, other = uploaded("day", 0, 6, 2), uploaded("other", 1, 5, 1)
        night = client.wait(client.translate(other, "camera-night"))
        return {"day": day, "test": str(night.result_id)}


def wait_for(condition: Callable[[], bool], stack: Stack) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        stack.mend()
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listed.read_text().split()] if listed.exists() else []


def detectors(stack: Stack) -> list[int]:
    """The processes that train detectors: children of the trainer's child."""
    trainer = stack.pids()["trainer-0"]
    return [pid for child in children(trainer) for pid in children(child) if "yolo" in command_line(pid)]


def command_line(pid: int) -> str:
    file = Path(f"/proc/{pid}/cmdline")
    return file.read_bytes().replace(b"\0", b" ").decode() if file.exists() else ""


def test_a_translation_is_followed_by_its_experiment_and_a_verdict(
    nightshift: Callable[..., Any], datasets: dict[str, str], stack: Stack, tmp_path: Path
) -> None:
    done = nightshift(
        "translate", datasets["day"], "--generator", "camera-night", "--then-train", "yolov8n",
        "--test", datasets["test"], "--steps", 4, "--seeds", 1, "--image-px", 64, "--watch",
    )  # fmt: skip
    with Client(stack.url) as client:
        job = client.job(done["experiment"]["id"])
        assert client.job(done["translation"]["id"]).follow_up_id == job.id
        assert job.state == "succeeded"
        assert job.outcome["verdict"].endswith(".")
        report = client.experiment_report(job.id)
        assert [arm["name"] for arm in report["arms"]] == ["day", "day+synthetic"]
        page = client.experiment_page(job.id).decode()
        assert "<script" not in page
        assert "night" in page
        checkpoint = client.detector(job.id, "day", 0, tmp_path / "best.pt")
        assert checkpoint.stat().st_size > 1_000_000


def test_a_killed_detector_and_a_killed_worker_cost_time_and_nothing_else(
    nightshift: Callable[..., Any], datasets: dict[str, str], stack: Stack
) -> None:
    command = ("experiment", "--day", datasets["day"], "--test", datasets["test"], *QUICK, "--steps", 90)
    calm = nightshift(*command, "--watch")
    disturbed = nightshift(*command)
    with Client(stack.url) as client:
        for victim in (lambda: detectors(stack)[0], lambda: stack.pids()["trainer-0"]):
            wait_for(lambda: bool(detectors(stack)), stack)
            before = client.experiment_status(disturbed["id"]).current
            wait_for(lambda: has_gone_on(client, disturbed["id"], before), stack)  # noqa: B023
            if client.job(disturbed["id"]).finished_at is None:
                os.kill(victim(), signal.SIGKILL)
        wait_for(lambda: client.job(disturbed["id"]).finished_at is not None, stack)
        reports = [client.experiment_report(each["id"]) for each in (calm, disturbed)]
    scores = [[arm["scores"] for arm in report["arms"]] for report in reports]
    assert scores[0] == scores[1]


def has_gone_on(client: Client, job_id: str, before: Any) -> bool:
    job, now = client.job(job_id), client.experiment_status(job_id).current
    return job.finished_at is not None or (now is not None and now != before)


def test_a_cancelled_experiment_leaves_no_detector_at_work(
    nightshift: Callable[..., Any], datasets: dict[str, str], stack: Stack
) -> None:
    job = nightshift("experiment", "--day", datasets["day"], "--test", datasets["test"], "--epochs", 5000)
    with Client(stack.url) as client:
        wait_for(lambda: client.experiment_status(job["id"]).current is not None, stack)
        at_work = detectors(stack)
        assert at_work
        client.cancel(job["id"])
        wait_for(lambda: client.job(job["id"]).state == "cancelled", stack)
        wait_for(lambda: not any(command_line(pid) for pid in at_work), stack)


def test_a_refusal_reaches_the_user_before_anything_is_trained(
    nightshift: Callable[..., Any], datasets: dict[str, str]
) -> None:
    code, message = nightshift("experiment", "--day", datasets["day"], "--test", datasets["day"], "--watch")
    assert code != 0
    assert "nothing keeps them apart" in message


def test_the_report_is_saved_for_people_and_machines(
    nightshift: Callable[..., Any], datasets: dict[str, str], tmp_path: Path
) -> None:
    nightshift(
        "experiment", "--day", datasets["day"], "--test", datasets["test"], *QUICK, "--steps", 2,
        "--watch", "--out", tmp_path / "report",
    )  # fmt: skip
    assert sorted(file.name for file in (tmp_path / "report").iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip
    assert json.loads((tmp_path / "report/report.json").read_text())["arms"][0]["name"] == "day"
