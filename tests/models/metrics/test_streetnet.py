"""The bundled network, and its training in small."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

from models.metrics.backbones import load_backbone
from models.metrics.corruptions import CORRUPTIONS, Corruption
from models.metrics.frame import Image
from models.metrics.kid import kernel_distance
from models.metrics.meter import FrameMeter
from models.metrics.streetnet import WEIGHTS, StreetNet, load_streetnet, save_streetnet
from models.metrics.train_streetnet import Plan, main, train

CARD = WEIGHTS.with_suffix(".json")


def test_the_bundled_network_is_small() -> None:
    assert WEIGHTS.stat().st_size < 2_500_000
    assert sum(parameter.numel() for parameter in StreetNet().parameters()) < 1_200_000


def test_the_card_is_of_the_bundled_weights() -> None:
    card = json.loads(CARD.read_text())
    assert card["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == load_streetnet().sha256
    assert card["parameters"] == sum(parameter.numel() for parameter in StreetNet().parameters())


def test_images_of_a_batch_do_not_see_each_other() -> None:
    backbone = load_backbone()
    images = torch.rand(3, 3, 64, 96)
    with torch.inference_mode():
        together = backbone.embed(images)
        alone = torch.cat([backbone.embed(image[None]) for image in images])
    assert together.shape == (3, 128)
    assert torch.allclose(together, alone, atol=1e-3)


def test_features_of_the_strangest_images_stay_within_their_limit() -> None:
    images = torch.stack([torch.rand(3, 64, 64).round(), torch.zeros(3, 64, 64), torch.ones(3, 64, 64)])
    with torch.inference_mode():
        features = load_backbone().embed(images)
    assert features.abs().max() <= 4


def test_weights_survive_their_file_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = StreetNet().eval()
    sha256 = save_streetnet(network, tmp_path / "weights")
    stored = load_streetnet(tmp_path / "weights")
    assert stored.sha256 == sha256
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        (before, verdict), (after, share) = network(images), stored.judge(images)
    assert torch.allclose(4 * torch.tanh(before / 4), after, atol=1e-2)
    assert torch.allclose(verdict.sigmoid(), share, atol=1e-2)


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    dice = np.random.default_rng(0)
    return [dice.integers(0, 256, (230, 330, 3)).astype(np.uint8) for _ in range(3)]


def test_the_same_frames_and_seed_train_the_same_network(frames: list[Image], tmp_path: Path) -> None:
    dark = [frame // 3 for frame in frames]
    plan = Plan(steps=2, crops=4)
    first, second = (save_streetnet(train(frames, dark, plan), tmp_path / "weights") for _ in range(2))
    assert first == second


def test_features_of_the_training_frames_are_of_one_scale(frames: list[Image]) -> None:
    network = train(frames, [frame // 3 for frame in frames], Plan(steps=1, crops=2))
    images = [torch.from_numpy(frame).permute(2, 0, 1)[None] / 255 for frame in frames]
    with torch.inference_mode():
        features = torch.cat([network(image / dark)[0] for image in images for dark in (1, 3)])
    # the dark ones were whole levels
    assert torch.allclose(features.mean(dim=0), torch.zeros(128), atol=0.1)
    assert torch.allclose(features.std(dim=0), torch.ones(128), atol=0.1)


def test_the_command_trains_on_folders_and_leaves_out_what_it_is_told(
    frames: list[Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side in ("day", "night"):
        (tmp_path / side / "below").mkdir(parents=True)
        for number, frame in enumerate(frames):
            Pillow.fromarray(frame).save(tmp_path / side / "below" / f"{side}{number}.png")
    (tmp_path / "dusk.txt").write_text("night0.png\nnight2.png\n")
    folders = ["--day", str(tmp_path / "day"), "--night", str(tmp_path / "night")]
    out = tmp_path / "out.safetensors"
    main([*folders, "--without", str(tmp_path / "dusk.txt"), "--steps", "1", "--out", str(out)])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"day": 3, "night": 1, "sha256": load_streetnet(out).sha256}


@pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=list(CORRUPTIONS))
def test_corruptions_keep_the_shape_and_grow_with_their_strength(
    corruption: Corruption, picture: Image
) -> None:
    odd = picture[:199, :299]
    changes = []
    for strength in (0.2, 0.9):
        result = corruption(odd, strength, np.random.default_rng(3))
        assert (result.shape, result.dtype) == (odd.shape, np.uint8)
        changes.append(np.abs(result.astype(np.int16) - odd).mean())
    assert 0 < changes[0] < changes[1]


Features = NDArray[np.float32]
RealFrames = Callable[[str, int], list[Image]]


@pytest.mark.parametrize(
    ("folder", "least", "most"),
    [
        ("street/images/day_val", 0.0, 0.1),
        ("street/images/night_test", 0.85, 1.0),
        ("motorway/images/day_val", 0.0, 0.1),
    ],
)
def test_held_out_frames_are_judged_as_the_card_says(
    real_frames: RealFrames, folder: str, least: float, most: float
) -> None:
    meter = FrameMeter()
    nights = [meter.measure(frame).night >= 0.5 for frame in real_frames(folder, 12)]
    assert least <= np.mean(nights) <= most


def features(frames: list[Image]) -> Features:
    backbone = load_backbone()
    with torch.inference_mode():
        images = [torch.tensor(frame).permute(2, 0, 1)[None].float() / 255 for frame in frames]
        return torch.cat([backbone.embed(image) for image in images]).numpy()


@pytest.fixture(scope="module")
def nights(real_frames: RealFrames) -> Features:
    return features(real_frames("street/images/night_train", 12))


@pytest.fixture(scope="module")
def held_out(real_frames: RealFrames) -> list[Image]:
    return real_frames("street/images/night_test", 12)


def test_days_are_farther_from_real_nights_than_held_out_nights_are(
    real_frames: RealFrames, nights: Features, held_out: list[Image]
) -> None:
    days = features(real_frames("street/images/day_train", 12))
    assert kernel_distance(days, nights).value > 3 * kernel_distance(features(held_out), nights).value


@pytest.mark.parametrize("kind", ["blur", "noise", "checkerboard", "colour cast"])
def test_distance_grows_with_what_was_done_to_the_frames(
    nights: Features, held_out: list[Image], kind: str
) -> None:
    mild, strong = (
        [CORRUPTIONS[kind](frame, strength, np.random.default_rng(0)) for frame in held_out]
        for strength in (0.3, 1.0)
    )
    assert kernel_distance(features(mild), nights).value < kernel_distance(features(strong), nights).value
