"""The house: arrows point one way, and what is listed twice is equal."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.layouts import LAYOUTS
from models.registry import ARCHITECTURES, GENERATORS
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
    built = {name: (str(card.direction), card.architecture) for name, card in GENERATORS.items()}
    assert listed == built
    assert set(catalogue.ARCHITECTURES) == set(ARCHITECTURES) == set(LAYOUTS)


def test_the_lock_names_no_index_host_and_hashes_everything() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line]
    packages = [number for number, line in enumerate(lines) if line and not line.startswith((" ", "#"))]
    assert all("--hash=sha256:" in lines[number + 1] for number in packages)
