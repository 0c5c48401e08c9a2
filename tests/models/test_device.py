from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from models.device import choose_device, choose_precision, device_name, exact_kernels, is_out_of_memory
from models.generators.cut import CUT
from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from models.generators.interface import Generator, Scene
from models.generators.network import NetworkGenerator
from models.inference import Translator

CPU = torch.device("cpu")


def with_units(monkeypatch: pytest.MonkeyPatch, **units: bool) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "amx_bf16": False} | units
    )


@pytest.mark.parametrize("unit", ["avx512_bf16", "amx_bf16"])
def test_a_cpu_computes_in_bfloat16_only_with_units_and_when_asked(
    monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    with_units(monkeypatch, **{unit: True})
    assert choose_precision(CPU, None) == "float32"
    assert choose_precision(CPU, "bfloat16") == "bfloat16"
    with_units(monkeypatch)
    assert choose_precision(CPU, "bfloat16") == "float32"


@pytest.mark.parametrize(
    ("capability", "asked", "chosen"),
    [
        ((9, 0), None, "bfloat16"),
        ((8, 0), "bfloat16", "bfloat16"),
        ((8, 6), "float32", "float32"),
        ((7, 5), None, "float32"),
        ((7, 5), "bfloat16", "float32"),
    ],
)
def test_a_gpu_computes_in_bfloat16_where_it_has_units(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], asked: str | None, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert choose_precision(torch.device("cuda"), asked) == chosen


def test_the_device_named_is_the_device_taken() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_name(CPU)


def test_inside_kernels_are_fixed_and_outside_as_before() -> None:
    before = (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    with exact_kernels(CPU, "float32"):
        assert torch.is_inference_mode_enabled()
        assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.deterministic
        assert not torch.is_autocast_enabled("cpu")
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == before
    with exact_kernels(CPU, "bfloat16"):
        assert torch.is_autocast_enabled("cpu")


def test_half_precision_is_for_networks_and_stays_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    with_units(monkeypatch, avx512_bf16=True)
    network = CycleGAN(2, 1)
    # instance norm would blow up the rounding of a flat image
    day = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    translator = Translator(network, "cpu", precision="bfloat16")
    assert translator.describe()["precision"] == "bfloat16"
    (night,) = translator.translate([day], [Scene(0)])
    (exact,) = Translator(network, "cpu").translate([day], [Scene(0)])
    assert np.abs(night.astype(int) - exact).max() <= 16
    (same,) = translator.translate([day], [Scene(0, strength=0)])
    np.testing.assert_array_equal(same, day)

    class Formula(Generator):
        def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
            return images[: len(scenes)]

    assert Translator(Formula(), "cpu", precision="bfloat16").precision == "float32"


def test_a_real_failure_to_allocate_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


@pytest.mark.gpu
@pytest.mark.parametrize(
    "network", [CycleGAN(16, 3), CUT(16, 3), EnlightenGAN(8)], ids=["cyclegan", "cut", "enlightengan"]
)
@pytest.mark.parametrize(("precision", "levels"), [("float32", 1), ("bfloat16", 16)])
def test_a_gpu_gives_what_a_cpu_gives_and_gives_it_again(
    network: NetworkGenerator, precision: str, levels: int
) -> None:
    days = list(np.random.default_rng(0).integers(0, 256, (5, 90, 130, 3), dtype=np.uint8))
    scenes = [Scene(seed) for seed in range(5)]
    on_cpu = Translator(network, "cpu").translate(days, scenes)
    first, again = (Translator(network, "cuda", precision).translate(days, scenes) for _ in range(2))
    network.cpu()
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.stack(first).astype(int) - np.stack(on_cpu)).max() <= levels


@pytest.mark.gpu
def test_a_full_gpu_is_worked_around_by_smaller_batches() -> None:
    network = CycleGAN(16, 3)
    days = list(np.zeros((8, 512, 512, 3), np.uint8))
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 0.6 * 2**30 / total))
    try:
        translator = Translator(network, "cuda", "float32")
        assert len(translator.translate(days, [Scene(0)] * 8)) == 8
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert translator.notes
