"""EnlightenGAN's training beside the published loop, whose losses and order are written out again here."""

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models import device as devices
from models.generators.enlightengan import EnlightenGAN
from models.generators.interface import Direction, Scene
from models.registry import load_generator
from models.training.checkpoint import read_checkpoint
from models.training.data import Batch
from models.training.enlightengan_networks import EnlightenGANNetworks
from models.training.enlightengan_recipe import EnlightenGANRecipe
from models.training.enlightengan_step import Chance, EnlightenGANStep
from models.training.features import Features
from models.training.papers import check_backbone
from models.training.processes import Team
from models.training.recipe import Data, Perceptual
from models.training.session import CHECKPOINT, TrainingOrder, run_training
from models.weights import load_weights

MakeBatch = Callable[..., Batch]


def made(recipe: EnlightenGANRecipe, team: Team | None = None) -> EnlightenGANStep:
    return EnlightenGANStep(recipe, None, team or Team(), check_backbone(recipe, None))


def larger(recipe: EnlightenGANRecipe, **losses: Any) -> EnlightenGANRecipe:
    """Crops of 48 px, so that patches may lie at several places."""
    data = replace(recipe.data, crop_px=48, resize_px=48)
    return replace(recipe, data=data, losses=replace(recipe.losses, **losses))


def with_updates(recipe: EnlightenGANRecipe, **updates: Any) -> EnlightenGANRecipe:
    return replace(recipe, updates=replace(recipe.updates, **updates))


def weights(step: EnlightenGANStep, *names: str) -> list[Tensor]:
    return [p.detach().clone() for name in names for p in step.networks[name].parameters()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


class OriginalEnlightenGAN:
    """`SingleModel.optimize_parameters` of EnlightenGAN with the options of its script, written out again.

    It cuts its patches one after the other, and draws places and darkening itself; here both are given.
    """

    def __init__(self, recipe: EnlightenGANRecipe, features: Features) -> None:
        self.networks = EnlightenGANNetworks(recipe.networks, recipe.attention, recipe.seed)
        self.patch_px, self.vgg = recipe.losses.patch_px, features
        self.criterion, self.instance_norm = nn.MSELoss(), nn.functional.instance_norm
        self.optimisers = {
            name: torch.optim.Adam(self.networks[name].parameters(), lr=1e-4, betas=(0.5, 0.999))
            for name in ("G_A", "D_A", "D_P")
        }

    def update(self, source: Tensor, target: Tensor, chance: Chance) -> dict[str, float]:
        divisors = torch.tensor(chance.divisors).view(-1, 1, 1, 1)
        darkened = (source + 1) / 2 / divisors * 2 - 1
        fake = self.networks.translate(darkened)
        patches = [
            [
                images[:, :, top : top + self.patch_px, left : left + self.patch_px]
                for top, left in chance.corners
            ]
            for images in (fake, target, source)
        ]

        self.optimisers["G_A"].zero_grad()
        global_g = self.relativistic(fake, target, for_fake=1.0)
        local_g = self.mean([self.gan("D_P", patch, 1.0) for patch in patches[0]])
        kept = self.preserved(fake, source)
        kept_patches = self.mean([self.preserved(*pair) for pair in zip(patches[0], patches[2], strict=True)])
        torch.autograd.backward(global_g + local_g + kept + kept_patches)
        self.optimisers["G_A"].step()

        for name in ("D_A", "D_P"):
            self.optimisers[name].zero_grad()
        global_d = self.relativistic(fake.detach(), target, for_fake=0.0)
        local_d = self.mean(
            [
                0.5 * (self.gan("D_P", real, 1.0) + self.gan("D_P", made_up.detach(), 0.0))
                for made_up, real in zip(patches[0], patches[1], strict=True)
            ]
        )
        torch.autograd.backward(global_d + local_d)
        for name in ("D_A", "D_P"):
            self.optimisers[name].step()
        terms = {
            "G": global_g, "G_patches": local_g, "features": kept, "features_patches": kept_patches,
            "D_A": global_d, "D_P": local_d,
        }  # fmt: skip
        return {term: loss.item() for term, loss in terms.items()}

    def relativistic(self, fake: Tensor, real: Tensor, for_fake: float) -> Tensor:
        of_fake, of_real = self.networks.judge("D_A", fake), self.networks.judge("D_A", real)
        one = self.towards(of_real - of_fake.mean(), 1 - for_fake)
        return (one + self.towards(of_fake - of_real.mean(), for_fake)) / 2

    def gan(self, name: str, images: Tensor, wanted: float) -> Tensor:
        return self.towards(self.networks.judge(name, images), wanted)

    def towards(self, verdicts: Tensor, wanted: float) -> Tensor:
        loss: Tensor = self.criterion(verdicts, torch.full_like(verdicts, wanted))
        return loss

    def preserved(self, fake: Tensor, source: Tensor) -> Tensor:
        of_fake, of_source = (self.vgg((images + 1) / 2)[0] for images in (fake, source))
        loss: Tensor = self.criterion(self.instance_norm(of_fake), self.instance_norm(of_source))
        return loss

    @staticmethod
    def mean(losses: list[Tensor]) -> Tensor:
        return torch.stack(losses).mean()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("darkened_share", [0.0, 0.5, 1.0])
def test_losses_are_those_of_the_original_loop(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch, direction: Direction, darkened_share: float
) -> None:
    recipe = larger(tiny_enlightengan, darkened_share=darkened_share, patches=3)
    one_layer = Perceptual("streetnet", ("layers.1",))
    recipe = replace(recipe, direction=direction.value, perceptual=one_layer)
    recipe = with_updates(recipe, learning_rate=1e-4)
    features = check_backbone(recipe, None)
    assert features is not None
    original, ours = OriginalEnlightenGAN(recipe, features), made(recipe)
    for number in range(4):
        batch = make_batch(number, size=2, px=48)
        expected = original.update(*batch.towards(direction), ours._drawn(2))
        found = ours.update(batch, 1.0)
        assert found.keys() == expected.keys()
        for term, loss in found.items():
            assert float(loss) == pytest.approx(expected[term], abs=1e-4), (number, term)


def test_first_weights_are_drawn_as_published_and_from_the_seed(
    tiny_enlightengan: EnlightenGANRecipe,
) -> None:
    sizes = replace(tiny_enlightengan.networks, generator_channels=16, discriminator_channels=16)
    wide = replace(tiny_enlightengan, networks=sizes)
    state = made(wide).networks.state_dict()
    for key in ("G_A.conv3_1.weight", "D_A.model.4.weight", "D_P.model.4.weight"):
        assert float(state[key].std()) == pytest.approx(0.02, rel=0.05), key
    norm = state["G_A.bn5_1.weight"]
    assert (float(norm.mean()), float(norm.std())) == pytest.approx((1.0, 0.02), rel=0.15)
    assert all(not tensor.any() for key, tensor in state.items() if key.endswith("bias"))
    names = ("G_A", "D_A", "D_P")
    assert equal(weights(made(wide), *names), weights(made(wide), *names))
    assert not equal(weights(made(replace(wide, seed=1)), "G_A"), weights(made(wide), "G_A"))


def test_networks_have_the_published_keys(tiny_enlightengan: EnlightenGANRecipe) -> None:
    networks = made(tiny_enlightengan).networks
    assert list(networks) == ["G_A", "D_A", "D_P"]
    places = {
        name: sorted({int(key.split(".")[1]) for key in networks[name].state_dict()})
        for name in ("D_A", "D_P")
    }
    assert places == {"D_A": [0, 2, 4, 6, 8, 10, 12], "D_P": [0, 2, 4, 6, 8, 10]}


def test_the_generator_is_updated_first_and_then_both_discriminators(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch
) -> None:
    step, happened = made(tiny_enlightengan), []

    def has_gradients(name: str) -> set[bool]:
        return {parameter.grad is not None for parameter in step.networks[name].parameters()}

    def before_generator(*_: object) -> None:
        happened.append("G")
        assert [has_gradients(name) for name in ("G_A", "D_A", "D_P")] == [{True}, {False}, {False}]

    def before_discriminators(*_: object) -> None:
        happened.append("D")
        assert [has_gradients(name) for name in ("G_A", "D_A", "D_P")] == [{False}, {True}, {True}]

    step.optimisers["G"].register_step_pre_hook(before_generator)
    step.optimisers["D"].register_step_pre_hook(before_discriminators)
    step.update(make_batch(0, size=2), 1.0)
    assert happened == ["G", "D"]
    assert all(parameter.requires_grad for parameter in step.networks.parameters())


@pytest.mark.parametrize(("direction", "attention"), [("night2day", "dark"), ("day2night", "bright")])
def test_only_the_chosen_direction_is_trained(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch, direction: str, attention: str
) -> None:
    recipe = replace(larger(tiny_enlightengan, darkened_share=0.0), direction=direction)  # type: ignore[arg-type]
    step, batch = made(recipe), make_batch(3, size=2, px=48)
    seen: dict[str, list[Tensor]] = {"D_A": [], "D_P": []}
    for name, inputs in seen.items():
        step.networks[name].register_forward_pre_hook(
            lambda _, given, inputs=inputs: inputs.append(given[0].detach())
        )
    source, target = batch.towards(Direction(direction))
    chance = step._drawn(2)
    with torch.no_grad():
        # in training batch norms go by the batch alone
        fake = step.networks.translate(source)
    step.update(batch, 1.0)
    torch.testing.assert_close(seen["D_A"], [target, fake, torch.cat([target, fake])])
    of_fake, of_target = (
        torch.cat([each[:, :, top : top + 32, left : left + 32] for top, left in chance.corners])
        for each in (fake, target)
    )
    torch.testing.assert_close(seen["D_P"], [of_fake, torch.cat([of_target, of_fake])])
    ((trained, generator),) = step.generators().items()
    assert trained == direction
    assert isinstance(generator, EnlightenGAN)
    assert generator.attention == attention
    columns = step.sample(batch)
    assert [column.shape for column in columns] == [batch.day.shape] * 3
    assert torch.equal(columns[0], source)
    assert torch.equal(columns[2], target)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    updates=st.integers(0, 10**6),
    sizes=st.sampled_from([(32, 32), (48, 32), (320, 32), (96, 80)]),
    share=st.floats(0, 1),
)
def test_patches_lie_inside_and_images_are_darkened_2_to_4_times(
    seed: int, updates: int, sizes: tuple[int, int], share: float
) -> None:
    crop_px, patch_px = sizes
    recipe = EnlightenGANRecipe(seed=seed, data=Data(crop_px=crop_px, resize="none"))
    recipe = replace(recipe, losses=replace(recipe.losses, patch_px=patch_px, darkened_share=share))
    chance = drawn(recipe, updates, images=5)
    assert len(chance.corners) == 6
    assert all(0 <= place <= crop_px - patch_px for corner in chance.corners for place in corner)
    assert len(chance.divisors) == 5
    assert all(divisor == 1 or 2 <= divisor <= 4 for divisor in chance.divisors)
    if share in (0.0, 1.0):
        assert all((divisor > 1) == (share == 1) for divisor in chance.divisors)
    assert drawn(recipe, updates, images=5) == chance


def drawn(recipe: EnlightenGANRecipe, updates: int, images: int, team: Team | None = None) -> Chance:
    """What a step draws, without the networks of one."""
    step = EnlightenGANStep.__new__(EnlightenGANStep)
    nothing: dict[str, Any] = {"recipe": recipe, "_updates": updates, "_team": team or Team()}
    for name, value in nothing.items():
        setattr(step, name, value)
    return step._drawn(images)


def test_patches_come_from_everywhere_and_half_of_the_images_are_darkened(
    tiny_enlightengan: EnlightenGANRecipe,
) -> None:
    chances = [drawn(larger(tiny_enlightengan), number, images=4) for number in range(200)]
    for axis in (0, 1):
        assert {corner[axis] for chance in chances for corner in chance.corners} == set(range(17))
    divisors = [divisor for chance in chances for divisor in chance.divisors]
    kinds = Counter(divisor > 1 for divisor in divisors)
    assert 330 < kinds[True] < 470
    assert np.mean([divisor for divisor in divisors if divisor > 1]) == pytest.approx(3, abs=0.1)


def test_processes_cut_the_same_patches_and_darken_by_themselves(
    tiny_enlightengan: EnlightenGANRecipe,
) -> None:
    recipe = larger(tiny_enlightengan, darkened_share=1.0)
    chances = [drawn(recipe, 3, images=4, team=Team(rank, 3)) for rank in range(3)]
    assert {tuple(chance.corners) for chance in chances} == {tuple(chances[0].corners)}
    assert len({tuple(chance.divisors) for chance in chances}) == 3


def test_patches_of_all_images_are_of_the_same_places(tiny_enlightengan: EnlightenGANRecipe) -> None:
    step = made(larger(tiny_enlightengan))
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    images = torch.stack([torch.stack([rows, columns, torch.full_like(rows, number)]) for number in range(3)])
    corners = [(0, 16), (5, 3)]
    patches = step._patches(images, corners).view(2, 3, 3, 32, 32)
    for patch, (top, left) in zip(patches, corners, strict=True):
        assert torch.equal(patch[0, :2], patch[2, :2])
        assert patch[:, 0].unique().tolist() == list(range(top, top + 32))
        assert patch[:, 1].unique().tolist() == list(range(left, left + 32))
        assert [float(each[2].mean()) for each in patch] == [0, 1, 2]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_darkening_changes_what_the_generator_is_shown_and_nothing_else(
    tiny_enlightengan: EnlightenGANRecipe,
    make_batch: MakeBatch,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
) -> None:
    step, batch = made(larger(tiny_enlightengan, darkened_share=share)), make_batch(0, size=2, px=48)
    shown: list[Tensor] = []
    translate = step.networks.translate

    def watched(images: Tensor) -> Tensor:
        shown.append(images)
        return translate(images)

    monkeypatch.setattr(step.networks, "translate", watched)
    compared: list[Tensor] = []
    assert step._self_feature is not None
    step._self_feature.register_forward_pre_hook(lambda _, pair: compared.append(pair[1]))
    chance = step._drawn(2)
    step.update(batch, 1.0)
    bright, (dark,) = (batch.night + 1) / 2, shown
    divisors = torch.tensor(chance.divisors).view(2, 1, 1, 1)
    assert bool((divisors > 1).all()) is bool(share)
    torch.testing.assert_close((dark + 1) / 2, bright / divisors)
    # the whole image, then its patches, as they were
    torch.testing.assert_close(compared[0], bright)
    torch.testing.assert_close(compared[1], step._patches(bright, chance.corners))


def test_pieces_that_are_alike_are_as_good_as_the_batch(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch
) -> None:
    """Otherwise they are not: batch norms and averages over verdicts go by the piece."""
    recipe = larger(tiny_enlightengan, darkened_share=0.0)
    recipe = replace(recipe, data=replace(recipe.data, batch_size=4))
    whole, pieces = made(recipe), made(with_updates(recipe, accumulate=2))
    for number in range(3):
        half = make_batch(number, size=2, px=48)
        batch = Batch(half.day.repeat(2, 1, 1, 1), half.night.repeat(2, 1, 1, 1))
        expected, found = whole.update(batch, 1.0), pieces.update(batch, 1.0)
        assert found.keys() == expected.keys()
        for term, loss in found.items():
            assert float(loss) == pytest.approx(float(expected[term]), abs=1e-3), (number, term)


def test_each_piece_is_darkened_by_its_own_divisors(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_updates(larger(tiny_enlightengan, darkened_share=1.0), accumulate=2)
    step, shown = made(recipe), []
    translate = step.networks.translate

    def watched(images: Tensor) -> Tensor:
        shown.append(images)
        return translate(images)

    monkeypatch.setattr(step.networks, "translate", watched)
    chance, batch = step._drawn(2), make_batch(0, size=2, px=48)
    step.update(batch, 1.0)
    divisors = torch.tensor(chance.divisors).view(2, 1, 1, 1)
    torch.testing.assert_close(torch.cat(shown), (batch.night + 1) / divisors - 1)


def test_running_statistics_are_followed_at_once_and_weights_slowly(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch
) -> None:
    step = made(tiny_enlightengan)
    for number in range(2):
        step.update(make_batch(number, size=2), 1.0)
    assert step.averages is not None
    averaged, trained = step.averages["G_A"], step.networks["G_A"]
    buffers = dict(averaged.named_buffers())
    assert {key.split(".")[1] for key in buffers} == {"running_mean", "running_var", "num_batches_tracked"}
    for key, buffer in trained.named_buffers():
        assert torch.equal(buffers[key], buffer), key
    assert buffers["bn1_1.num_batches_tracked"] == 2
    assert buffers["bn1_1.running_mean"].any()
    assert not equal(list(averaged.parameters()), list(trained.parameters()))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_sample_moves_no_running_statistics_and_shows_what_would_be_exported(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch, ema: float
) -> None:
    step = made(with_updates(tiny_enlightengan, ema=ema))
    step.update(make_batch(0, size=2), 1.0)
    before = copy.deepcopy(step.state_dict())
    batch = make_batch(1, size=2)
    shown = step.sample(batch)[1]
    after = step.state_dict()
    for part in ("networks", "averages"):
        assert before[part].keys() == after[part].keys()
        assert all(torch.equal(after[part][key], tensor) for key, tensor in before[part].items())
    generator = copy.deepcopy(step.generators()[Direction.NIGHT2DAY]).eval()
    with torch.no_grad():
        torch.testing.assert_close(shown, generator.translate(batch.night))
    assert all(network.training for network in step.networks.values())


@pytest.mark.parametrize(
    ("direction", "is_half"), [("night2day", False), ("day2night", False), ("day2night", True)]
)
def test_an_exported_generator_computes_what_the_trained_one_did(
    tiny_enlightengan: EnlightenGANRecipe,
    day_and_night: tuple[Path, Path],
    tmp_path: Path,
    direction: str,
    is_half: bool,
) -> None:
    sizes = replace(tiny_enlightengan.networks, generator_working_px=32, generator_padding="reflect")
    recipe = replace(tiny_enlightengan.of_steps(2), direction=direction, networks=sizes)  # type: ignore[arg-type]
    recipe = replace(recipe, length=replace(recipe.length, save_every=2))
    day, night = day_and_night
    order = TrainingOrder("enlightengan", [day], [night], recipe, tmp_path, device="cpu", is_half=is_half)
    assert run_training(order, lambda _: None, lambda: False)

    stored = load_weights(tmp_path / f"{direction}.safetensors")
    assert stored.config == {
        "channels": 2,
        "align_corners": True,
        "attention": "dark" if direction == "night2day" else "bright",
        "working_px": 32,
        "padding": "reflect",
    }
    # more than 65504 updates would be infinitely many as a half
    assert stored.state["bn1_1.num_batches_tracked"].dtype == torch.int64
    assert stored.state["conv1_1.weight"].dtype == (torch.float16 if is_half else torch.float32)
    step = made(recipe)
    step.load_state_dict(read_checkpoint(tmp_path / CHECKPOINT).state)
    trained = step.generators()[Direction(direction)].eval()
    exported = load_generator("enlightengan", tmp_path / f"{direction}.safetensors")
    images = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = trained(images, [Scene(0)]), exported(images, [Scene(0)])
    torch.testing.assert_close(first, second, atol=1e-2 if is_half else 1e-6, rtol=0)


def test_pairs_teach_the_generator_alone(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch
) -> None:
    step = made(with_updates(replace(tiny_enlightengan, direction="day2night"), learning_rate=2e-3))
    others = weights(step, "D_A", "D_P")
    day = make_batch(1, size=2).day
    pair = Batch(day, 0.5 * day - 0.5, is_paired=True)
    losses = [step.update(pair, 1.0) for _ in range(30)]
    assert losses[0].keys() == {"warm_day2night"}
    assert losses[-1]["warm_day2night"] < 0.9 * losses[0]["warm_day2night"]
    assert equal(others, weights(step, "D_A", "D_P"))


def test_without_weight_the_self_feature_loss_needs_no_backbone(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch
) -> None:
    recipe = replace(tiny_enlightengan, losses=replace(tiny_enlightengan.losses, self_feature=0.0))
    assert check_backbone(recipe, None) is None
    losses = EnlightenGANStep(recipe).update(make_batch(0, size=2), 1.0)
    assert losses.keys() == {"G", "G_patches", "D_A", "D_P"}


def test_a_restored_step_goes_on_bit_for_bit(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch
) -> None:
    recipe = larger(tiny_enlightengan)
    step, twin = made(recipe), made(recipe)
    for number in range(3):
        step.update(make_batch(number, size=2, px=48), 1.0)
    twin.load_state_dict(copy.deepcopy(step.state_dict()))
    for number in range(3, 5):
        batch = make_batch(number, size=2, px=48)
        first, second = step.update(batch, 0.5), twin.update(batch, 0.5)
        assert equal(list(first.values()), list(second.values()))
    assert equal(weights(step, "G_A", "D_A", "D_P"), weights(twin, "G_A", "D_A", "D_P"))


def test_mixed_precision_stays_near(
    tiny_enlightengan: EnlightenGANRecipe, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_cpu_has_bfloat16_units", lambda: True)
    mixed, exact = made(with_updates(tiny_enlightengan, mixed_precision=True)), made(tiny_enlightengan)
    assert (mixed.precision, exact.precision) == ("bfloat16", "float32")
    batch = make_batch(0, size=2)
    found, expected = mixed.update(batch, 1.0), exact.update(batch, 1.0)
    for term, loss in found.items():
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(float(expected[term]), rel=0.05, abs=0.01), term
