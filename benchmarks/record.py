"""What every benchmark leaves behind: a JSON record that says when, where and on what it was measured."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from models.device import device_name

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "numpy", "simplejpeg", "pillow", "fsspec")


def write_record(name: str, device: torch.device, result: Mapping[str, Any]) -> Path:
    """Write `result` with the circumstances to `results/`, and say where."""
    now = datetime.now(UTC)
    record = {
        "date": now.isoformat(timespec="seconds"),
        "device": device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_after": os.getloadavg(),
        "versions": {"python": platform.python_version(), **{one: version(one) for one in LIBRARIES}},
        **result,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{now:%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return path
