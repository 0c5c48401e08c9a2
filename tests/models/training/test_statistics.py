from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from models.generators.interface import Direction
from models.training.data import Batch, UnpairedBatches
from models.training.enlightengan_recipe import EnlightenGANRecipe
from models.training.images import find_images
from models.training.session import TrainingOrder, run_training
from models.training.statistics import settle_statistics
from models.weights import build_network, load_weights


def test_settled_on_a_batch_a_network_does_in_use_what_it_does_in_training(
    make_batch: Callable[..., Batch],
) -> None:
    torch.manual_seed(0)
    network, images = EnlightenGAN(2), make_batch(0, size=4, px=96).night
    with torch.no_grad():
        in_training = network.translate(images)
        before = network.eval().translate(images)
        settle_statistics(network, [images])
        after = network.eval().translate(images)
    # in use, variances are taken over one value less: at the lowest level over 143 instead of 144
    torch.testing.assert_close(after, in_training, atol=2e-2, rtol=0)
    assert float((before - in_training).abs().mean()) > 5 * float((after - in_training).abs().mean())


def test_all_batches_count_alike(make_batch: Callable[..., Batch]) -> None:
    torch.manual_seed(0)
    network = EnlightenGAN(2)
    dark, bright = make_batch(0, size=2).night - 1, make_batch(1, size=2).night + 1
    first = network.get_submodule("bn1_1")
    assert isinstance(first, nn.BatchNorm2d)
    means = []
    for batches in ([dark], [bright], [dark, bright]):
        settle_statistics(network, batches)
        assert first.running_mean is not None
        means.append(first.running_mean.clone())
    torch.testing.assert_close(means[2], (means[0] + means[1]) / 2)


def test_networks_without_batch_norms_are_not_even_shown_the_images() -> None:
    def never() -> torch.Tensor:
        raise AssertionError

    settle_statistics(CycleGAN(4, 2), (never() for _ in range(1)))


def test_sources_are_the_unpaired_images_of_one_side(
    tiny_enlightengan: EnlightenGANRecipe, day_and_night: tuple[Path, Path]
) -> None:
    day, night = (find_images([folder], "day", 32).paths for folder in day_and_night)
    batches = UnpairedBatches(day, night, tiny_enlightengan)
    paired = UnpairedBatches(day, night, replace(tiny_enlightengan, warm_start="camera", warm_every=1))
    for step in (0, 3):
        expected = {Direction.DAY2NIGHT: batches.at(step).day, Direction.NIGHT2DAY: batches.at(step).night}
        for direction, images in expected.items():
            assert torch.equal(paired.sources(direction, step), images)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_averaged_generators_are_exported_with_statistics_of_their_own(
    tiny_enlightengan: EnlightenGANRecipe, day_and_night: tuple[Path, Path], tmp_path: Path, ema: float
) -> None:
    recipe = replace(tiny_enlightengan, updates=replace(tiny_enlightengan.updates, ema=ema))
    day, night = day_and_night
    order = TrainingOrder("enlightengan", [day], [night], recipe, tmp_path, device="cpu")
    assert run_training(order, lambda _: None, lambda: False)
    network = build_network(load_weights(tmp_path / "night2day.safetensors"))
    counted = network.get_buffer("bn1_1.num_batches_tracked")
    # of the 8 updates, or of the batches it was settled by
    assert int(counted) == (8 if ema == 0 else 32)
