"""Two processes that train together do what one does with batches twice as large."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.training.checkpoint import read_checkpoint
from models.training.data import UnpairedBatches
from models.training.images import find_images
from models.training.papers import PAPERS, parse_recipe
from models.training.processes import ALONE, Team, joined_team
from models.training.recipe import Recipe
from models.training.session import TrainingOrder
from models.training.strict_toml import to_toml
from tests.models.training import two_processes

pytestmark = pytest.mark.slow  # a second process, and every paper twice
ROOT = Path(__file__).resolve().parents[3]
STEPS = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def recipes(tiny_toml: str, tiny_recipes: dict[str, Recipe]) -> dict[str, Recipe]:
    """Tiny ones that tell and save often; CycleGAN's pools hold two translations."""
    cyclegan = parse_recipe(tiny_toml.replace("pool_size = 3", "pool_size = 2"), "cyclegan")
    lengths = replace(cyclegan.length, steps=STEPS, log_every=1)
    return {
        paper: replace(recipe, length=lengths)
        for paper, recipe in {**tiny_recipes, "cyclegan": cyclegan}.items()
    }


@pytest.fixture(scope="module")
def trained(
    recipes: dict[str, Recipe],
    day_and_night: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder that this process and another one have filled together."""
    folder = tmp_path_factory.mktemp("two")
    for paper, recipe in recipes.items():
        (folder / f"{paper}.toml").write_text(to_toml(recipe))
    shutil.copytree(day_and_night[0], folder / "damaged")
    for image in (path for path in (folder / "damaged").rglob("*") if path.is_file()):
        # the header stays whole
        image.write_bytes(image.read_bytes()[:600])
    command = [sys.executable, two_processes.__file__, folder, *day_and_night]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    environment = {**os.environ, **shared, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "RANK": "1"}
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(command, cwd=ROOT, env=environment) as second,
    ):
        for name, value in {**shared, "RANK": "0"}.items():
            patch.setenv(name, value)
        two_processes.main(folder, *day_and_night)
    assert second.returncode == 0
    return folder


def events(folder: Path, rank: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"events-{rank}.jsonl").read_text().splitlines()]


def losses(folder: Path) -> list[dict[str, float]]:
    return [event["losses"] for event in events(folder) if event["event"] == "progress"]


@pytest.mark.parametrize("paper", PAPERS)
def test_both_have_the_same_bits(trained: Path, paper: str) -> None:
    first, second = (torch.load(trained / f"{paper}-{rank}.pt") for rank in (0, 1))
    assert first["losses"] == second["losses"]
    for key, tensor in first["networks"].items():
        # what batch norms remember is of the images of their own process
        assert "running_" in key or torch.equal(tensor, second["networks"][key]), key


# The others look at a batch as a whole, by batch norms or by the range of its gradients.
@pytest.mark.parametrize("paper", ["cut", "cyclegan", "zero-dce"])
def test_together_they_come_to_what_one_does_with_batches_twice_as_large(
    trained: Path, recipes: dict[str, Recipe], day_and_night: tuple[Path, Path], paper: str
) -> None:
    data = recipes[paper].data
    twice = replace(recipes[paper], data=replace(data, batch_size=2 * data.batch_size))
    alone = two_processes.updated(
        paper, TrainingOrder(paper, *([f] for f in day_and_night), twice, trained), ALONE
    )
    together = torch.load(trained / f"{paper}-0.pt")
    for one, two in zip(alone["losses"], together["losses"], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=0)
    for key, tensor in alone["networks"].items():
        # a bias before a norm has no effect and no gradient but rounding, which Adam enlarges
        if key.endswith("weight"):
            torch.testing.assert_close(tensor, together["networks"][key], atol=1e-5, rtol=0, msg=key)


def test_both_hear_the_same(trained: Path) -> None:
    first, second = (json.loads((trained / f"team-{rank}").read_text()) for rank in (0, 1))
    assert first == [[[0.5, 4.0], 5.0], [True, False], [0, 1], 0]
    # what is gathered is for the first
    assert second == [[[0.5, 4.0], 5.0], [True, False], [], 0]


@pytest.mark.parametrize("paper", PAPERS)
def test_a_stop_of_one_stops_both_and_resumed_they_end_with_the_same_bits(trained: Path, paper: str) -> None:
    whole, halves = trained / paper / "whole", trained / paper / "halves"
    ends = [event for event in events(halves) if event["event"] in ("stopped", "finished")]
    assert [(event["event"], event["step"]) for event in ends] == [("stopped", 3), ("finished", STEPS)]
    assert "changed" not in {event["event"] for event in events(halves)}
    for name in ends[1]["files"]:
        assert (halves / name).read_bytes() == (whole / name).read_bytes()
    first, second = (read_checkpoint(out / "checkpoint.pt").state for out in (whole, halves))
    assert all(torch.equal(first["networks"][key], second["networks"][key]) for key in first["networks"])
    if paper == "cyclegan":
        mine, others = first["pools"], first["pools_of_others"]
        assert len(others) == 1
        assert not torch.equal(mine["D_A"]["images"][0], others[0]["D_A"]["images"][0])


def test_the_first_alone_reports_and_writes(trained: Path) -> None:
    whole = trained / "cyclegan" / "whole"
    assert not (whole / "events-1.jsonl").exists()
    begun, *_ = events(whole)
    assert begun["processes"] == 2
    assert read_checkpoint(whole / "checkpoint.pt").processes == 2


def test_what_stops_one_stops_the_other_with_a_word(trained: Path) -> None:
    assert "ImagesRejected: The image" in (trained / "error-1").read_text()
    assert "ProcessLost: Another process of this training has ended." in (trained / "error-0").read_text()


def test_shares_of_a_batch_are_the_batch(
    recipes: dict[str, Recipe], day_and_night: tuple[Path, Path]
) -> None:
    day, night = (find_images([folder], "day", 32).paths for folder in day_and_night)
    recipe = recipes["cut"]
    together = UnpairedBatches(day, night, replace(recipe, data=replace(recipe.data, batch_size=2)))
    shares = [UnpairedBatches(day, night, recipe, Team(rank, 2)) for rank in (0, 1)]
    for step in (0, 3):
        assert torch.equal(together.at(step).day, torch.cat([share.at(step).day for share in shares]))
        assert torch.equal(together.at(step).night, torch.cat([share.at(step).night for share in shares]))


def test_alone_nothing_is_exchanged() -> None:
    tensors = [torch.rand(3)]
    ALONE.average(tensors)
    assert (ALONE.any(True), ALONE.any(False), ALONE.gather("own")) == (True, False, ["own"])
    assert ALONE.share("own") == "own"
    with joined_team("cpu") as (team, device):
        assert (team, device) == (ALONE, "cpu")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_torchrun_stops_all_with_a_checkpoint_and_resumes(
    recipes: dict[str, Recipe], day_and_night: tuple[Path, Path], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(to_toml(recipes["cut"].of_steps(2000)))
    day, night = (str(folder) for folder in day_and_night)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--day", day, "--night", night, "--recipe", str(recipe), "--out", str(tmp_path / "out")]
    command = [*torchrun, "-m", "models.training.run", "cut", *options, "--device", "cpu", "--resume"]

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        heard = [json.loads(process.stdout.readline())]
        # once: a second signal would not let them end in order
        process.send_signal(signal.SIGTERM)
        heard += [json.loads(line) for line in process.stdout]
    assert heard[0]["processes"] == 2
    assert heard[-1]["event"] == "stopped"
    assert read_checkpoint(tmp_path / "out" / "checkpoint.pt").step == heard[-1]["step"]

    rest = [*command, "--steps", str(heard[-1]["step"] + 2)]
    done = subprocess.run(rest, cwd=ROOT, capture_output=True, text=True, check=True)
    begun, *_, finished = (json.loads(line) for line in done.stdout.splitlines())
    assert (begun["step"], finished["event"]) == (heard[-1]["step"], "finished")
    assert finished["files"] == ["day2night.safetensors"]
