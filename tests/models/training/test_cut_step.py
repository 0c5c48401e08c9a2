import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.training_step import OriginalCUT
from models import device as devices
from models.errors import CheckpointRejected
from models.generators.interface import Direction
from models.training.cut_networks import PatchVectors
from models.training.cut_recipe import CUTRecipe
from models.training.cut_step import CUTStep, drawn_places
from models.training.data import Batch

MakeBatch = Callable[..., Batch]


@pytest.fixture
def tiny_fast(tiny_cut: CUTRecipe) -> CUTRecipe:
    losses = replace(tiny_cut.losses, nce=10.0, identity=False, flip_equivariance=True)
    return replace(tiny_cut, losses=losses)


def weights(step: CUTStep, *names: str) -> list[Tensor]:
    return [parameter.detach().clone() for name in names for parameter in step.networks[name].parameters()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("variant", ["CUT", "FastCUT", "CUT with flips"])
def test_losses_are_those_of_the_original_loop(
    tiny_cut: CUTRecipe, tiny_fast: CUTRecipe, make_batch: MakeBatch, variant: str
) -> None:
    with_flips = replace(tiny_cut, losses=replace(tiny_cut.losses, flip_equivariance=True))
    recipe = {"CUT": tiny_cut, "FastCUT": tiny_fast, "CUT with flips": with_flips}[variant]
    original, ours = OriginalCUT(recipe, torch.device("cpu")), CUTStep(recipe)
    for number in range(4):
        batch = make_batch(number, size=2)
        expected, found = original.update(batch), ours.update(batch, 1.0)
        assert found.keys() == expected.keys()
        for term, loss in found.items():
            assert float(loss) == pytest.approx(float(expected[term]), abs=1e-4), (number, term)


def test_first_weights_are_drawn_as_published_and_from_the_seed(tiny_cut: CUTRecipe) -> None:
    sizes = replace(tiny_cut.networks, generator_channels=16, patch_channels=64)
    wide = replace(tiny_cut, networks=sizes)
    state = CUTStep(wide).networks.state_dict()
    # Xavier: the variance is 2 over the sum of inputs and outputs, here of 3x3 convolutions of 64 channels
    drawn = state["G.model.12.conv_block.1.weight"]
    assert float(drawn.std()) == pytest.approx(0.02 * math.sqrt(2 / (2 * 9 * 64)), rel=0.02)
    drawn = state["F.mlp_2.2.weight"]
    assert float(drawn.std()) == pytest.approx(0.02 * math.sqrt(2 / (2 * 64)), rel=0.05)
    assert all(not tensor.any() for key, tensor in state.items() if key.endswith("bias"))
    assert equal(weights(CUTStep(wide), "G", "F"), weights(CUTStep(wide), "G", "F"))
    assert not equal(weights(CUTStep(replace(wide, seed=1)), "G"), weights(CUTStep(wide), "G"))


def test_networks_have_the_published_keys(tiny_cut: CUTRecipe) -> None:
    state = CUTStep(tiny_cut).networks.state_dict()
    assert {key.split(".")[2] for key in state if key.startswith("D.") and key.endswith("weight")} == {
        "0", "3", "7", "11", "14",
    }  # fmt: skip
    assert {key for key in state if key.startswith("D.") and key.endswith("filt")} == {
        "D.model.2.filt", "D.model.6.filt", "D.model.10.filt",
    }  # fmt: skip
    layers = {key.rpartition(".")[0] for key in state if key.startswith("F.")}
    assert layers == {f"F.mlp_{feature}.{layer}" for feature in range(5) for layer in (0, 2)}


def test_the_discriminator_is_updated_first_then_generator_and_vectors(
    tiny_cut: CUTRecipe, batch: Batch
) -> None:
    step, happened = CUTStep(tiny_cut), []

    def has_gradients(name: str) -> set[bool]:
        return {parameter.grad is not None for parameter in step.networks[name].parameters()}

    def before_discriminator(*_: object) -> None:
        happened.append("D")
        assert [has_gradients(name) for name in "DGF"] == [{True}, {False}, {False}]

    def before_generator(*_: object) -> None:
        happened.append("G")
        assert [has_gradients(name) for name in "DGF"] == [{False}, {True}, {True}]

    step.optimisers["D"].register_step_pre_hook(before_discriminator)
    step.optimisers["G"].register_step_pre_hook(before_generator)
    step.update(batch, 1.0)
    assert happened == ["D", "G"]


@pytest.mark.parametrize("direction", Direction)
def test_only_the_chosen_direction_is_trained(
    tiny_cut: CUTRecipe, make_batch: MakeBatch, direction: Direction
) -> None:
    step, batch = CUTStep(replace(tiny_cut, direction=str(direction))), make_batch(3, size=2)
    seen: list[Tensor] = []
    step.networks["D"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    with torch.no_grad():
        source, target = batch.towards(direction)
        fake = step.networks.generator.translate(source)
    step.update(batch, 1.0)
    # real and translated together, then the translated ones for the generator
    torch.testing.assert_close(seen, [torch.cat([target, fake]), fake])
    assert list(step.generators()) == [direction]
    columns = step.sample(batch)
    assert [column.shape for column in columns] == [batch.day.shape] * 4
    assert torch.equal(columns[0], source)
    assert torch.equal(columns[2], target)


@pytest.mark.parametrize("variant", ["tiny_cut", "tiny_fast"])
def test_pieces_of_a_batch_add_up_to_the_batch(
    request: pytest.FixtureRequest, variant: str, make_batch: MakeBatch
) -> None:
    recipe: CUTRecipe = request.getfixturevalue(variant)
    recipe = replace(recipe, data=replace(recipe.data, batch_size=4))
    whole, pieces = CUTStep(recipe), CUTStep(replace(recipe, updates=replace(recipe.updates, accumulate=2)))
    for number in range(3):
        batch = make_batch(number, size=4)
        expected, found = whole.update(batch, 1.0), pieces.update(batch, 1.0)
        for term, loss in found.items():
            assert float(loss) == pytest.approx(float(expected[term]), abs=1e-4)


def test_pairs_teach_the_generator_alone(tiny_cut: CUTRecipe, make_batch: MakeBatch) -> None:
    step = CUTStep(replace(tiny_cut, updates=replace(tiny_cut.updates, learning_rate=2e-3)))
    others = weights(step, "D", "F")
    day = make_batch(1).day
    pair = Batch(day, 0.5 * day - 0.5, is_paired=True)
    losses = [step.update(pair, 1.0) for _ in range(30)]
    assert losses[0].keys() == {"warm_day2night"}
    assert losses[-1]["warm_day2night"] < 0.9 * losses[0]["warm_day2night"]
    assert equal(others, weights(step, "D", "F"))


def test_a_tiny_training_lowers_its_losses(tiny_cut: CUTRecipe, make_batch: MakeBatch) -> None:
    step = CUTStep(replace(tiny_cut, updates=replace(tiny_cut.updates, learning_rate=2e-3)))
    smooth = [
        Batch(interpolate(each.day, size=32), interpolate(each.night, size=32))
        for each in (make_batch(0, px=4), make_batch(1, px=4))
    ]
    losses = [step.update(smooth[number % 2], 1.0) for number in range(60)]
    for term in ("nce", "nce_identity", "D"):
        first, last = (sum(float(each[term]) for each in part) for part in (losses[:6], losses[-6:]))
        assert last < 0.9 * first, term


def test_a_restored_step_goes_on_bit_for_bit(tiny_fast: CUTRecipe, make_batch: MakeBatch) -> None:
    step = CUTStep(tiny_fast)
    for number in range(4):
        step.update(make_batch(number), 1.0)
    twin = CUTStep(tiny_fast)
    twin.load_state_dict(copy.deepcopy(step.state_dict()))
    for number in range(4, 8):
        first, second = step.update(make_batch(number), 0.5), twin.update(make_batch(number), 0.5)
        assert equal(list(first.values()), list(second.values()))
    assert equal(weights(step, "G", "F", "D"), weights(twin, "G", "F", "D"))


def test_networks_of_another_size_are_told_by_their_keys(tiny_cut: CUTRecipe) -> None:
    other = CUTStep(replace(tiny_cut, networks=replace(tiny_cut.networks, patch_channels=6)))
    with pytest.raises(CheckpointRejected, match=r"F\.mlp_0\.0\.bias \(6,\) instead of \(8,\)"):
        CUTStep(tiny_cut).load_state_dict(other.state_dict())


@pytest.mark.parametrize("variant", ["tiny_cut", "tiny_fast"])
def test_mixed_precision_stays_near_and_reaches_every_weight(
    request: pytest.FixtureRequest, variant: str, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe: CUTRecipe = request.getfixturevalue(variant)
    monkeypatch.setattr(devices, "_cpu_has_bfloat16_units", lambda: True)
    mixed = CUTStep(replace(recipe, updates=replace(recipe.updates, mixed_precision=True)))
    exact = CUTStep(recipe)
    assert (mixed.precision, exact.precision) == ("bfloat16", "float32")
    before = weights(mixed, "G", "F", "D")
    found, expected = mixed.update(batch, 1.0), exact.update(batch, 1.0)
    for term, loss in found.items():
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(float(expected[term]), rel=0.03)
    changed = [not torch.equal(*pair) for pair in zip(before, weights(mixed, "G", "F", "D"), strict=True)]
    assert all(changed)


def test_vectors_have_length_1_and_are_of_the_places_asked_for() -> None:
    network = PatchVectors([3, 5], channels=4)
    features = [torch.rand(2, 3, 4, 6), torch.rand(2, 5, 2, 3)]
    # the second pixel of the second row; all of the second feature
    first, second = network(features, [torch.tensor([7]), torch.arange(6)])
    assert (first.shape, second.shape) == ((2, 1, 4), (2, 6, 4))
    torch.testing.assert_close(second.norm(dim=-1), torch.ones(2, 6))
    by_hand = network["mlp_0"](features[0][:, :, 1, 1])
    torch.testing.assert_close(first[:, 0], by_hand / by_hand.norm(dim=-1, keepdim=True), atol=1e-5, rtol=0)


def test_places_differ_from_each_other_and_fit_the_features() -> None:
    features = [torch.zeros(1, 3, 20, 20), torch.zeros(1, 5, 3, 3)]
    many, few = drawn_places(features, 256, np.random.default_rng(0))
    assert len(many.unique()) == 256
    assert int(many.max()) < 400
    assert sorted(few.tolist()) == list(range(9))
