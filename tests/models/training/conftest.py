"""Tiny trainings: 32-pixel crops, 4 channels, 2 blocks, drawn day and night images."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.training.cut_recipe import CUTRecipe
from models.training.cyclegan_recipe import CycleGANRecipe
from models.training.data import Batch
from models.training.enlightengan_recipe import EnlightenGANRecipe
from models.training.kind_recipe import KinDRecipe
from models.training.recipe import Recipe
from models.training.sci_recipe import SCIRecipe
from models.training.session import TrainingOrder, run_training
from models.training.strict_toml import read_toml
from models.training.zero_dce_step import ZeroDCERecipe

COMMON = """
[networks]
generator_channels = 4
generator_blocks = 2
discriminator_channels = 4
{networks}
[data]
crop_px = 32
resize = "shorter_side"
resize_px = 36
zoom = 1.2
[updates]
mixed_precision = false
ema = 0.9
{updates}
[length]
steps = 8
log_every = 2
sample_every = 4
save_every = 4
"""
TINY_ENLIGHTENGAN = """
[networks]
generator_channels = 2
discriminator_channels = 4
[losses]
patches = 2
[perceptual]
backbone = "streetnet"
layers = ["layers.0", "layers.1"]
without = []
[data]
crop_px = 32
resize = "shorter_side"
resize_px = 40
batch_size = 2
[updates]
mixed_precision = false
ema = 0.9
[length]
steps = 8
log_every = 2
sample_every = 4
save_every = 4
"""
TINY_KIND = """
[networks]
restoration_channels = 2
[stages]
decomposition = 0.5
adjustment = 0.25
restoration = 0.25
patches = 3
patch_px = 16
[data]
crop_px = 32
resize = "shorter_side"
resize_px = 36
batch_size = 2
[losses]
similarity = 1.0
smoothness = 0.01
[updates]
mixed_precision = false
ema = 0.9
[length]
steps = 8
log_every = 2
sample_every = 4
save_every = 4
"""
TINY_SCI = """
[networks]
calibration_channels = 4
[updates]
learning_rate = 1e-3
ema = 0.9
[length]
steps = 8
log_every = 2
sample_every = 4
save_every = 4
"""
TINY_ZERO_DCE = """
[networks]
channels = 4
[data]
crop_px = 32
resize_px = 32
batch_size = 2
[updates]
ema = 0.9
[length]
steps = 8
log_every = 2
sample_every = 4
save_every = 4
"""
TINY = COMMON.format(networks="", updates="pool_size = 3")
TINY_CUT = COMMON.format(networks="patch_channels = 8", updates="") + "[losses]\npatches = 16\n"


@pytest.fixture(scope="session")
def tiny_toml() -> str:
    return TINY


@pytest.fixture(scope="session")
def tiny() -> CycleGANRecipe:
    return read_toml(TINY, CycleGANRecipe)


@pytest.fixture(scope="session")
def tiny_cut() -> CUTRecipe:
    return read_toml(TINY_CUT, CUTRecipe)


@pytest.fixture(scope="session")
def tiny_enlightengan() -> EnlightenGANRecipe:
    return read_toml(TINY_ENLIGHTENGAN, EnlightenGANRecipe)


@pytest.fixture(scope="session")
def tiny_kind() -> KinDRecipe:
    return read_toml(TINY_KIND, KinDRecipe)


@pytest.fixture(scope="session")
def tiny_sci() -> SCIRecipe:
    return read_toml(TINY_SCI, SCIRecipe)


@pytest.fixture(scope="session")
def tiny_recipes(
    tiny: CycleGANRecipe,
    tiny_cut: CUTRecipe,
    tiny_enlightengan: EnlightenGANRecipe,
    tiny_kind: KinDRecipe,
    tiny_sci: SCIRecipe,
) -> dict[str, Recipe]:
    """One for every paper."""
    return {
        "cyclegan": tiny,
        "cut": tiny_cut,
        "enlightengan": tiny_enlightengan,
        "kind": tiny_kind,
        "sci": tiny_sci,
        "zero-dce": read_toml(TINY_ZERO_DCE, ZeroDCERecipe),
    }


@pytest.fixture(scope="session")
def day_and_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Nine bright and ten dark images of 48x40 and 40x48, JPEG and PNG, some in folders below."""
    folder = tmp_path_factory.mktemp("images")
    for side, count, level in (("day", 9, 160), ("night", 10, 40)):
        dice = np.random.default_rng(count)
        for number in range(count):
            height, width = (40, 48) if number % 2 else (48, 40)
            smooth = np.linspace(-30, 30, width)[None, :, None] + dice.normal(0, 20, (height, 1, 3))
            pixels = np.clip(level + smooth + dice.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)
            path = (
                folder / side / ("below" if number > 5 else "") / f"{number}.{'png' if number % 3 else 'JPG'}"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder / "day", folder / "night"


@pytest.fixture
def batch() -> Batch:
    return noise(0)


def noise(seed: int, size: int = 1, px: int = 32) -> Batch:
    dice = torch.Generator().manual_seed(seed)
    day, night = (torch.rand(size, 3, px, px, generator=dice) * 2 - 1 for _ in range(2))
    return Batch(day, night)


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    return noise


class Run:
    """A training in this process, and the events it reported."""

    def __init__(self, order: TrainingOrder) -> None:
        self.order = order
        self.events: list[dict[str, Any]] = []
        self.stop_after: int | None = None

    def __call__(self, **changes: Any) -> bool:
        self.events.clear()
        # events are copied: a report may not be changed afterwards
        return run_training(
            replace(self.order, **changes), lambda event: self.events.append(dict(event)), self._should_stop
        )

    def _should_stop(self) -> bool:
        if self.stop_after is None:
            return False
        self.stop_after -= 1
        return self.stop_after < 0

    def named(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]


@pytest.fixture
def run(tiny: CycleGANRecipe, day_and_night: tuple[Path, Path], tmp_path: Path) -> Run:
    day, night = day_and_night
    return Run(TrainingOrder("cyclegan", [day], [night], tiny, tmp_path / "out", device="cpu"))


@pytest.fixture
def run_cut(tiny_cut: CUTRecipe, day_and_night: tuple[Path, Path], tmp_path: Path) -> Run:
    day, night = day_and_night
    return Run(TrainingOrder("cut", [day], [night], tiny_cut, tmp_path / "cut", device="cpu"))


@pytest.fixture(scope="session")
def uninterrupted(
    tiny: CycleGANRecipe, day_and_night: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """The tiny recipe trained to its end."""
    day, night = day_and_night
    out = tmp_path_factory.mktemp("whole") / "out"
    whole = Run(TrainingOrder("cyclegan", [day], [night], tiny, out, is_original_layout=True, device="cpu"))
    assert whole()
    return whole
