"""Where and how exactly a network is computed: device, precision, kernels, and memory running out."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def choose_device(name: str | torch.device | None) -> torch.device:
    """The device asked for, else the first GPU, else the CPU."""
    if name is not None:
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(device: torch.device, asked: Precision | None) -> Precision:
    """bfloat16 where the device has units for it, float32 everywhere else.

    On a GPU with units (compute capability 8 and up) bfloat16 is the default. A CPU computes in float32
    unless bfloat16 is asked for: without such units it is several times slower, and the bytes would differ
    from those of other CPUs.
    """
    if device.type == "cuda":
        has_units = torch.cuda.get_device_capability(device) >= (8, 0)
        return "bfloat16" if has_units and asked != "float32" else "float32"
    has_units = device.type == "cpu" and _cpu_has_bfloat16_units()
    return "bfloat16" if has_units and asked == "bfloat16" else "float32"


def _cpu_has_bfloat16_units() -> bool:
    """Whether the CPU multiplies bfloat16 itself (AVX-512 BF16 or AMX) instead of emulating it."""
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(unit, False)) for unit in ("avx512_bf16", "amx_bf16"))


def device_name(device: torch.device) -> str:
    """The product's name, for reports."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


@contextmanager
def exact_kernels(device: torch.device, precision: Precision) -> Iterator[None]:
    """Inference with the same kernels every time.

    cuDNN may neither try out kernels (the fastest differs from run to run) nor use one that adds up in
    varying order, and float32 means float32: no TF32. On a GPU the same batch gives the same bytes again;
    another batch size may choose another kernel and change a last digit.
    """
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"),
    ):
        yield


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short, on the GPU or on the CPU, which reports it as a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "DefaultCPUAllocator" in text or "can't allocate memory" in text
    )
