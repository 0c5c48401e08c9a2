"""What a worker and the reconciler count, and the memory of GPUs: on a port, if the operator wants one."""

import subprocess
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.worker_command import visible_gpus

REGISTRY = CollectorRegistry()
FRAMES = Counter("nightshift_worker_frames", "Frames finished.", ["state"], registry=REGISTRY)
SHARDS = Counter("nightshift_worker_shards", "Answers of the child.", ["stage", "answer"], registry=REGISTRY)
CHILD_DEATHS = Counter("nightshift_worker_child_deaths", "Children that died at work.", registry=REGISTRY)
STRIKES = Counter("nightshift_worker_strikes", "Images seen to kill their child.", registry=REGISTRY)
LEASES_TAKEN_BACK = Counter("nightshift_leases_taken_back", "Shards of lost workers.", registry=REGISTRY)
ProcessCollector(registry=REGISTRY)

ASK = ["nvidia-smi", "--query-gpu=index,memory.used,memory.total", "--format=csv,noheader,nounits"]
ASK_SECONDS = 5.0
MIB = 1 << 20


class GpuMemory(Collector):
    """Asked of the driver at each look: the process that counts here loads no torch."""

    def collect(self) -> Iterator[Metric]:
        used = GaugeMetricFamily("nightshift_gpu_memory_used_bytes", "In use, by anybody.", labels=["gpu"])
        total = GaugeMetricFamily("nightshift_gpu_memory_total_bytes", "Built in.", labels=["gpu"])
        for gpu, used_mib, total_mib in _asked():
            used.add_metric([gpu], used_mib * MIB)
            total.add_metric([gpu], total_mib * MIB)
        yield used
        yield total


REGISTRY.register(GpuMemory())


def _asked() -> list[tuple[str, float, float]]:
    gpus = visible_gpus()
    if not gpus:
        return []
    try:
        told = subprocess.run(
            [*ASK, f"--id={','.join(gpus)}"], capture_output=True, text=True, timeout=ASK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [row for line in told.stdout.splitlines() if (row := _read(line)) is not None]


def _read(line: str) -> tuple[str, float, float] | None:
    """`0, 1234, 81559`; None of a GPU that does not tell, such as a part of one."""
    try:
        gpu, used, total = (word.strip() for word in line.split(","))
        return gpu, float(used), float(total)
    except ValueError:
        return None
