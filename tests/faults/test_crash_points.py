"""Wherever a process ends, or its disk is full: the state is as before or after, the job ends the same."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]


# A disk in memory, where there is one: hundreds of syncs are made, and what they cost is not the question.
QUICK_DISK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


@pytest.fixture(scope="module")
def points() -> Any:
    """How many points were tried, by what was done there and in which operation."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory(prefix="nightshift-sweep-", dir=QUICK_DISK) as folder:
        command = [sys.executable, "-m", "tests.faults.sweep", folder]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("operation", ["submit", "plan", "work", "publish", "retry"])
def test_an_end_at_any_point_leaves_the_state_before_or_after(points: Any, operation: str) -> None:
    assert points["end"][operation] >= 5, "a sweep that reaches nothing shows nothing"


@pytest.mark.parametrize("operation", ["plan", "work", "publish"])
def test_a_disk_that_is_full_at_any_point_costs_nothing_but_time(points: Any, operation: str) -> None:
    assert points["be_full"][operation] >= 1
