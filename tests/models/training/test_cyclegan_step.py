import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.training_step import OriginalCycleGAN
from models import device as devices
from models.errors import CheckpointRejected
from models.generators.interface import Direction
from models.training.cyclegan_recipe import CycleGANLosses, CycleGANRecipe
from models.training.cyclegan_step import CycleGANStep
from models.training.data import Batch

MakeBatch = Callable[..., Batch]


def weights(step: CycleGANStep, *names: str) -> list[Tensor]:
    return [parameter.detach().clone() for name in names for parameter in step.networks[name].parameters()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_losses_are_those_of_the_original_loop(tiny: CycleGANRecipe, make_batch: MakeBatch) -> None:
    recipe = replace(tiny, updates=replace(tiny.updates, pool_size=50))
    original = OriginalCycleGAN(recipe, torch.device("cpu"))
    ours = CycleGANStep(recipe)
    for number in range(4):
        batch = make_batch(number, size=2)
        expected, found = original.update(batch), ours.update(batch, 1.0)
        assert found.keys() == expected.keys()
        for term, loss in found.items():
            assert float(loss) == pytest.approx(float(expected[term]), abs=1e-4), (number, term)


def test_first_weights_are_drawn_as_published_and_from_the_seed(tiny: CycleGANRecipe) -> None:
    wide = replace(tiny, networks=replace(tiny.networks, generator_channels=16))
    state = CycleGANStep(wide).networks.state_dict()
    drawn = torch.cat([tensor.flatten() for key, tensor in state.items() if key.endswith("weight")])
    assert float(drawn.mean()) == pytest.approx(0, abs=2e-4)
    assert float(drawn.std()) == pytest.approx(0.02, rel=0.01)
    assert all(not tensor.any() for key, tensor in state.items() if key.endswith("bias"))
    torch.rand(5)
    assert equal(weights(CycleGANStep(wide), "G_A"), [t for k, t in state.items() if k.startswith("G_A")])
    assert not equal(weights(CycleGANStep(replace(wide, seed=1)), "G_A"), weights(CycleGANStep(wide), "G_A"))


def test_generators_are_updated_first_with_the_discriminators_held_still(
    tiny: CycleGANRecipe, batch: Batch
) -> None:
    step = CycleGANStep(tiny)
    judges = weights(step, "D_A", "D_B")
    happened: list[str] = []

    def before_generators(*_: object) -> None:
        happened.append("G")
        assert all(p.grad is None for name in ("D_A", "D_B") for p in step.networks[name].parameters())
        assert all(p.grad is not None for name in ("G_A", "G_B") for p in step.networks[name].parameters())
        assert equal(judges, weights(step, "D_A", "D_B"))

    def before_discriminators(*_: object) -> None:
        happened.append("D")
        assert all(p.grad is None for name in ("G_A", "G_B") for p in step.networks[name].parameters())
        assert all(p.grad is not None for name in ("D_A", "D_B") for p in step.networks[name].parameters())

    step.optimisers["G"].register_step_pre_hook(before_generators)
    step.optimisers["D"].register_step_pre_hook(before_discriminators)
    for name, pool in step.pools.items():
        swap = pool.swap
        pool.swap = lambda images, name=name, swap=swap: happened.append(f"pool {name}") or swap(images)  # type: ignore[method-assign,func-returns-value]
    step.update(batch, 1.0)
    assert happened == ["G", "pool D_A", "pool D_B", "D"]


def test_discriminators_see_real_images_and_what_the_pool_gives(
    tiny: CycleGANRecipe, make_batch: MakeBatch
) -> None:
    step, batch = CycleGANStep(tiny), make_batch(1)
    with torch.no_grad():
        # of the weights before the update
        fake_night = step.networks.translate("G_A", batch.day)
    pooled, given, judged = torch.zeros(1, 3, 32, 32), [], []

    def swap(images: Tensor) -> Tensor:
        given.append(images)
        return pooled

    step.pools["D_A"].swap = swap  # type: ignore[method-assign]
    step.networks["D_A"].register_forward_pre_hook(lambda _, inputs: judged.append(inputs[0].detach()))
    step.update(batch, 1.0)
    torch.testing.assert_close(given[0], fake_night)
    assert not given[0].requires_grad
    torch.testing.assert_close(judged, [fake_night, torch.cat([batch.night, pooled])])


def test_rate_scales_the_learning_rate(tiny: CycleGANRecipe, batch: Batch) -> None:
    step = CycleGANStep(tiny)
    step.update(batch, 0.25)
    assert [group["lr"] for o in step.optimisers.values() for group in o.param_groups] == [5e-5, 5e-5]
    assert [group["betas"] for o in step.optimisers.values() for group in o.param_groups] == [
        (0.5, 0.999)
    ] * 2
    before = weights(step, "G_A", "G_B", "D_A", "D_B")
    step.update(batch, 0.0)
    assert equal(before, weights(step, "G_A", "G_B", "D_A", "D_B"))


def test_without_an_identity_loss_its_passes_are_left_out(tiny: CycleGANRecipe, batch: Batch) -> None:
    losses = CycleGANStep(replace(tiny, losses=CycleGANLosses(identity=0.0))).update(batch, 1.0)
    assert not [term for term in losses if term.startswith("identity")]


def test_pieces_of_a_batch_add_up_to_the_batch(tiny: CycleGANRecipe, make_batch: MakeBatch) -> None:
    data = replace(tiny.data, batch_size=4)
    whole = CycleGANStep(replace(tiny, data=data))
    pieces = CycleGANStep(replace(tiny, data=data, updates=replace(tiny.updates, accumulate=2)))
    for number in range(3):
        batch = make_batch(number, size=4)
        expected, found = whole.update(batch, 1.0), pieces.update(batch, 1.0)
        for term, loss in found.items():
            assert float(loss) == pytest.approx(float(expected[term]), abs=1e-4)


def test_pairs_teach_the_generators_alone(tiny: CycleGANRecipe, make_batch: MakeBatch) -> None:
    step = CycleGANStep(replace(tiny, updates=replace(tiny.updates, learning_rate=2e-3)))
    judges = weights(step, "D_A", "D_B")
    pair = replace(make_batch(1), is_paired=True)
    losses = [step.update(pair, 1.0) for _ in range(30)]
    assert losses[0].keys() == {"warm_day2night", "warm_night2day"}
    for term in ("warm_day2night", "warm_night2day"):
        assert losses[-1][term] < 0.9 * losses[0][term]
    assert equal(judges, weights(step, "D_A", "D_B"))
    assert len(step.pools["D_A"]) == 0


def test_a_tiny_training_lowers_its_losses(tiny: CycleGANRecipe, make_batch: MakeBatch) -> None:
    step = CycleGANStep(replace(tiny, updates=replace(tiny.updates, learning_rate=2e-3)))
    smooth = [
        Batch(interpolate(each.day, size=32), interpolate(each.night, size=32))
        for each in (make_batch(0, px=4), make_batch(1, px=4))
    ]
    losses = [step.update(smooth[number % 2], 1.0) for number in range(60)]
    for term in ("cycle_A", "cycle_B", "identity_A", "identity_B", "D_A", "D_B"):
        first, last = (sum(float(each[term]) for each in part) for part in (losses[:6], losses[-6:]))
        assert last < 0.9 * first, term


def test_averages_follow_the_generators(tiny: CycleGANRecipe, batch: Batch) -> None:
    step = CycleGANStep(tiny)
    begin = weights(step, "G_A")
    step.update(batch, 1.0)
    assert step.averages is not None
    # (1 + 1) / (10 + 1) of the past is less than the recipe's 0.9
    expected = [old + (new - old) * 9 / 11 for old, new in zip(begin, weights(step, "G_A"), strict=True)]
    torch.testing.assert_close(list(step.averages["G_A"].parameters()), expected)
    assert step.generators()[Direction.DAY2NIGHT] is step.averages["G_A"]
    plain = CycleGANStep(replace(tiny, updates=replace(tiny.updates, ema=0.0)))
    assert plain.averages is None
    assert list(plain.generators().values()) == [plain.networks["G_A"], plain.networks["G_B"]]


def test_a_restored_step_goes_on_bit_for_bit(tiny: CycleGANRecipe, make_batch: MakeBatch) -> None:
    step = CycleGANStep(tiny)
    for number in range(5):
        step.update(make_batch(number), 1.0)
    twin = CycleGANStep(replace(tiny, seed=77))
    # a copy, as from a file: optimisers go on with the tensors they are given
    twin.load_state_dict(copy.deepcopy(step.state_dict()))
    for number in range(5, 8):
        first, second = step.update(make_batch(number), 0.5), twin.update(make_batch(number), 0.5)
        assert equal(list(first.values()), list(second.values()))
    names = ("G_A", "G_B", "D_A", "D_B")
    assert equal(weights(step, *names), weights(twin, *names))


def test_averaging_may_begin_in_the_middle(tiny: CycleGANRecipe, batch: Batch) -> None:
    plain = CycleGANStep(replace(tiny, updates=replace(tiny.updates, ema=0.0)))
    plain.update(batch, 1.0)
    step = CycleGANStep(tiny)
    step.load_state_dict(plain.state_dict())
    assert step.averages is not None
    assert equal(list(step.averages["G_B"].parameters()), weights(plain, "G_B"))


def test_networks_of_another_size_are_told_by_their_keys(tiny: CycleGANRecipe) -> None:
    networks = replace(tiny.networks, generator_blocks=3, discriminator_channels=6)
    other = CycleGANStep(replace(tiny, networks=networks))
    with pytest.raises(CheckpointRejected) as caught:
        CycleGANStep(tiny).load_state_dict(other.state_dict())
    assert "surplus: G_A.model.12.conv_block.1.bias" in caught.value.message
    assert "D_A.model.0.bias (6,) instead of (4,)" in caught.value.message


def test_mixed_precision_stays_near_and_keeps_weights_and_losses_in_float32(
    tiny: CycleGANRecipe, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_cpu_has_bfloat16_units", lambda: True)
    mixed = CycleGANStep(replace(tiny, updates=replace(tiny.updates, mixed_precision=True)))
    exact = CycleGANStep(tiny)
    assert (mixed.precision, exact.precision) == ("bfloat16", "float32")
    found, expected = mixed.update(batch, 1.0), exact.update(batch, 1.0)
    for term, loss in found.items():
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(float(expected[term]), rel=0.03)
    assert {p.dtype for p in mixed.networks.parameters()} == {torch.float32}
    assert mixed.pools["D_A"].state_dict()["images"][0].dtype == torch.float32


def test_samples_are_five_columns_of_the_batch(tiny: CycleGANRecipe, make_batch: MakeBatch) -> None:
    step, batch = CycleGANStep(tiny), make_batch(3, size=2)
    columns = step.sample(batch)
    assert [column.shape for column in columns] == [batch.day.shape] * 5
    assert torch.equal(columns[0], batch.day)
    assert torch.equal(columns[3], batch.night)
    night2day = step.generators()[Direction.NIGHT2DAY]
    with torch.no_grad():
        torch.testing.assert_close(columns[2], night2day.translate(columns[1]))
        torch.testing.assert_close(columns[4], night2day.translate(batch.night))
