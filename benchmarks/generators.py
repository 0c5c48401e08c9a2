"""Images per second of each generator: Nightshift's way beside the original repositories' way.

All ways go from a JPEG file to written files, take turns within one run, and share the weights (random, from
a seed), so that the ratio of their best times is the speed-up on this machine at this moment.

- ours: simplejpeg, `models.inference.Translator`, JPEG of quality 95.
- channels_last: the network as it is, in this layout, one image at a time; files as in our way.
- original: as the papers' `test.py` does it: PIL, one image at a time, float32, contiguous tensors, and two
  PNG files, of the input and of the output. The network itself is our module, so what that saves shows in
  neither way.

    python -m benchmarks.generators --sizes 256x256,512x512 --rounds 5
"""

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.record import write_record
from models.device import choose_device, device_name
from models.generators.camera import CameraNight
from models.generators.interface import Generator, Scene
from models.generators.network import NetworkGenerator
from models.inference import Translator
from models.layouts import LAYOUTS

GENERATORS: Mapping[str, Callable[[], Generator]] = {
    "camera-night": CameraNight,
    **{name: layout.network for name, layout in LAYOUTS.items()},
}
# Before anything is measured, networks are taken to reach this share of the peak.
EXPECTED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """One way through one generator at one size; `run` translates `images` images."""

    generator: str
    size: str
    name: str
    images: int
    gflop: float
    run: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of a way. `share_of_peak` is of the peak in the precision of the way."""

    generator: str
    size: str
    way: str
    precision: str
    seconds_per_image: float
    images_per_second: float
    gflop_per_image: float
    share_of_peak: float | None
    ratio: float | None


def photo(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """A street of sorts: slopes, boxes and grain, so that a JPEG of it has a natural size."""
    dice = np.random.default_rng(seed)
    pixels = np.linspace(210, 70, height)[:, None, None] * np.linspace(0.8, 1.0, width)[None, :, None]
    pixels = np.repeat(pixels, 3, axis=2)
    for _ in range(40):
        x, y = dice.integers(0, width), dice.integers(0, height)
        w, h = dice.integers(8, max(9, width // 5)), dice.integers(8, max(9, height // 5))
        pixels[y : y + h, x : x + w] = dice.integers(20, 235, 3)
    return np.clip(pixels + dice.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def write_photos(folder: Path, width: int, height: int, count: int) -> list[Path]:
    paths = [folder / f"{width}x{height}-{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(simplejpeg.encode_jpeg(photo(width, height, number), 90, colorsubsampling="420"))
    return paths


def our_way(translator: Translator, paths: Sequence[Path], folder: Path) -> None:
    days = [simplejpeg.decode_jpeg(path.read_bytes()) for path in paths]
    nights = translator.translate(days, [Scene(seed) for seed in range(len(days))])
    for path, night in zip(paths, nights, strict=True):
        jpeg = simplejpeg.encode_jpeg(night, quality=95, colorsubsampling="420")
        (folder / f"ours-{path.name}").write_bytes(jpeg)


def channels_last_way(
    network: NetworkGenerator, device: torch.device, paths: Sequence[Path], folder: Path
) -> None:
    for path in paths:
        pixels = torch.from_numpy(simplejpeg.decode_jpeg(path.read_bytes())).to(device)
        real = pixels.permute(2, 0, 1)[None].float().div(127.5).sub(1)
        with torch.inference_mode():
            fake = network.translate(real)[0]
        night = ((fake + 1) * 127.5).clamp(0, 255).byte().permute(1, 2, 0).cpu().contiguous().numpy()
        jpeg = simplejpeg.encode_jpeg(night, quality=95, colorsubsampling="420")
        (folder / f"eager-{path.name}").write_bytes(jpeg)


def original_way(
    network: NetworkGenerator, device: torch.device, paths: Sequence[Path], folder: Path
) -> None:
    for path in paths:
        with Image.open(path) as opened:
            pixels = np.array(opened.convert("RGB"))
        real = torch.from_numpy(pixels.transpose(2, 0, 1)).contiguous().float().div(255).mul(2).sub(1)
        with torch.no_grad():
            fake = network.translate(real[None].to(device))[0]
        for name, tensor in (("real", real), ("fake", fake)):
            Image.fromarray(_levels(tensor)).save(folder / f"{path.stem}-{name}.png")


def _levels(signed: Tensor) -> NDArray[np.uint8]:
    hwc = signed.cpu().float().numpy().transpose(1, 2, 0)
    return np.clip((hwc + 1) / 2 * 255, 0, 255).astype(np.uint8)


def gflop_per_image(generator: Generator, width: int, height: int) -> float:
    """Counted on tensors without memory; 2 for each multiply-add. 0 for what is not a network."""
    if not isinstance(generator, NetworkGenerator):
        return 0.0
    with FakeTensorMode(), FlopCounterMode(display=False) as counter, torch.no_grad():
        twin, images = type(generator)().eval(), torch.empty(1, 3, height, width)
        twin.translate(images)
    return float(counter.get_total_flops()) / 1e9


def peak_gflops(device: torch.device, dtype: torch.dtype, rounds: int = 8) -> float:
    """What networks are held against: the best rate of a large matrix product or 3x3 convolution, GFLOP/s.

    Both, because torch hands them to different libraries: on AMD processors its matrix product in float32
    reaches less than half of what its convolutions do.
    """
    is_gpu = device.type == "cuda"
    side, channels, batch = (8192, 512, 16) if is_gpu else (1536, 256, 1)
    matrix = torch.randn(side, side, device=device, dtype=dtype)
    images = torch.randn(batch, channels, 64, 64, device=device, dtype=dtype)
    kernels = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
    layout = torch.channels_last
    images, kernels = images.to(memory_format=layout), kernels.to(memory_format=layout)
    multiply = _best_of(rounds, device, lambda: matrix @ matrix)
    convolve = _best_of(rounds, device, lambda: functional.conv2d(images, kernels))
    return max(2 * side**3 / multiply, 2 * 9 * channels**2 * batch * 62**2 / convolve) / 1e9


def _best_of(rounds: int, device: torch.device, run: Callable[[], Tensor]) -> float:
    best = float("inf")
    for _ in range(rounds):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ways_through(
    name: str, size: tuple[int, int], device: torch.device, folder: Path, translator: Translator
) -> list[Way]:
    """Ours, and for networks the original's, on the same files."""
    paths = write_photos(folder, *size, count=translator.batch_size)
    gflop = gflop_per_image(translator.generator, *size)
    label = f"{size[0]}x{size[1]}"
    ways = [Way(name, label, "ours", len(paths), gflop, lambda: our_way(translator, paths, folder))]
    if isinstance(translator.generator, NetworkGenerator):
        torch.manual_seed(0)
        original = type(translator.generator)().eval().requires_grad_(False).to(device)
        original.load_state_dict(translator.generator.state_dict())
        eager = copy.deepcopy(original).to(memory_format=torch.channels_last)
        run_original = lambda: original_way(original, device, paths, folder)  # noqa: E731
        run_eager = lambda: channels_last_way(eager, device, paths, folder)  # noqa: E731
        ways.append(Way(name, label, "channels_last", len(paths), gflop, run_eager))
        ways.append(Way(name, label, "original", len(paths), gflop, run_original))
    return ways


def best_seconds(ways: Sequence[Way], rounds: int, after_round: Callable[[], None]) -> dict[Way, float]:
    """The best time per image of each way; the ways take turns, so that a busy moment hits all alike."""
    best = dict.fromkeys(ways, float("inf"))
    for number in range(rounds + 1):
        # back and forth: what ran just before leaves its traces in caches and allocators
        for way in ways if number % 2 else reversed(ways):
            start = time.perf_counter()
            way.run()
            seconds = (time.perf_counter() - start) / way.images
            # the first round warms caches and allocators
            if number:
                best[way] = min(best[way], seconds)
        after_round()
        print(f"round {number} of {rounds}", file=sys.stderr)
    return best


def rows_of(
    best: Mapping[Way, float], precisions: Mapping[str, str], peaks: Mapping[str, float]
) -> list[Row]:
    originals = {(way.generator, way.size): s for way, s in best.items() if way.name == "original"}
    rows = []
    for way, seconds in best.items():
        precision = precisions[way.generator] if way.name == "ours" else "float32"
        original = originals.get((way.generator, way.size))
        share = way.gflop / seconds / peaks[precision] if way.gflop else None
        ratio = original / seconds if original else None
        rows.append(
            Row(way.generator, way.size, way.name, precision, seconds, 1 / seconds, way.gflop, share, ratio)
        )
    return rows


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| generator | size | way | precision | ms/image | images/s | x original | GFLOP | % of peak |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio else "-"
        share = f"{row.share_of_peak:.0%}" if row.share_of_peak else "-"
        gflop = f"{row.gflop_per_image:.1f}" if row.gflop_per_image else "-"
        time_and_rate = f"{row.seconds_per_image * 1e3:.1f} | {row.images_per_second:.2f}"
        way = f"{row.generator} | {row.size} | {row.way} | {row.precision}"
        lines.append(f"| {way} | {time_and_rate} | {ratio} | {gflop} | {share} |")
    return "\n".join(lines)


def measure(arguments: argparse.Namespace, device: torch.device, folder: Path) -> dict[str, object]:
    peaks = {"float32": 0.0, "bfloat16": 0.0}

    def raise_peaks() -> None:
        for name, known in peaks.items():
            peaks[name] = max(known, peak_gflops(device, getattr(torch, name)))

    raise_peaks()
    ways: list[Way] = []
    precisions = {}
    for name in arguments.generators:
        torch.manual_seed(0)
        translator = Translator(GENERATORS[name](), device, arguments.precision)
        precisions[name] = translator.precision
        for size in arguments.sizes:
            images = translator.batch_size
            expected = (
                images * gflop_per_image(translator.generator, *size) / (EXPECTED_SHARE * peaks["float32"])
            )
            if expected > arguments.limit_seconds:
                print(f"skipped: {name} at {size[0]}x{size[1]}, a round would take about {expected:.1f} s")
                continue
            ways += ways_through(name, size, device, folder, translator)
    rows = rows_of(best_seconds(ways, arguments.rounds, raise_peaks), precisions, peaks)
    print(
        f"{device_name(device)}; peak: " + ", ".join(f"{p:.0f} GFLOP/s {name}" for name, p in peaks.items())
    )
    print(table(rows), flush=True)
    return {
        "rounds": arguments.rounds,
        "peak_gflops": peaks,
        "rows": [asdict(row) for row in rows],
    }


def _sizes(text: str) -> list[tuple[int, int]]:
    pairs = [part.split("x") for part in text.split(",")]
    return [(int(width), int(height)) for width, height in pairs]


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in GENERATORS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(GENERATORS)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=_sizes, default=_sizes("256x256,512x512,1280x720"), help="WxH,WxH,…")
    parser.add_argument("--rounds", type=int, default=3, help="after one round to warm up")
    parser.add_argument("--generators", type=_names, default=list(GENERATORS), help=",".join(GENERATORS))
    parser.add_argument("--limit-seconds", type=float, default=20, help="longest round of one way to measure")
    parser.add_argument("--device", help="such as cpu or cuda:1; a GPU by default where there is one")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of our way; see models.device")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments, device, Path(folder))
    write_record(f"generators-{device.type}", device, result)


if __name__ == "__main__":
    main()
