"""Checkpoints in the layouts of the original repositories, made up from their tables of keys."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

State = dict[str, Tensor]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """The networks here are tiny: handing them to a second thread costs more than it brings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """The folder of published checkpoints, which lies beside the repository where it is at hand."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "weights"
    if not folder.is_dir():
        pytest.skip("published weights are not at hand (../shared/data/weights)")
    return folder


def _filled(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    dice = torch.Generator().manual_seed(seed)
    return OrderedDict((key, torch.randn(shape, generator=dice) * 0.1) for key, shape in shapes.items())


def _resnet(channels: int = 4, blocks: int = 2) -> State:
    """`latest_net_G_A.pth`: indices as they fall in a Sequential of pads, convolutions, norms and ReLUs."""
    c = channels
    shapes: dict[str, tuple[int, ...]] = {}

    def add(key: str, weight: tuple[int, ...], bias: int) -> None:
        shapes[f"{key}.weight"], shapes[f"{key}.bias"] = weight, (bias,)

    add("model.1", (c, 3, 7, 7), c)
    add("model.4", (2 * c, c, 3, 3), 2 * c)
    add("model.7", (4 * c, 2 * c, 3, 3), 4 * c)
    for index in range(10, 10 + blocks):
        add(f"model.{index}.conv_block.1", (4 * c, 4 * c, 3, 3), 4 * c)
        add(f"model.{index}.conv_block.5", (4 * c, 4 * c, 3, 3), 4 * c)
    up = 10 + blocks
    add(f"model.{up}", (4 * c, 2 * c, 3, 3), 2 * c)
    add(f"model.{up + 3}", (2 * c, c, 3, 3), c)
    add(f"model.{up + 7}", (3, c, 7, 7), 3)
    return _filled(shapes)


def _cut(channels: int = 4, blocks: int = 2) -> State:
    """`latest_net_G.pth` of CUT: convolutions of stride 1, and the blurs' fixed weights."""
    c = channels
    convolutions: dict[str, tuple[int, int, int]] = {
        "model.1": (c, 3, 7), "model.4": (2 * c, c, 3), "model.8": (4 * c, 2 * c, 3),
        **{
            f"model.{12 + block}.conv_block.{place}": (4 * c, 4 * c, 3)
            for block in range(blocks)
            for place in (1, 5)
        },
        f"model.{13 + blocks}": (2 * c, 4 * c, 3), f"model.{17 + blocks}": (c, 2 * c, 3),
        f"model.{21 + blocks}": (3, c, 7),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {}
    for key, (after, before, size) in convolutions.items():
        shapes[f"{key}.weight"], shapes[f"{key}.bias"] = (after, before, size, size), (after,)
    state = _filled(shapes)
    half, double = torch.tensor([1.0, 2, 1]) / 4, torch.tensor([1.0, 3, 3, 1]) / 4
    for place, width, line in (
        (7, 2 * c, half), (11, 4 * c, half), (12 + blocks, 4 * c, double), (16 + blocks, 2 * c, double),
    ):  # fmt: skip
        state[f"model.{place}.filt"] = torch.outer(line, line).repeat(width, 1, 1, 1)
    return state


def _unet(channels: int = 2) -> State:
    """`200_net_G_A.pth`, without the `module.` prefix and with batch counts."""
    one, two, three, four, five = (channels * 2**level for level in range(5))
    convolutions = {
        "conv1_1": (4, one), "conv1_2": (one, one), "conv2_1": (one, two), "conv2_2": (two, two),
        "conv3_1": (two, three), "conv3_2": (three, three), "conv4_1": (three, four), "conv4_2": (four, four),
        "conv5_1": (four, five), "conv5_2": (five, five),
        "deconv5": (five, four), "conv6_1": (five, four), "conv6_2": (four, four),
        "deconv6": (four, three), "conv7_1": (four, three), "conv7_2": (three, three),
        "deconv7": (three, two), "conv8_1": (three, two), "conv8_2": (two, two),
        "deconv8": (two, one), "conv9_1": (two, one), "conv9_2": (one, one),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {}
    for key, (before, after) in convolutions.items():
        shapes[f"{key}.weight"], shapes[f"{key}.bias"] = (after, before, 3, 3), (after,)
        if key.startswith("conv") and key != "conv9_2":
            norm = key.replace("conv", "bn")
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{norm}.{part}"] = (after,)
    shapes["conv10.weight"], shapes["conv10.bias"] = (3, one, 1, 1), (3,)
    state = _filled(shapes)
    for key in list(state):
        if key.endswith("running_var"):
            state[key] = state[key].abs() + 1
            state[key.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    return state


def _kind(restoration_channels: int = 2) -> dict[str, NDArray[np.float32]]:
    """KinD's TensorFlow checkpoints as NumPy archives: variables with height and width first."""
    convolutions: dict[str, tuple[int, int, int]] = {
        "DecomNet/g_conv1_1": (3, 3, 32), "DecomNet/g_conv2_1": (3, 32, 64),
        "DecomNet/g_conv3_1": (3, 64, 128), "DecomNet/g_conv8_1": (3, 128, 64),
        "DecomNet/g_conv9_1": (3, 64, 32), "DecomNet/g_conv10": (1, 32, 3),
        "DecomNet/l_conv1_2": (3, 32, 32), "DecomNet/l_conv1_4": (1, 64, 1),
        "Illumination_adjust_net/en_conv_1": (3, 2, 32), "Illumination_adjust_net/en_conv_2": (3, 32, 32),
        "Illumination_adjust_net/en_conv_3": (3, 32, 32), "Illumination_adjust_net/en_conv_4": (3, 32, 1),
    }  # fmt: skip
    ups = {"DecomNet/g_up_1": (64, 128), "DecomNet/g_up_2": (32, 64)}
    widths = [restoration_channels * 2**level for level in range(5)] if restoration_channels else []
    for level, (before, after) in enumerate([*pairwise([4, *widths]), *pairwise(reversed(widths))], start=1):
        if level > 5:
            ups[f"Restoration_net/up_{level}"] = (after, before)
        convolutions[f"Restoration_net/de_conv{level}_1"] = (3, before, after)
        convolutions[f"Restoration_net/de_conv{level}_2"] = (3, after, after)
    if widths:
        convolutions["Restoration_net/de_conv10"] = (3, widths[0], 3)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (size, before, after) in convolutions.items():
        shapes[f"{name}/weights"], shapes[f"{name}/biases"] = (size, size, before, after), (after,)
    shapes |= {f"{name}/weights": (2, 2, *channels) for name, channels in ups.items()}
    return {key: tensor.numpy() for key, tensor in _filled(shapes).items()}


@pytest.fixture(scope="session")
def kind_variables() -> Callable[..., dict[str, NDArray[np.float32]]]:
    return _kind


@pytest.fixture(scope="session")
def resnet_state() -> Callable[..., State]:
    return _resnet


@pytest.fixture(scope="session")
def cut_state() -> Callable[..., State]:
    return _cut


@pytest.fixture(scope="session")
def unet_state() -> Callable[..., State]:
    return _unet
