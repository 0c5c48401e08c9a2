"""How a worker is started: its Celery command, and the one GPU that is its own.

The GPU is chosen by the environment of the process that is started, before anything there loads torch: a
process that has touched CUDA cannot hand it on, and the one that starts workers never touches it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from service.errors import InvalidRequest
from service.jobs.job import EVERYDAY_QUEUES, QUEUES

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")
# A worker talks to SQL and to its child; Celery's own chatter between workers would only be noise.
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")


def worker_command(name: str, queues: Sequence[str]) -> list[str]:
    """`name` must be unique on this machine."""
    celery = [sys.executable, "-m", "celery", "--app", "workers.celery_app", "--quiet", "worker"]
    return [*celery, "--pool", "solo", *QUIET, "-n", f"{name}@%h", "-Q", ",".join(queues)]


def become_worker(gpu: str = "", queues: Sequence[str] = EVERYDAY_QUEUES, name: str = "") -> NoReturn:
    """This process goes on as a worker, so that signals reach it without anybody between.

    Raises:
        InvalidRequest: there is no such queue.
    """
    if unknown := sorted(set(queues) - set(QUEUES)) or ([] if queues else ["none"]):
        raise InvalidRequest(f"There is no queue {', '.join(unknown)}.", f"There are: {', '.join(QUEUES)}.")
    command = worker_command(name or f"worker-{os.getpid()}", queues)
    os.execve(command[0], command, on_gpu(os.environ, gpu) if gpu else dict(os.environ))  # noqa: S606 - a fixed command, never a shell


def on_gpu(environment: Mapping[str, str], gpu: str) -> dict[str, str]:
    """The environment of a worker that sees this GPU alone."""
    # By their place on the bus, as nvidia-smi counts them; CUDA would count the fastest first.
    return {**environment, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": gpu}


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What CUDA_VISIBLE_DEVICES allows, or else every GPU of this machine; found without torch."""
    allowed = environment.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return _allowed(allowed)
    if NVIDIA_GPUS.is_dir():
        return [str(number) for number, _ in enumerate(NVIDIA_GPUS.iterdir())]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


def share_out(gpus: Sequence[str], places: int) -> list[str | None]:
    """A GPU for each worker, in turn; None where there is no choice."""
    return [gpus[place % len(gpus)] if len(gpus) > 1 else None for place in range(places)]


def _allowed(listed: str) -> list[str]:
    """As CUDA reads it: what comes after the first one that makes no sense does not count."""
    gpus: list[str] = []
    for word in (each.strip() for each in listed.split(",")):
        if not word or word.startswith("-"):
            break
        gpus.append(word)
    return gpus
