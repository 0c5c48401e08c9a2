"""The house: arrows point one way, and what is listed twice is equal."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from models.generators.interface import HIGHEST_RATIO, LOWEST_RATIO
from models.layouts import LAYOUTS
from models.registry import BUNDLED, GENERATORS, bundled_weights, load_generator
from models.training.papers import PAPERS
from models.weights import load_weights
from service import catalogue

ROOT = Path(__file__).resolve().parents[1]


def test_imports_keep_their_direction() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module", ["service.app", "service.client.cli", "workers.shard_runner", "workers.reconciler"]
)
def test_neither_the_service_nor_the_parent_of_a_worker_loads_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'ultralytics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_command_line_starts_without_the_database_library() -> None:
    code = "import sys, service.client.cli; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_torch_free_catalogue_and_the_registry_are_equal() -> None:
    listed = {card.name: (card.direction, card.architecture) for card in catalogue.BUNDLED}
    known = {**GENERATORS, **BUNDLED}
    assert listed == {name: (str(card.direction), card.architecture) for name, card in known.items()}
    assert set(catalogue.ARCHITECTURES) == set(LAYOUTS)
    assert set(catalogue.ARCHITECTURES) == {paper.architecture for paper in PAPERS.values()}
    adjustable = {name for name, layout in LAYOUTS.items() if layout.network.takes_ratio}
    assert set(catalogue.ADJUSTABLE) == adjustable
    assert (catalogue.LOWEST_RATIO, catalogue.HIGHEST_RATIO) == (LOWEST_RATIO, HIGHEST_RATIO)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_weights_are_those_of_their_cards(name: str) -> None:
    (card,) = (card for card in catalogue.BUNDLED if card.name == name)
    content = bundled_weights(name)
    assert card.weights_sha256 == hashlib.sha256(content).hexdigest()
    assert card.config == load_weights(content).config
    assert card.quality["unseen"]
    load_generator(name)


def test_what_is_bundled_is_small() -> None:
    folder = ROOT / "models/bundled"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 30e6
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}


def test_the_lock_names_no_index_host_and_hashes_everything() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line]
    packages = [number for number, line in enumerate(lines) if line and not line.startswith((" ", "#"))]
    assert all("--hash=sha256:" in lines[number + 1] for number in packages)
