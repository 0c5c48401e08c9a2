"""SCI's training beside the published loop, whose networks and losses are written out again here."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.generators.interface import Direction
from models.generators.sci import SCI
from models.training.data import Batch, UnpairedBatches
from models.training.errors import RecipeRejected
from models.training.images import find_images
from models.training.papers import PAPERS, parse_recipe
from models.training.recipe import Data
from models.training.sci_networks import SCINetworks
from models.training.sci_recipe import SCIRecipe
from models.training.sci_step import SCIStep

MakeBatch = Callable[..., Batch]

WHOLE = [(33, 40), (48, 37), (40, 40), (36, 52)]


def unit(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]


class EnhanceNetwork(nn.Module):
    """Of the released `model.py`, whose blocks are one module several times."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.ReLU())
        self.conv = nn.Sequential(*unit(channels, channels))
        self.blocks = nn.ModuleList([self.conv])
        self.out_conv = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        feature = self.in_conv(image)
        for block in self.blocks:
            feature = feature + block(feature)
        illumination: Tensor = self.out_conv(feature) + image
        return torch.clamp(illumination, 0.0001, 1)


class CalibrateNetwork(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(*unit(3, channels))
        self.convs = nn.Sequential(*unit(channels, channels), *unit(channels, channels))
        self.blocks = nn.ModuleList([self.convs] * 3)
        self.out_conv = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        feature = self.in_conv(image)
        for block in self.blocks:
            feature = feature + block(feature)
        kept: Tensor = self.out_conv(feature)
        return image - kept


def smooth_loss(image: Tensor, illumination: Tensor) -> Tensor:
    """All 24 neighbours one by one, without the slip of its conversion to YCbCr."""
    matrix = torch.tensor([[0.257, -0.148, 0.439], [0.504, -0.291, -0.368], [0.098, 0.439, -0.071]])
    colours = torch.einsum("bchw,cd->bdhw", image, matrix)
    height, width = image.shape[-2:]
    terms = []
    for down in range(-2, 3):
        for right in range(-2, 3):
            if down == right == 0:
                continue
            rows, columns = (
                range(max(0, -down), height - max(0, down)),
                range(max(0, -right), width - max(0, right)),
            )
            here = (..., slice(rows.start, rows.stop), slice(columns.start, columns.stop))
            there = (
                ...,
                slice(rows.start + down, rows.stop + down),
                slice(columns.start + right, columns.stop + right),
            )
            distance = ((colours[here] - colours[there]) ** 2).sum(dim=1)
            weight = torch.exp(-distance / (2 * 10**2))
            terms.append((weight * (illumination[here] - illumination[there]).abs().sum(dim=1)).mean())
    return torch.stack(terms).sum()


class OriginalSCI:
    """`train.py` of SCI, written out again."""

    def __init__(self, recipe: SCIRecipe) -> None:
        sizes, updates = recipe.networks, recipe.updates
        self.enhance, self.calibrate = (
            EnhanceNetwork(sizes.channels),
            CalibrateNetwork(sizes.calibration_channels),
        )
        self.parameters = [*self.enhance.parameters(), *self.calibrate.parameters()]
        self.clip_norm, self.stages = updates.clip_norm, recipe.losses.stages
        self.optimiser = torch.optim.Adam(
            self.parameters,
            lr=updates.learning_rate,
            betas=(0.9, 0.999),
            weight_decay=updates.weight_decay,
        )

    def take_weights(self, ours: SCINetworks) -> None:
        for network, name in ((self.enhance, "enhance.enhance."), (self.calibrate, "calibrate.")):
            state = {k.removeprefix(name): t for k, t in ours.state_dict().items() if k.startswith(name)}
            missing, surplus = network.load_state_dict(state, strict=False)
            assert not surplus
            # the copies stand in no state of ours
            assert all(key.startswith("blocks.") for key in missing)

    def update(self, batch: Batch) -> dict[str, float]:
        image = (batch.night + 1) / 2
        shown = image
        fidelity, smoothness = torch.zeros(()), torch.zeros(())
        for _ in range(self.stages):
            illumination = self.enhance(shown)
            fidelity = fidelity + nn.functional.mse_loss(illumination, shown)
            smoothness = smoothness + smooth_loss(shown, illumination)
            shown = image + self.calibrate(torch.clamp(image / illumination, 0, 1))
        self.optimiser.zero_grad()
        torch.autograd.backward(1.5 * fidelity + smoothness)
        nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimiser.step()
        return {"fidelity": fidelity.item(), "smoothness": smoothness.item()}


def whole(seed: int, height: int, width: int) -> Batch:
    """A dark image, and a day image that does not matter."""
    dice = torch.Generator().manual_seed(seed)
    night = torch.rand(1, 3, height, width, generator=dice) * 0.6 - 1
    return Batch(torch.rand(1, 3, 32, 32, generator=dice), night)


def changed(recipe: SCIRecipe, **updates: Any) -> SCIRecipe:
    return replace(recipe, updates=replace(recipe.updates, **updates))


def weights(step: SCIStep) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in step.networks.state_dict().values()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("clip_norm", "weight_decay", "learning_rate"), [(5.0, 3e-4, 2e-3), (0.05, 0.1, 1e-3)]
)
@pytest.mark.parametrize("stages", [1, 3])
def test_losses_are_those_of_the_published_loop(
    tiny_sci: SCIRecipe, clip_norm: float, weight_decay: float, learning_rate: float, stages: int
) -> None:
    recipe = changed(tiny_sci, clip_norm=clip_norm, weight_decay=weight_decay, learning_rate=learning_rate)
    recipe = replace(recipe, losses=replace(recipe.losses, stages=stages))
    original, ours = OriginalSCI(recipe), SCIStep(recipe)
    for number in range(5):
        batch = whole(number, *WHOLE[number % 4])
        original.take_weights(ours.networks)
        expected, found = original.update(batch), ours.update(batch, 1.0)
        assert found.keys() == expected.keys()
        for term, loss in found.items():
            assert float(loss) == pytest.approx(expected[term], rel=1e-5), (number, term)
        pairs = zip(original.parameters, ours.networks.parameters(), strict=True)
        difference = torch.cat([(one - other).detach().abs().flatten() for one, other in pairs])
        # but for a few: Adam makes whole steps of what rounding leaves of gradients near 0
        assert float(difference.quantile(0.9)) < 0.01 * learning_rate, number


def gradients(step: SCIStep, batch: Batch) -> list[Tensor]:
    """What the optimiser is given."""
    found: list[Tensor] = []
    hook = step.optimisers["G"].register_step_pre_hook(
        lambda optimiser, *_: found.extend(
            parameter.grad.clone() for parameter in optimiser.param_groups[0]["params"]
        )
    )
    step.update(batch, 1.0)
    hook.remove()
    return found


@pytest.mark.parametrize("clip_norm", [1e-3, 0.05, 1e4])
def test_gradients_are_shortened_as_torch_shortens_them(tiny_sci: SCIRecipe, clip_norm: float) -> None:
    batch = whole(0, 36, 40)
    free = gradients(SCIStep(changed(tiny_sci, clip_norm=0.0)), batch)
    clipped = gradients(SCIStep(changed(tiny_sci, clip_norm=clip_norm)), batch)
    expected = [nn.Parameter(torch.zeros_like(gradient)) for gradient in free]
    for parameter, gradient in zip(expected, free, strict=True):
        parameter.grad = gradient.clone()
    nn.utils.clip_grad_norm_(expected, clip_norm)
    torch.testing.assert_close(clipped, [parameter.grad for parameter in expected])
    norms = [float(torch.stack([each.norm() for each in both]).norm()) for both in (free, clipped)]
    assert norms[0] > 0.05
    assert norms[1] == pytest.approx(min(norms[0], clip_norm), rel=1e-4)


def test_weight_decay_pulls_weights_towards_zero(tiny_sci: SCIRecipe) -> None:
    """So strongly that Adam sees little else: every weight moves by the rate, towards zero."""
    step = SCIStep(changed(tiny_sci, weight_decay=1.0, clip_norm=1e-6, learning_rate=1e-3))
    before = [parameter.detach().clone() for parameter in step.networks.parameters()]
    step.update(whole(0, 36, 40), 1.0)
    for one, other in zip(before, step.networks.parameters(), strict=True):
        large = one.abs() > 2e-3
        torch.testing.assert_close(other[large], one[large] - 1e-3 * one[large].sign(), atol=1e-5, rtol=0)


def test_a_resumed_training_decays_as_its_recipe_says_now(tiny_sci: SCIRecipe) -> None:
    step = SCIStep(tiny_sci)
    step.update(whole(0, 36, 40), 1.0)
    resumed = SCIStep(changed(tiny_sci, weight_decay=0.5, learning_rate=7e-4))
    resumed.load_state_dict(copy.deepcopy(step.state_dict()))
    resumed.update(whole(1, 36, 40), 1.0)
    (group,) = resumed.optimisers["G"].param_groups
    assert (group["weight_decay"], group["lr"]) == (0.5, 7e-4)


def test_only_night_images_are_used(tiny_sci: SCIRecipe, make_batch: MakeBatch) -> None:
    first, second = SCIStep(tiny_sci), SCIStep(tiny_sci)
    for number in range(3):
        night = make_batch(number).night
        losses = [
            step.update(Batch(make_batch(day).day, night), 1.0)
            for step, day in ((first, number), (second, 90 + number))
        ]
        assert equal(list(losses[0].values()), list(losses[1].values()))
    assert equal(weights(first), weights(second))
    assert not equal(weights(first), weights(SCIStep(tiny_sci)))


def test_both_networks_learn_by_one_optimiser(tiny_sci: SCIRecipe) -> None:
    # without decay, which would move weights that the losses do not reach
    step = SCIStep(changed(tiny_sci, weight_decay=0.0))
    before = {name: p.detach().clone() for name, p in step.networks.named_parameters()}
    step.update(whole(0, 36, 40), 1.0)
    assert list(step.optimisers) == ["G"]
    assert [n for n, p in step.networks.named_parameters() if torch.equal(p, before[n])] == []


def test_first_weights_are_drawn_as_published_and_from_the_seed(tiny_sci: SCIRecipe) -> None:
    wide = replace(tiny_sci, networks=replace(tiny_sci.networks, calibration_channels=64))
    state = SCIStep(wide).networks.state_dict()
    convolution, norm = state["calibrate.convs.0.weight"], state["calibrate.convs.1.weight"]
    assert float(convolution.std()) == pytest.approx(0.02, rel=0.05)
    assert (float(norm.mean()), float(norm.std())) == pytest.approx((1.0, 0.02), rel=0.3)
    assert all(not tensor.any() for key, tensor in state.items() if key.endswith("bias"))
    assert equal(weights(SCIStep(wide)), weights(SCIStep(wide)))
    assert not equal(weights(SCIStep(replace(wide, seed=1))), weights(SCIStep(wide)))


def test_whole_images_of_different_sizes_come_one_by_one(
    tiny_sci: SCIRecipe, day_and_night: tuple[Path, Path]
) -> None:
    assert tiny_sci.data.crop_px == 0
    day, night = (find_images([folder], "day", tiny_sci.data.smallest_px).paths for folder in day_and_night)
    batches, step = UnpairedBatches(day, night, tiny_sci), SCIStep(tiny_sci)
    sizes = set()
    for number in range(4):
        batch = batches.at(number)
        assert len(batch) == 1
        sizes.add(tuple(batch.night.shape[-2:]))
        assert all(loss.isfinite() for loss in step.update(batch, 1.0).values())
    assert sizes == {(40, 48), (48, 40)}


def test_whole_images_do_not_fit_into_one_batch(tiny_sci: SCIRecipe) -> None:
    with pytest.raises(RecipeRejected, match=r"'data.batch_size' .* is 2\. It must lie between 1 and 1\."):
        Data(crop_px=0, batch_size=2)
    assert parse_recipe("[data]\ncrop_px = 32\nbatch_size = 2", "sci").data.batch_size == 2


@pytest.mark.parametrize("paper", PAPERS)
def test_whole_images_are_for_generators_that_take_any_size(paper: str) -> None:
    text = '[data]\ncrop_px = 0\nresize = "none"\nbatch_size = 1'
    stride_px = PAPERS[paper].recipe.stride_px
    if stride_px == 1:
        assert parse_recipe(text, paper).data.crop_px == 0
        return
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe(text, paper)
    assert f"It must be a multiple of {stride_px}, and not 0." in str(caught.value)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_exported_is_the_block_alone(tiny_sci: SCIRecipe, ema: float) -> None:
    step = SCIStep(changed(tiny_sci, ema=ema))
    for number in range(2):
        step.update(whole(number, 36, 40), 1.0)
    ((direction, generator),) = step.generators().items()
    assert direction is Direction.NIGHT2DAY
    assert isinstance(generator, SCI)
    assert generator.state_dict().keys() == SCI().state_dict().keys()
    assert (generator is step.networks["enhance"]) is (ema == 0)
    # also in an average running statistics are those of the network
    for ours, trained in zip(generator.buffers(), step.networks["enhance"].buffers(), strict=True):
        assert torch.equal(ours, trained)


def test_a_sample_shows_the_night_and_what_the_block_makes_of_it(
    tiny_sci: SCIRecipe, make_batch: MakeBatch
) -> None:
    step, batch = SCIStep(tiny_sci), make_batch(0, size=2)
    step.update(make_batch(1), 1.0)
    before = weights(step)
    night, enhanced = step.sample(batch)
    assert torch.equal(night, batch.night)
    assert (enhanced >= night - 1e-5).all()
    assert equal(before, weights(step))


def test_pairs_teach_the_block_alone(tiny_sci: SCIRecipe, make_batch: MakeBatch) -> None:
    step = SCIStep(changed(tiny_sci, learning_rate=1e-2))
    teacher = [tensor.clone() for tensor in step.networks["calibrate"].state_dict().values()]
    night = make_batch(0).night * 0.3 - 0.7
    pair = Batch((night + 0.4).clamp(-1, 1), night, is_paired=True)
    losses = [step.update(pair, 1.0) for _ in range(20)]
    assert losses[0].keys() == {"warm_night2day"}
    assert losses[-1]["warm_night2day"] < losses[0]["warm_night2day"]
    assert equal(teacher, list(step.networks["calibrate"].state_dict().values()))


def test_pieces_are_updated_together(tiny_sci: SCIRecipe, make_batch: MakeBatch) -> None:
    """Two pieces that are alike are as good as one of them: batch norms cannot tell."""
    recipe = changed(replace(tiny_sci, data=Data(crop_px=32, resize="none", batch_size=2)), accumulate=2)
    pieces, single = SCIStep(recipe), SCIStep(tiny_sci)
    for number in range(3):
        one = make_batch(number)
        twice = Batch(one.day.repeat(2, 1, 1, 1), one.night.repeat(2, 1, 1, 1))
        found, expected = pieces.update(twice, 1.0), single.update(one, 1.0)
        for term, loss in found.items():
            assert float(loss) == pytest.approx(float(expected[term]), rel=1e-5)
