"""The whole service as `nightshift up` starts it, once for the tests of a file."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.client.local import wait_until_ready
from service.stack import Stack, free_port


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    os.environ.update(
        NIGHTSHIFT_LEASE_SECONDS="3", NIGHTSHIFT_SHARD_SECONDS="0.4", NIGHTSHIFT_HEARTBEAT_SECONDS="0.5"
    )
    try:
        with Stack(tmp_path_factory.mktemp("stack"), free_port(), trainers=1) as stack:
            wait_until_ready(stack)
            os.environ["NIGHTSHIFT_KEY"] = stack.key
            yield stack
    finally:
        os.environ.pop("NIGHTSHIFT_KEY", None)
        for name in ("LEASE", "SHARD", "HEARTBEAT"):
            del os.environ[f"NIGHTSHIFT_{name}_SECONDS"]


@pytest.fixture
def nightshift(stack: Stack) -> Callable[..., Any]:
    """The command with --json: its answer, or (exit code, stderr) when it fails."""

    def run(*arguments: object, is_json: bool = True) -> Any:
        command = [sys.executable, "-m", "service.client.cli", *map(str, arguments)]
        done = subprocess.run(
            [*command, "--server", stack.url, *(["--json"] if is_json else [])],
            capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else (done.returncode, done.stderr)

    return run
