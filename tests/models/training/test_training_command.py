"""The command itself: killed, stopped and taken up again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from models.training.papers import RECIPES
from models.training.run import StopSignal, main, print_event

STEPS = 40
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def arguments(tiny_toml: str, day_and_night: tuple[Path, Path], tmp_path: Path) -> list[str]:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_toml)
    day, night = (str(folder) for folder in day_and_night)
    named = ["--day", day, "--night", night, "--recipe", str(recipe), "--device", "cpu"]
    return ["cyclegan", *named, "--steps", str(STEPS), "--seed", "3"]


@contextmanager
def child(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "models.training.run", *arguments]
    # as many threads as this process computes with: sums depend on how they are split
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    with process:
        yield process


def wait_for(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        heard: dict[str, Any] = json.loads(line)
        if heard["event"] == event:
            return heard
    raise AssertionError(f"the child ended before {event!r}")


@pytest.mark.slow
def test_killed_stopped_and_resumed_the_bits_are_those_of_one_run(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    def terminate_at_progress(event: Mapping[str, Any]) -> None:
        print_event(event)
        if event["event"] == "progress":
            os.kill(os.getpid(), signal.SIGTERM)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*arguments, "--out", str(whole)]) == 0

    with child([*arguments, "--out", str(killed)]) as first:
        wait_for(first, "checkpoint")
        first.send_signal(signal.SIGKILL)
    assert first.returncode == -signal.SIGKILL
    assert not (killed / "day2night.safetensors").exists()

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("models.training.run.print_event", terminate_at_progress)
        assert main([*arguments, "--out", str(killed), "--resume"]) == 128 + signal.SIGTERM
    begun, *_, stopped = heard()
    assert (begun["event"], stopped["event"]) == ("started", "stopped")
    assert 4 <= begun["step"] < stopped["step"] < STEPS

    assert main([*arguments, "--out", str(killed), "--resume"]) == 0
    begun, *_, finished = heard()
    assert begun["step"] == stopped["step"]
    assert finished["event"] == "finished"
    for name in ("day2night.safetensors", "night2day.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_what_is_wrong_is_the_last_line_and_the_exit_status(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments[arguments.index("--night") + 1] = str(tmp_path / "nowhere")
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["kind"]) == ("failed", "ImagesRejected")
    assert "There is no folder" in event["message"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--recipe", "fast"], "There is no recipe 'fast' for 'cyclegan'."),
        (["--seed", "-1"], "'seed' in the recipe is -1."),
        (["--recipe", str(RECIPES / "cut" / "fast.toml")], "The recipe has an unknown key 'losses.nce'."),
    ],
)
def test_wrong_options_are_told(
    arguments: list[str], wrong: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(tmp_path / "out"), *wrong]) == 2
    assert json.loads(capsys.readouterr().out)["message"] == said


def test_a_stop_is_remembered_until_asked_for() -> None:
    stop = StopSignal()
    assert not stop()
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop()
    assert stop.number == signal.SIGTERM
