"""What the training of every paper promises, asked of every paper there is."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.generators.interface import Direction
from models.layouts import LAYOUTS
from models.registry import load_generator
from models.training.data import Batch, UnpairedBatches
from models.training.errors import RecipeRejected
from models.training.images import find_images
from models.training.papers import PAPERS, check_backbone, directed, load_recipe, parse_recipe, recipe_names
from models.training.recipe import Recipe
from models.training.session import TrainingOrder, run_training
from models.training.step import PaperStep
from models.training.strict_toml import to_toml
from models.weights import load_weights

ROOT = Path(__file__).resolve().parents[3]
# of each paper, what learning must bring down on images that it sees again and again
FALLS = {
    "cut": "nce",
    "cyclegan": "cycle_A",
    "enlightengan": "features",
    "kind": "recon_low",
    "sci": "smoothness",
    "zero-dce": "exposure",
}


def made_step(recipe: Recipe, paper: str) -> PaperStep[Any]:
    return PAPERS[paper].step(recipe, features=check_backbone(recipe, None))


@pytest.fixture
def order(
    paper: str, tiny_recipes: dict[str, Recipe], day_and_night: tuple[Path, Path], tmp_path: Path
) -> TrainingOrder:
    day, night = day_and_night
    return TrainingOrder(paper, [day], [night], tiny_recipes[paper], tmp_path / "out", device="cpu")


@pytest.fixture
def batches(paper: str, tiny_recipes: dict[str, Recipe], day_and_night: tuple[Path, Path]) -> UnpairedBatches:
    day, night = (find_images([folder], "day", 32).paths for folder in day_and_night)
    return UnpairedBatches(day, night, tiny_recipes[paper])


def test_every_network_can_be_trained() -> None:
    assert {paper.architecture for paper in PAPERS.values()} == LAYOUTS.keys()


@pytest.mark.parametrize("paper", PAPERS)
def test_default_recipes_are_the_papers_and_compact_ones_need_no_file(paper: str) -> None:
    assert {"default", "compact"} <= set(recipe_names(paper))
    assert load_recipe("default", paper) == parse_recipe("", paper)
    compact = load_recipe("compact", paper)
    check_backbone(compact, None)
    assert parse_recipe(to_toml(compact), paper) == compact


@pytest.mark.parametrize("paper", PAPERS)
def test_learning_lowers_the_loss(
    paper: str, tiny_recipes: dict[str, Recipe], batches: UnpairedBatches
) -> None:
    recipe = replace(
        tiny_recipes[paper], updates=replace(tiny_recipes[paper].updates, learning_rate=2e-3)
    ).of_steps(120)
    step, batch = made_step(recipe, paper), batches.at(0)
    found = [step.update(batch, 1.0) for _ in range(40)]
    losses = [float(each[FALLS[paper]]) for each in found if FALLS[paper] in each]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


@pytest.mark.slow
@pytest.mark.parametrize("paper", PAPERS)
def test_stopped_and_resumed_the_bits_are_those_of_one_run(
    paper: str, order: TrainingOrder, tmp_path: Path
) -> None:
    left = iter(range(3))
    assert not run_training(order, lambda _: None, lambda: next(left, None) is None)
    assert run_training(replace(order, resumes=True), lambda _: None, lambda: False)
    whole = replace(order, out=tmp_path / "whole")
    assert run_training(whole, lambda _: None, lambda: False)
    files = sorted(path.name for path in whole.out.glob("*.safetensors"))
    assert files
    for name in files:
        assert (whole.out / name).read_bytes() == (order.out / name).read_bytes()
        assert load_weights(whole.out / name).architecture == PAPERS[paper].architecture
        load_generator(PAPERS[paper].architecture, whole.out / name)


@pytest.mark.slow
@pytest.mark.parametrize("paper", PAPERS)
def test_killed_and_resumed_the_bits_are_those_of_one_run(
    paper: str, order: TrainingOrder, tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(to_toml(order.recipe.of_steps(40)))
    named = ["--day", str(order.day[0]), "--night", str(order.night[0]), "--recipe", str(recipe)]
    command = [sys.executable, "-m", "models.training.run", paper, *named, "--device", "cpu", "--resume"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    killed = [*command, "--out", str(tmp_path / "killed")]
    with subprocess.Popen(killed, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if json.loads(line)["event"] == "checkpoint":
                first.send_signal(signal.SIGKILL)
                break
    assert first.returncode == -signal.SIGKILL
    assert not list((tmp_path / "killed").glob("*.safetensors"))
    for each in (killed, [*command, "--out", str(tmp_path / "whole")]):
        subprocess.run(each, cwd=ROOT, env=environment, check=True, capture_output=True)
    for path in (tmp_path / "whole").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "killed" / path.name).read_bytes()


@pytest.mark.parametrize("paper", PAPERS)
def test_looking_at_a_training_does_not_change_it(
    paper: str, tiny_recipes: dict[str, Recipe], batches: UnpairedBatches
) -> None:
    watched, unwatched = (made_step(tiny_recipes[paper], paper) for _ in range(2))
    for number in range(2):
        columns = watched.sample(batches.examples(2))
        assert {column.shape[0] for column in columns} == {2}
        for step in (watched, unwatched):
            step.update(batches.at(number), 1.0)
    for key, tensor in unwatched.networks.state_dict().items():
        assert torch.equal(watched.networks.state_dict()[key], tensor), key


@pytest.mark.parametrize("paper", PAPERS)
def test_extra_losses_are_told_and_change_what_is_learnt(
    paper: str, tiny_recipes: dict[str, Recipe], batches: UnpairedBatches
) -> None:
    plain = tiny_recipes[paper]
    # everything from the first step on, also for papers that learn in stages
    extra = replace(plain, extra_losses={"huber": 2.0, "colour-constancy": 1.0, "ssim": 0.0})
    told: set[str] = set()
    steps = [made_step(recipe, paper) for recipe in (plain, extra)]
    for number in range(plain.length.steps):
        for step in steps:
            told |= step.update(batches.at(number), 1.0).keys()
    directions = steps[0].generators()
    assert {
        f"{name}_{direction}" for name in ("huber", "colour-constancy") for direction in directions
    } <= told
    # what has no weight is not computed
    assert not any(term.startswith("ssim") for term in told)
    states = [step.networks.state_dict() for step in steps]
    assert any(not torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_extra_losses_compare_with_the_source_and_on_pairs_with_the_target(
    tiny_recipes: dict[str, Recipe],
) -> None:
    recipe = replace(tiny_recipes["cut"], extra_losses={"l1": 1.0})
    step = made_step(recipe, "cut")
    day, night = torch.zeros(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.5)
    with torch.no_grad():
        translated = (step.generators()[Direction.DAY2NIGHT].translate(day) + 1) / 2
    found = step.update(Batch(day, night), 0.0)["l1_day2night"]
    assert float(found) == pytest.approx(float((translated - 0.5).abs().mean()), rel=1e-4)
    found = step.update(Batch(day, night, is_paired=True), 0.0)["l1_day2night"]
    assert float(found) == pytest.approx(float((translated - 0.75).abs().mean()), rel=1e-4)


@pytest.mark.parametrize("paper", ["cyclegan", "cut"])
def test_the_adversarial_loss_can_be_chosen(
    paper: str, tiny_recipes: dict[str, Recipe], batches: UnpairedBatches
) -> None:
    text = to_toml(tiny_recipes[paper])
    chosen = parse_recipe(text.replace('"least-squares"', '"non-saturating"'), paper)
    step = made_step(chosen, paper)
    (discriminator,) = {"D_A", "D"} & step.update(batches.at(0), 1.0).keys()
    # an untrained one says 0 to everything: half of two times log 2, where least squares would be half of 1
    assert float(step.update(batches.at(0), 0.0)[discriminator]) == pytest.approx(0.693, abs=0.05)


def test_a_recipe_is_told_which_loss_is_nearest() -> None:
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe("[extra_losses]\nssmi = 1.0", "sci")
    assert caught.value.message == "'extra_losses' in the recipe: There is no loss 'ssmi'."
    assert caught.value.cure == "Did you mean 'ssim'?"
    with pytest.raises(RecipeRejected, match=r"'extra_losses.ssim' in the recipe is -1.0"):
        parse_recipe("[extra_losses]\nssim = -1.0", "sci")
    with pytest.raises(RecipeRejected, match=r"'extra_losses.ssim' in the recipe is 'much'"):
        parse_recipe('[extra_losses]\nssim = "much"', "sci")
    with pytest.raises(RecipeRejected, match=r"'extra_losses' in the recipe is a table"):
        parse_recipe("extra_losses = 1", "sci")


def test_directions_are_those_that_a_paper_learns() -> None:
    recipe = load_recipe("compact", "enlightengan")
    assert directed(recipe, "day2night") == replace(recipe, direction="day2night")  # type: ignore[call-arg]
    with pytest.raises(RecipeRejected, match="It can be one of: 'night2day'"):
        directed(load_recipe("compact", "sci"), "day2night")
    with pytest.raises(RecipeRejected, match="it learns both"):
        directed(load_recipe("compact", "cyclegan"), "day2night")
