import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from models.generators.interface import Direction
from models.generators.kind import KinD
from models.losses.structure import SSIMLoss
from models.registry import load_generator
from models.training.data import Batch
from models.training.kind_patches import Pair, patches
from models.training.kind_recipe import STAGES, KinDRecipe, Stage
from models.training.kind_step import KinDStep, bordered, mean_ratio
from models.training.session import TrainingOrder, run_training
from models.weights import load_weights

MakeBatch = Callable[..., Batch]
Array = NDArray[np.float64]


def pairs(batch: Batch) -> Batch:
    """Nights that are the days in less light, by half on the left to a fifth on the right."""
    light = torch.linspace(0.5, 0.2, batch.day.shape[-1])
    return Batch(batch.day, (batch.day + 1) * light - 1, is_paired=True)


def only(recipe: KinDRecipe, stage: Stage) -> KinDRecipe:
    shares = {each: float(each == stage) for each in STAGES}
    return replace(recipe, stages=replace(recipe.stages, **shares))


def weights(step: KinDStep) -> dict[str, dict[str, Tensor]]:
    kind = step.networks.kind
    return {
        stage: {key: tensor.clone() for key, tensor in kind.get_submodule(stage).state_dict().items()}
        for stage in STAGES
    }


def changed(before: dict[str, dict[str, Tensor]], after: dict[str, dict[str, Tensor]]) -> set[str]:
    return {
        stage
        for stage in STAGES
        if any(not torch.equal(tensor, after[stage][key]) for key, tensor in before[stage].items())
    }


def seen_and_made(
    step: KinDStep, name: str, batch: Batch
) -> tuple[list[Tensor], list[Tensor], dict[str, float]]:
    """What goes into a network in one update and comes out of it, and the losses."""
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []

    def remember(_: object, given: tuple[Tensor, ...], made: Tensor | tuple[Tensor, ...]) -> None:
        inputs.extend(tensor.detach() for tensor in given)
        outputs.extend(tensor.detach() for tensor in (made if isinstance(made, tuple) else (made,)))

    handle = step.networks.kind.get_submodule(name).register_forward_hook(remember)
    losses = step.update(batch, 1.0)
    handle.remove()
    return inputs, outputs, {term: float(loss) for term, loss in losses.items()}


# The losses of the released code, written out in NumPy


def numbers(tensors: Iterable[Tensor]) -> list[Array]:
    return [tensor.double().numpy() for tensor in tensors]


def gradient(image: Array, axis: int) -> Array:
    """With zeros beyond the border, stretched by the least and the greatest of all."""
    padded = np.pad(image, ((0, 0), (0, 0), (0, 1), (0, 1)))
    differences = np.zeros_like(padded)
    if axis == 3:
        differences[..., :-1] = np.abs(padded[..., 1:] - padded[..., :-1])
    else:
        differences[..., :-1, :] = np.abs(padded[..., 1:, :] - padded[..., :-1, :])
    least, greatest = differences.min(), differences.max()
    result: Array = (differences - least) / (greatest - least + 1e-4)
    return result


def grey(image: Array) -> Array:
    return 0.299 * image[:, :1] + 0.587 * image[:, 1:2] + 0.114 * image[:, 2:]


def smoothness(light: Array, image: Array) -> float:
    return float(
        sum((gradient(light, a) / np.maximum(gradient(grey(image), a), 0.01)).mean() for a in (2, 3))
    )


def mutual(low: Array, high: Array) -> float:
    edges = [gradient(low, axis) + gradient(high, axis) for axis in (2, 3)]
    return float(sum((each * np.exp(-10 * each)).mean() for each in edges))


def edges_apart(one: Array, other: Array) -> float:
    return float(sum(((gradient(one, axis) - gradient(other, axis)) ** 2).mean() for axis in (2, 3)))


def test_losses_of_decomposition_are_the_original_s(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    step = KinDStep(tiny_kind)
    inputs, outputs, losses = seen_and_made(step, "decomposition", pairs(make_batch(0, size=2)))
    low, high = np.split(*numbers(inputs), 2)
    assert low.shape == (3, 3, 16, 16)
    (low_r, high_r), (low_l, high_l) = (np.split(each, 2) for each in numbers(outputs))
    expected = {
        "recon_low": np.abs(low_r * low_l - low).mean(),
        "recon_high": np.abs(high_r * high_l - high).mean(),
        "similarity": np.abs(low_r - high_r).mean(),
        "mutual": mutual(low_l, high_l),
        "smooth_low": smoothness(low_l, low),
        "smooth_high": smoothness(high_l, high),
    }
    assert losses == pytest.approx(expected, rel=1e-4)


def test_losses_of_adjustment_are_the_original_s(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    recipe = only(tiny_kind, "adjustment")
    recipe = replace(recipe, stages=replace(recipe.stages, patches=8))
    batch = pairs(make_batch(1, size=2))
    twin = KinDStep(recipe)
    _, (_, light), _ = seen_and_made(twin, "decomposition", batch)
    (source, ratio), (made,), losses = seen_and_made(KinDStep(recipe), "adjustment", batch)
    assert source.shape == made.shape == (8, 1, 16, 16)

    # The other light is found by looking for the source in all places of both, turned in all ways.
    low, high = light[:, 0].split(2)
    targets = []
    for patch, told in zip(source[:, 0], ratio, strict=True):
        target, quotient, is_darkened = counterpart(patch, low, high)
        targets.append(target)
        wanted = quotient if is_darkened else 1 / quotient + 1e-4
        assert float(told) == pytest.approx(wanted, rel=1e-4)
    (target,) = numbers([torch.stack(targets)[:, None]])
    (found,) = numbers([made])
    expected = {"adjust": ((found - target) ** 2).mean(), "adjust_gradient": edges_apart(found, target)}
    assert losses == pytest.approx(expected, rel=1e-4)


def counterpart(patch: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, float, bool]:
    """The same square of the other light, the mean of low over high there, and whether low is the other."""
    side = patch.shape[-1]
    for is_darkened, here, there in ((True, high, low), (False, low, high)):
        for image, other in zip(here, there, strict=True):
            for way in range(8):
                squares, others = (
                    (each.rot90(way % 4).flip(0) if way >= 4 else each.rot90(way % 4))
                    .unfold(0, side, 1)
                    .unfold(1, side, 1)
                    for each in (image, other)
                )
                found = (squares == patch).all(-1).all(-1).nonzero()
                if len(found):
                    top, left = found[0].tolist()
                    pair = squares[top, left], others[top, left]
                    bright, dark = pair if is_darkened else pair[::-1]
                    return others[top, left], float((dark / (bright + 1e-4)).mean()), is_darkened
    raise AssertionError("the patch is of neither light")


def test_losses_of_restoration_are_the_original_s(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    recipe, batch = only(tiny_kind, "restoration"), pairs(make_batch(2, size=2))
    _, (reflectance, light), _ = seen_and_made(KinDStep(recipe), "decomposition", batch)
    inputs, (restored,), losses = seen_and_made(KinDStep(recipe), "restoration", batch)
    low, high = reflectance.chunk(2)
    assert torch.equal(inputs[0], low)
    assert torch.equal(inputs[1], light.chunk(2)[0])
    target, found = numbers([high**1.2, restored])
    assert losses == pytest.approx(
        {
            "restore": ((found - target) ** 2).mean(),
            "restore_gradient": edges_apart(grey(found), grey(target)),
            "restore_ssim": float(SSIMLoss()(restored, high**1.2)),
        },
        rel=1e-4,
    )


def test_only_the_network_of_the_stage_changes(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    step, learnt = KinDStep(tiny_kind), []
    for number in range(8):
        before = weights(step)
        step.update(pairs(make_batch(number, size=2)), 1.0)
        (stage,) = changed(before, weights(step))
        learnt.append(stage)
    assert learnt == ["decomposition"] * 4 + ["adjustment"] * 2 + ["restoration"] * 2
    # each optimiser knows of its own steps alone
    for stage, optimiser in step.optimisers.items():
        counted = {int(state["step"]) for state in optimiser.state.values()}
        assert counted == {learnt.count(stage)}
        assert len(optimiser.state) == len(weights(step)[stage])


@pytest.mark.parametrize(
    ("stage", "term"),
    [("decomposition", "recon_high"), ("adjustment", "adjust"), ("restoration", "restore_ssim")],
)
def test_every_stage_learns(tiny_kind: KinDRecipe, make_batch: MakeBatch, stage: Stage, term: str) -> None:
    updates = replace(tiny_kind.updates, learning_rate=3e-3)
    recipe = replace(only(tiny_kind, stage), updates=updates).of_steps(40)
    batch = pairs(Batch(*(interpolate(side, size=32) for side in (make_batch(3, 2, px=4).day,) * 2)))
    step = KinDStep(recipe)
    losses = [float(step.update(batch, 1.0)[term]) for _ in range(40)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_first_weights_are_drawn_as_tensorflow_does_and_from_the_seed(tiny_kind: KinDRecipe) -> None:
    first = weights(KinDStep(tiny_kind))
    # uniform within the root of 6 over the sum of inputs and outputs, here of 3x3 kernels of 64 and 128
    drawn, bound = first["decomposition"]["g_conv3_1.weight"], (6 / (9 * (64 + 128))) ** 0.5
    assert 0.99 * bound < float(drawn.abs().max()) <= bound
    assert float(drawn.std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    # of doubling layers too, whose kernels are 2x2
    drawn, bound = first["decomposition"]["g_up_1.weight"], (6 / (4 * (64 + 128))) ** 0.5
    assert 0.99 * bound < float(drawn.abs().max()) <= bound
    biases = [tensor for part in first.values() for key, tensor in part.items() if key.endswith("bias")]
    assert biases
    assert not any(bias.any() for bias in biases)
    assert not changed(first, weights(KinDStep(tiny_kind)))
    assert changed(first, weights(KinDStep(replace(tiny_kind, seed=1)))) == set(STAGES)


def test_pieces_are_for_restoration_alone(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    in_pieces = replace(tiny_kind, updates=replace(tiny_kind.updates, accumulate=2))
    whole, pieces = KinDStep(tiny_kind), KinDStep(in_pieces)
    for number in range(6):
        batch = pairs(make_batch(number, size=2))
        assert whole.update(batch, 1.0) == pieces.update(batch, 1.0)
    sizes: list[int] = []
    restoration = pieces.networks.kind.get_submodule("restoration")
    restoration.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    pieces.update(pairs(make_batch(6, size=2)), 1.0)
    assert sizes == [1, 1]


def test_kind_learns_from_pairs_alone(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    with pytest.raises(ValueError, match="pairs alone"):
        KinDStep(tiny_kind).update(make_batch(0, size=2), 1.0)


def test_a_restored_step_goes_on_bit_for_bit(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    step, batches = KinDStep(tiny_kind), [pairs(make_batch(number, size=2)) for number in range(8)]
    for batch in batches[:3]:
        step.update(batch, 1.0)
    twin = KinDStep(tiny_kind)
    twin.load_state_dict(copy.deepcopy(step.state_dict()))
    for batch in batches[3:]:
        assert step.update(batch, 0.5) == twin.update(batch, 0.5)
    assert not changed(weights(step), weights(twin))


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_both_generators_are_one_network_told_different_ratios(
    tiny_kind: KinDRecipe, day_and_night: tuple[Path, Path], tmp_path: Path, share: float
) -> None:
    networks = replace(tiny_kind.networks, night_ratio=0.25, day_ratio=3.0)
    recipe = replace(tiny_kind, networks=networks, updates=replace(tiny_kind.updates, ema=share))
    day, night = day_and_night
    order = TrainingOrder("kind", [day], [night], recipe, tmp_path, device="cpu")
    assert run_training(order, lambda _: None, lambda: False)
    stored = {way: load_weights(tmp_path / f"{way}.safetensors") for way in Direction}
    assert {way: each.config for way, each in stored.items()} == {
        Direction.DAY2NIGHT: {"restoration_channels": 2, "ratio": 0.25},
        Direction.NIGHT2DAY: {"restoration_channels": 2, "ratio": 3.0},
    }
    first, second = (each.state for each in stored.values())
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())
    generator = load_generator("kind", tmp_path / "day2night.safetensors")
    assert isinstance(generator, KinD)
    assert generator.ratio == 0.25


def test_samples_show_both_directions(tiny_kind: KinDRecipe, make_batch: MakeBatch) -> None:
    step, batch = KinDStep(tiny_kind), make_batch(0, size=2)
    day, to_night, night, to_day = step.sample(batch)
    assert torch.equal(day, batch.day)
    assert torch.equal(night, batch.night)
    generators = step.generators()
    with torch.no_grad():
        torch.testing.assert_close(to_night, generators[Direction.DAY2NIGHT].translate(day))
        torch.testing.assert_close(to_day, generators[Direction.NIGHT2DAY].translate(night))
    assert step.networks.kind.training


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 3),
    count=st.integers(1, 7),
    side_px=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_patches_are_squares_of_the_images_alike_in_both_lights(
    size: int, count: int, side_px: int, seed: int
) -> None:
    low = torch.arange(size * 9 * 11, dtype=torch.float64).view(size, 1, 9, 11)
    twice = low.repeat(1, 2, 1, 1)
    together = [Pair(low, low + 0.25), Pair(twice + 0.5, -twice)]
    one, other = patches(together, count, side_px, np.random.default_rng(seed))
    assert one.low.shape == (count, 1, side_px, side_px)
    assert torch.equal(one.high, one.low + 0.25)
    assert torch.equal(other.low, one.low.repeat(1, 2, 1, 1) + 0.5)
    assert torch.equal(other.high, -one.low.repeat(1, 2, 1, 1))
    for number, patch in enumerate(one.low):
        image, place = patch.long() // 99, patch.long() % 99
        # images take turns, and neighbours stay neighbours
        assert (image == number % size).all()
        rows, columns = (place // 11).unique(), (place % 11).unique()
        for each in (rows, columns):
            assert len(each) == side_px == int(each.max() - each.min()) + 1
        assert len(place.unique()) == side_px**2


def test_ratios_by_hand() -> None:
    low = torch.full((3, 1, 2, 2), 0.2)
    low[2] = 1e-6
    high = torch.full((3, 1, 2, 2), 0.5)
    high[0, 0, 0] = 1.0
    low[0, 0, 0] = 0.9
    # 0.9 and 0.4 in halves: 0.65 times as bright towards the dark, its inverse back; the third has no bounds
    towards_dark = mean_ratio(Pair(low, high), torch.tensor([True, True, True]))
    assert towards_dark.tolist() == pytest.approx([0.65, 0.4, 0.05], rel=1e-3)
    back = mean_ratio(Pair(low, high), torch.tensor([False, False, False]))
    assert back.tolist() == pytest.approx([1 / 0.65, 2.5, 20.0], rel=1e-3)


def test_the_border_is_to_the_right_and_below() -> None:
    assert bordered(torch.ones(1, 1, 1, 2)).tolist() == [[[[1, 1, 0], [0, 0, 0]]]]
