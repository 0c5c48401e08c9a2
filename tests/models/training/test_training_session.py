import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from models.errors import CheckpointRejected
from models.generators.cut import CUT
from models.generators.cyclegan import CycleGAN
from models.generators.interface import Direction, Scene
from models.registry import load_generator
from models.training.checkpoint import read_checkpoint
from models.training.cyclegan_step import CycleGANStep
from models.training.data import Batch
from models.training.errors import ImagesRejected, LossNotFinite, TrainingNotResumed
from models.training.papers import load_recipe
from models.training.samples import sample_grid
from models.training.step import PaperStep
from models.weights import convert_checkpoint

WEIGHTS = ("day2night.safetensors", "night2day.safetensors")


def weights(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in WEIGHTS]


def assert_same(first: Any, second: Any) -> None:
    """Nested containers with tensors, bit for bit."""
    if isinstance(first, Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


def test_a_training_reports_what_it_does(uninterrupted: Any) -> None:
    events = uninterrupted.events
    happened = [(event["event"], event["step"]) for event in events]
    assert happened == [
        ("started", 0), ("progress", 2), ("progress", 4), ("sample", 4), ("checkpoint", 4),
        ("progress", 6), ("progress", 8), ("sample", 8), ("checkpoint", 8), ("finished", 8),
    ]  # fmt: skip
    assert (events[0]["steps"], events[0]["day"], events[0]["night"]) == (8, 9, 10)
    last = uninterrupted.named("progress")[-1]
    assert set(last["losses"]) == {
        "G_A", "G_B", "cycle_A", "cycle_B", "identity_A", "identity_B", "D_A", "D_B",
    }  # fmt: skip
    assert last["images_per_second"] > 0
    assert last["seconds_left"] == 0


def test_results_are_generators_of_the_registry(uninterrupted: Any) -> None:
    day = torch.rand(1, 3, 32, 32)
    for name in WEIGHTS:
        generator = load_generator("cyclegan", uninterrupted.order.out / name)
        assert generator(day, [Scene(0)]).shape == day.shape
    day2night, night2day = weights(uninterrupted.order.out)
    assert day2night != night2day
    # with averaging on, what is exported is the average, not the last weights
    state = read_checkpoint(uninterrupted.order.out / "checkpoint.pt").state
    exported = convert_checkpoint(uninterrupted.order.out / WEIGHTS[0], "cyclegan").state
    for key, tensor in exported.items():
        assert torch.equal(tensor, state["averages"][f"G_A.{key}"])


def test_original_layout_holds_all_four_networks(uninterrupted: Any) -> None:
    out = uninterrupted.order.out
    assert convert_checkpoint(out / "latest_net_G_B.pth", "cyclegan").config == {"channels": 4, "blocks": 2}
    with pytest.raises(CheckpointRejected, match="This is a PatchGAN discriminator"):
        convert_checkpoint(out / "latest_net_D_A.pth", "cyclegan")


def test_sample_picture_shows_five_columns(uninterrupted: Any) -> None:
    event = uninterrupted.named("sample")[0]
    with Image.open(uninterrupted.order.out / event["file"]) as picture:
        assert picture.size == (5 * 36, 4 * 36)


def test_grid_has_a_row_for_each_image() -> None:
    black, white = -torch.ones(2, 3, 4, 6), torch.ones(2, 3, 4, 6)
    with Image.open(io.BytesIO(sample_grid([black, white], gap_px=1))) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (2 * 6, 2 * 8, 3)
    assert pixels[1:5, 1:7].max() == 0
    assert pixels[:, 8:].min() == 255


@pytest.mark.parametrize("stop_after", [2, 4])
def test_a_resumed_training_ends_with_the_same_bits(run: Any, uninterrupted: Any, stop_after: int) -> None:
    run.stop_after = stop_after
    assert not run()
    assert run.events[-1] == {"event": "stopped", "step": stop_after + 1, "files": []}
    assert not list(run.order.out.glob("*.safetensors"))
    run.stop_after = None
    assert run(resumes=True)
    assert run.events[0]["step"] == stop_after + 1
    whole = uninterrupted.order.out
    assert weights(run.order.out) == weights(whole)
    first, second = (read_checkpoint(out / "checkpoint.pt") for out in (run.order.out, whole))
    assert first.step == second.step == 8
    assert_same(dict(first.state), dict(second.state))


def test_a_warm_start_survives_a_resumption_too(run: Any, tmp_path: Path) -> None:
    recipe = replace(run.order.recipe.of_steps(6), warm_start="camera", warm_steps=4)
    assert run(recipe=recipe, out=tmp_path / "whole")
    assert set(run.named("progress")[0]["losses"]) == {"warm_day2night", "warm_night2day"}
    assert "cycle_A" in run.named("progress")[-1]["losses"]
    run.stop_after = 2
    assert not run(recipe=recipe)
    run.stop_after = None
    assert run(recipe=recipe, resumes=True)
    assert weights(run.order.out) == weights(tmp_path / "whole")


def test_mixed_precision_survives_a_resumption_too(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.device._cpu_has_bfloat16_units", lambda: True)
    base = run.order.recipe
    recipe = replace(base, updates=replace(base.updates, mixed_precision=True))
    assert run(recipe=recipe, out=tmp_path / "whole")
    assert run.events[0]["precision"] == "bfloat16"
    run.stop_after = 4
    assert not run(recipe=recipe)
    run.stop_after = None
    assert run(recipe=recipe, resumes=True)
    assert weights(run.order.out) == weights(tmp_path / "whole")


def test_a_finished_training_is_exported_again_or_trained_longer(run: Any) -> None:
    assert run()
    before = weights(run.order.out)
    (run.order.out / WEIGHTS[0]).unlink()
    assert run(resumes=True)
    assert [event["event"] for event in run.events] == ["started", "finished"]
    assert weights(run.order.out) == before
    assert run(resumes=True, recipe=run.order.recipe.of_steps(10), is_half=True)
    assert run.named("changed")[0]["changes"] == ["length.steps: 8 before, 10 now"]
    assert run.events[-1]["step"] == 10
    assert load_generator("cyclegan", run.order.out / WEIGHTS[0])
    assert len(weights(run.order.out)[0]) < 0.6 * len(before[0])


def test_a_training_is_not_overwritten_unasked(run: Any) -> None:
    run.stop_after = 0
    assert not run()
    run.stop_after = None
    with pytest.raises(TrainingNotResumed, match="Add --resume"):
        run()


def test_resuming_without_a_checkpoint_begins(run: Any) -> None:
    assert run(resumes=True)
    assert run.events[0]["step"] == 0


def test_a_checkpoint_of_other_networks_is_refused_with_the_keys(run: Any) -> None:
    run.stop_after = 0
    assert not run()
    base = run.order.recipe
    deeper = replace(base, networks=replace(base.networks, generator_blocks=3))
    with pytest.raises(
        CheckpointRejected, match=r"missing: G_A\.model\.12\.conv_block.*Resume with the recipe"
    ):
        run(recipe=deeper, resumes=True)


def test_a_checkpoint_of_another_paper_is_refused(run: Any, run_cut: Any) -> None:
    run.stop_after = 0
    assert not run()
    with pytest.raises(TrainingNotResumed, match="is one of 'cyclegan'"):
        run_cut(out=run.order.out, resumes=True)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run by a pickle",)


def test_a_checkpoint_with_code_is_refused_and_not_run(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run.order.out.mkdir()
    torch.save({"format": 1, "state": Harmful()}, run.order.out / "checkpoint.pt")
    with pytest.raises(CheckpointRejected, match="could run code"):
        run(resumes=True)
    assert "run by a pickle" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "said"), [(0, "There are no night images in"), (7, "There are only 7 night images in")]
)
def test_too_few_images_of_a_side_are_refused(run: Any, tmp_path: Path, count: int, said: str) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (48, 40)).save(folder / f"{number}.png")
    with pytest.raises(ImagesRejected, match=said):
        run(night=[folder])
    assert not run.order.out.exists()


def test_changed_images_are_reported(run: Any) -> None:
    run.stop_after = 0
    assert not run()
    run.stop_after = None
    assert run(resumes=True, night=[*run.order.night, *run.order.day])
    (change,) = run.named("changed")[0]["changes"]
    assert change.startswith("night: ")


def test_images_smaller_than_the_crop_are_refused(run: Any) -> None:
    with pytest.raises(ImagesRejected, match="smaller than the crop of 256 px"):
        run(recipe=load_recipe("default", "cyclegan"))
    assert not run.order.out.exists()


@pytest.mark.parametrize(("paper", "term"), [("run", "cycle_B"), ("run_cut", "nce")])
def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    request: pytest.FixtureRequest, paper: str, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, update = request.getfixturevalue(paper), PaperStep.update

    def failing(self: PaperStep[Any], batch: Batch, rate: float) -> dict[str, Tensor]:
        losses = update(self, batch, rate)
        if self.state_dict()["updates"] == 5:
            losses[term] = torch.tensor(float("nan"))
        return losses

    monkeypatch.setattr(PaperStep, "update", failing)
    with pytest.raises(LossNotFinite, match=f"Not finite at step 5: {term}") as caught:
        run()
    assert (caught.value.step, caught.value.terms) == (5, (term,))
    assert read_checkpoint(run.order.out / "checkpoint.pt").step == 4
    assert not list(run.order.out.glob("*.safetensors"))


def test_weights_that_are_not_finite_are_not_saved_either(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    update = CycleGANStep.update

    def poisoned(self: CycleGANStep, batch: Batch, rate: float) -> dict[str, Tensor]:
        losses = update(self, batch, rate)
        if self.state_dict()["updates"] == 8:
            with torch.no_grad():
                next(self.networks["D_B"].parameters()).fill_(float("inf"))
        return losses

    monkeypatch.setattr(CycleGANStep, "update", poisoned)
    with pytest.raises(LossNotFinite, match=r"step 8: the weights D_B\.model\.0"):
        run()
    assert read_checkpoint(run.order.out / "checkpoint.pt").step == 4


@pytest.mark.parametrize("direction", Direction)
def test_cut_exports_its_one_direction(run_cut: Any, direction: Direction) -> None:
    recipe = replace(run_cut.order.recipe, direction=str(direction))
    assert run_cut(recipe=recipe, is_original_layout=True)
    out, files = run_cut.order.out, run_cut.events[-1]["files"]
    assert files == [
        f"{direction}.safetensors", "latest_net_G.pth", "latest_net_F.pth", "latest_net_D.pth",
    ]  # fmt: skip
    assert [path.name for path in out.glob("*.safetensors")] == [f"{direction}.safetensors"]
    day = torch.rand(1, 3, 32, 32)
    assert load_generator("cut", out / files[0])(day, [Scene(0)]).shape == day.shape
    assert convert_checkpoint(out / "latest_net_G.pth", "cut").config == {"channels": 4, "blocks": 2}
    with pytest.raises(CheckpointRejected, match="This is the patch network of CUT"):
        convert_checkpoint(out / "latest_net_F.pth", "cut")
    with Image.open(out / run_cut.named("sample")[0]["file"]) as picture:
        assert picture.size == (4 * 36, 4 * 36)


@pytest.mark.parametrize("is_fast", [True, False])
def test_cut_resumed_ends_with_the_same_bits(run_cut: Any, tmp_path: Path, is_fast: bool) -> None:
    recipe = replace(run_cut.order.recipe, warm_start="camera", warm_steps=2)
    if is_fast:
        recipe = replace(recipe, losses=replace(recipe.losses, identity=False, flip_equivariance=True))
    assert run_cut(recipe=recipe, out=tmp_path / "whole")
    run_cut.stop_after = 4
    assert not run_cut(recipe=recipe)
    run_cut.stop_after = None
    assert run_cut(recipe=recipe, resumes=True)
    first, second = (
        read_checkpoint(out / "checkpoint.pt").state for out in (run_cut.order.out, tmp_path / "whole")
    )
    assert_same(dict(first), dict(second))


@pytest.mark.parametrize("paper", ["run", "run_cut"])
def test_exported_generators_remember_their_padding(request: pytest.FixtureRequest, paper: str) -> None:
    run = request.getfixturevalue(paper)
    recipe = run.order.recipe.of_steps(1)
    networks = replace(recipe.networks, generator_padding="reflect")
    assert run(recipe=replace(recipe, networks=networks))
    generator = load_generator(run.order.paper, run.order.out / "day2night.safetensors")
    assert isinstance(generator, CycleGAN | CUT)
    assert generator.padding == "reflect"
