import io
import zipfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from models.errors import CheckpointRejected
from models.generators.interface import HIGHEST_RATIO, LOWEST_RATIO, Scene
from models.generators.kind import KinD, stretched
from models.layers.retinex import Adjustment, Decomposition
from models.npz_files import MOST_BYTES
from models.weights import build_network, convert_checkpoint, load_weights, save_weights

Array = NDArray[Any]
Variables = dict[str, Array]
MakeVariables = Callable[..., Variables]


def archive(arrays: Mapping[str, Array]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def members(contents: Mapping[str, bytes]) -> bytes:
    """A zip with what numpy.savez would refuse to write."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return content.getvalue()


def npy(array: Array) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def of(variables: Variables, *networks: str) -> Variables:
    return {name: array for name, array in variables.items() if name.startswith(networks)}


def rejection(source: Any, architecture: str = "kind") -> CheckpointRejected:
    with pytest.raises(CheckpointRejected) as caught:
        convert_checkpoint(source, architecture)
    return caught.value


@pytest.fixture(scope="module")
def kind(kind_variables: MakeVariables) -> KinD:
    network = build_network(convert_checkpoint(archive(kind_variables()), "kind")).eval()
    assert isinstance(network, KinD)
    return network


@pytest.fixture(scope="module")
def published(real_weights: Path) -> KinD:
    parts = [real_weights / "kind_decom.npz", real_weights / "kind_illum_adjust.npz"]
    network = build_network(convert_checkpoint(parts, "kind")).eval()
    assert isinstance(network, KinD)
    return network.requires_grad_(False)


def noise(seed: int, size: int = 1, px: int = 16) -> Tensor:
    return torch.rand(size, 3, px, px, generator=torch.Generator().manual_seed(seed))


def slope(darkest: float, brightest: float) -> Tensor:
    """From left to right, with a little noise: (1, 3, 48, 64)."""
    image = torch.linspace(darkest, brightest, 64).expand(1, 3, 48, 64)
    return (image + 0.02 * torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


# What TensorFlow computes, written out with its own layouts: NHWC, kernels [height, width, in, out].


def same_convolution(image: Array, kernel: Array, bias: Array) -> Array:
    """(H, W, in) -> (H, W, out); 'SAME' with stride 1 pads by half the kernel."""
    size, half = kernel.shape[0], kernel.shape[0] // 2
    height, width = image.shape[:2]
    padded = np.pad(image.astype(np.float64), ((half, half), (half, half), (0, 0)))
    result = np.zeros((height, width, kernel.shape[3])) + bias
    for down in range(size):
        for right in range(size):
            result += padded[down : down + height, right : right + width] @ kernel[down, right]
    return result


def transposed(image: Array, kernel: Array) -> Array:
    """(H, W, in) -> (2H, 2W, out), stride 2; the kernel is [height, width, out, in]."""
    height, width = image.shape[:2]
    result = np.zeros((2 * height, 2 * width, kernel.shape[2]))
    for down in range(2):
        for right in range(2):
            result[down::2, right::2] = image @ kernel[down, right].T
    return result


def lrelu(features: Array) -> Array:
    return np.maximum(features, 0.2 * features)


def sigmoid(features: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-features))
    return result


def pooled(features: Array) -> Array:
    height, width, channels = features.shape
    result: Array = features.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))
    return result


def by_the_original(variables: Variables, image: Array) -> tuple[Array, Array]:
    """Reflectance (H, W, 3) and illumination (H, W, 1) of an image (H, W, 3) in [0, 1]."""

    def conv(features: Array, name: str) -> Array:
        return same_convolution(
            features, variables[f"DecomNet/{name}/weights"], variables[f"DecomNet/{name}/biases"]
        )

    def up(features: Array, skip: Array, name: str) -> Array:
        return np.concatenate([transposed(features, variables[f"DecomNet/{name}/weights"]), skip], 2)

    one = lrelu(conv(image, "g_conv1_1"))
    two = lrelu(conv(pooled(one), "g_conv2_1"))
    three = lrelu(conv(pooled(two), "g_conv3_1"))
    eight = lrelu(conv(up(three, two, "g_up_1"), "g_conv8_1"))
    nine = lrelu(conv(up(eight, one, "g_up_2"), "g_conv9_1"))
    light = np.concatenate([lrelu(conv(one, "l_conv1_2")), nine], 2)
    return sigmoid(conv(nine, "g_conv10")), sigmoid(conv(light, "l_conv1_4"))


def test_decomposition_is_the_original_s(kind_variables: MakeVariables, kind: KinD) -> None:
    image = noise(1, px=8)[0].permute(1, 2, 0).numpy()
    reflectance, illumination = kind.decomposition(torch.from_numpy(image).permute(2, 0, 1)[None])
    expected = by_the_original(kind_variables(), image)
    for found, wanted in zip((reflectance, illumination), expected, strict=True):
        np.testing.assert_allclose(found[0].permute(1, 2, 0).detach().numpy(), wanted, atol=1e-5)


def test_adjustment_is_the_original_s(kind_variables: MakeVariables, kind: KinD) -> None:
    light = noise(2, px=6)[0, :1].permute(1, 2, 0).numpy()
    features, variables = np.concatenate([light, np.full_like(light, 3.0)], 2), kind_variables()
    for layer in range(1, 5):
        name = f"Illumination_adjust_net/en_conv_{layer}"
        features = lrelu(
            same_convolution(features, variables[f"{name}/weights"], variables[f"{name}/biases"])
        )
    found = kind.adjustment(torch.from_numpy(light).permute(2, 0, 1)[None], torch.tensor([3.0]))
    np.testing.assert_allclose(found[0].permute(1, 2, 0).detach().numpy(), sigmoid(features), atol=1e-5)


def test_restoration_is_the_original_s(kind_variables: MakeVariables, kind: KinD) -> None:
    variables = kind_variables()

    def level(features: Array, number: int) -> Array:
        for part in (1, 2):
            name = f"Restoration_net/de_conv{number}_{part}"
            features = lrelu(
                same_convolution(features, variables[f"{name}/weights"], variables[f"{name}/biases"])
            )
        return features

    images = noise(3, px=16)[0].permute(1, 2, 0).numpy()
    light = noise(4, px=16)[0, :1].permute(1, 2, 0).numpy()
    features, skips = level(np.concatenate([images, light], 2), 1), []
    for number in range(2, 6):
        skips.append(features)
        features = level(pooled(features), number)
    for number in range(6, 10):
        doubled = transposed(features, variables[f"Restoration_net/up_{number}/weights"])
        features = level(np.concatenate([doubled, skips.pop()], 2), number)
    last = same_convolution(
        features,
        variables["Restoration_net/de_conv10/weights"],
        variables["Restoration_net/de_conv10/biases"],
    )
    assert kind.restoration is not None
    found = kind.restoration(
        *(torch.from_numpy(each).permute(2, 0, 1)[None].contiguous() for each in (images, light))
    )
    np.testing.assert_allclose(found[0].permute(1, 2, 0).detach().numpy(), sigmoid(last), atol=1e-5)


def test_the_published_network_has_the_published_sizes() -> None:
    with torch.device("meta"):
        network = KinD()
    parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    # Worked out from the table of layers: kernels and biases; doubling layers have none.
    decomposition = (
        (27 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128) + 4 * 128 * 64 + (9 * 128 * 64 + 64)
        + 4 * 64 * 32 + (9 * 64 * 32 + 32) + (32 * 3 + 3) + (9 * 32 * 32 + 32) + (64 + 1)
    )  # fmt: skip
    assert parameters["decomposition"] == decomposition
    assert parameters["adjustment"] == (18 * 32 + 32) + 2 * (9 * 32 * 32 + 32) + (9 * 32 + 1)
    widths = [
        (4, 32),
        (32, 64),
        (64, 128),
        (128, 256),
        (256, 512),
        (512, 256),
        (256, 128),
        (128, 64),
        (64, 32),
    ]
    levels = sum((9 * before * after + after) + (9 * after * after + after) for before, after in widths)
    doubling = sum(4 * before * after for before, after in widths[5:])
    assert parameters["restoration"] == levels + doubling + (9 * 32 * 3 + 3)


# From the image to the image


def brightened_by_hand(kind: KinD, image: Tensor, ratio: float) -> Tensor:
    """As in the released evaluate.py; the blur is NumPy's."""
    image = (image - image.min()) / (image.max() - image.min())
    reflectance, light = kind.decomposition(image)
    restored = reflectance if kind.restoration is None else kind.restoration(reflectance, light)
    if kind.restoration is not None:
        weights = torch.tensor([0.2125, 0.7154, 0.0721]).view(1, 3, 1, 1)
        grey = (reflectance * weights).sum(1)[0].detach().numpy().astype(np.float64)
        line = np.exp(-0.5 * (np.arange(-12, 13) / 3) ** 2)
        for axis in (0, 1):
            grey = np.apply_along_axis(
                lambda row: np.convolve(np.pad(row, 12, "edge"), line / line.sum(), "valid"), axis, grey
            )
        restored = restored * torch.from_numpy(np.minimum((2 * grey) ** 0.5, 1)).float()
    relit = restored * kind.adjustment(light, torch.tensor([ratio]))
    return light * image + (1 - light) * relit


@torch.no_grad()
@pytest.mark.parametrize("restoration_channels", [0, 2])
def test_brightening_is_that_of_the_release(kind_variables: MakeVariables, restoration_channels: int) -> None:
    content = archive(kind_variables(restoration_channels))
    network = build_network(convert_checkpoint(content, "kind", {"ratio": 4.0}))
    assert isinstance(network, KinD)
    assert (network.restoration is None) == (restoration_channels == 0)
    image = 0.1 + 0.6 * noise(5, px=32)
    expected = brightened_by_hand(network, image, 4.0)
    torch.testing.assert_close(network(image, [Scene(0)]), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_darkening_is_reflectance_in_less_light(kind: KinD) -> None:
    image = noise(6, px=32)
    reflectance, light = kind.decomposition(stretched(image))
    expected = reflectance * kind.adjustment(light, torch.tensor([0.25]))
    torch.testing.assert_close(kind(image, [Scene(0, ratio=0.25)]), expected, atol=1e-5, rtol=0)


def test_an_even_image_stays_finite(kind: KinD) -> None:
    for level in (0.0, 0.4, 1.0):
        image = torch.full((1, 3, 16, 16), level)
        assert torch.equal(stretched(image), image)
        assert kind(image, [Scene(0)]).isfinite().all()


def test_each_image_is_stretched_by_itself() -> None:
    together = stretched(torch.cat([0.2 * noise(1), 0.5 + 0.1 * noise(2)]))
    torch.testing.assert_close(together.amin((1, 2, 3)), torch.zeros(2))
    torch.testing.assert_close(together.amax((1, 2, 3)), torch.ones(2))


@torch.no_grad()
@settings(max_examples=15, deadline=None)
@given(
    ratios=st.lists(
        st.one_of(st.none(), st.floats(LOWEST_RATIO, HIGHEST_RATIO), st.just(1.0)), min_size=1, max_size=4
    )
)
def test_every_image_of_a_batch_has_a_ratio_of_its_own(kind: KinD, ratios: list[float | None]) -> None:
    images = noise(7, len(ratios))
    scenes = [Scene(0, ratio=ratio) for ratio in ratios]
    alone = [kind(images[place : place + 1], [scene]) for place, scene in enumerate(scenes)]
    torch.testing.assert_close(kind(images, scenes), torch.cat(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize("ratio", [0.0, 0.049, 20.1, -1.0, float("nan"), float("inf")])
def test_impossible_ratios_are_refused(kind: KinD, ratio: float) -> None:
    with pytest.raises(ValueError, match=rf"between 0\.05 and 20\.0, got {ratio}"):
        KinD(1, ratio=ratio)
    with pytest.raises(ValueError, match="got"):
        kind(noise(0), [Scene(0, ratio=ratio)])
    with pytest.raises(ValueError, match="got"):
        kind.with_ratio(ratio)


def test_another_ratio_shares_the_weights(kind: KinD) -> None:
    other = kind.with_ratio(0.5)
    assert (kind.ratio, other.ratio) == (5.0, 0.5)
    assert other.options() == {"ratio": 0.5}
    for one, two in zip(kind.parameters(), other.parameters(), strict=True):
        assert one is two


# Published weights


@torch.no_grad()
def test_published_weights_brighten_and_darken(published: KinD) -> None:
    dark, bright = slope(0.0, 0.3), slope(0.3, 1.0)
    assert published(dark, [Scene(0, ratio=5.0)]).mean() > 2 * dark.mean()
    night = published(bright, [Scene(0, ratio=0.3)])
    assert 0.2 < float(night.mean() / bright.mean()) < 0.5


@torch.no_grad()
def test_published_weights_make_more_of_a_higher_ratio(published: KinD) -> None:
    ratios = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2, 3, 5, 7, 10, 20)
    for image in (slope(0.0, 0.3), slope(0.0, 1.0)):
        means = [float(published(image, [Scene(0, ratio=float(ratio))]).mean()) for ratio in ratios]
        assert all(one < other for one, other in pairwise(means)), means


# From the archives


def test_archives_convert_whole_and_in_parts(kind_variables: MakeVariables, tmp_path: Path) -> None:
    variables = kind_variables()
    whole = convert_checkpoint(archive(variables), "kind")
    assert whole.config == {"restoration_channels": 2}
    (tmp_path / "decomposition.npz").write_bytes(archive(of(variables, "DecomNet")))
    parts = convert_checkpoint(
        [tmp_path / "decomposition.npz", archive(of(variables, "Ill")), archive(of(variables, "Rest"))],
        "kind",
    )
    assert parts.config == whole.config
    assert save_weights(parts) == save_weights(whole)


@pytest.mark.parametrize(
    "renamed",
    [
        lambda name: name.replace("/", "."),
        lambda name: f"{name}:0",
        lambda name: name.replace("/", ".", 1) + ":0",
    ],
)
def test_variables_may_be_written_in_several_ways(
    kind_variables: MakeVariables, renamed: Callable[[str], str]
) -> None:
    variables = kind_variables(0)
    disguised = archive({renamed(name): array for name, array in variables.items()})
    expected = convert_checkpoint(archive(variables), "kind")
    assert save_weights(convert_checkpoint(disguised, "kind")) == save_weights(expected)


def test_doubles_big_ends_and_fortran_order_mean_the_same(kind_variables: MakeVariables) -> None:
    variables = kind_variables(0)
    strange = {
        name: np.asfortranarray(array.astype(">f8" if array.ndim > 1 else "<f4"))
        for name, array in variables.items()
    }
    expected = convert_checkpoint(archive(variables), "kind")
    assert save_weights(convert_checkpoint(archive(strange), "kind")) == save_weights(expected)


def test_what_was_stored_comes_back_with_its_ratio(kind_variables: MakeVariables) -> None:
    content = save_weights(convert_checkpoint(archive(kind_variables()), "kind", {"ratio": 0.25}))
    for again in (load_weights(content), convert_checkpoint(content, "kind")):
        assert again.config == {"restoration_channels": 2, "ratio": 0.25}
        network = build_network(again)
        assert isinstance(network, KinD)
        assert network.ratio == 0.25
        assert save_weights(again) == content


def test_one_of_the_two_archives_is_not_enough(kind_variables: MakeVariables) -> None:
    error = rejection(archive(of(kind_variables(), "DecomNet")))
    assert "missing: adjustment.en_conv_1.bias, adjustment.en_conv_1.weight" in error.message
    assert "give those of decomposition and of illumination adjustment together" in error.cure
    error = rejection(archive(of(kind_variables(), "Illumination")))
    assert "missing: decomposition.g_conv10.bias" in error.message


def test_tensors_that_come_twice_are_named(kind_variables: MakeVariables) -> None:
    decomposition = of(kind_variables(), "DecomNet")
    error = rejection([archive(decomposition), archive(decomposition)])
    assert "Two parts of the checkpoint have the same tensors: DecomNet/g_conv10/biases" in error.message
    dotted = {name.replace("/", "."): array for name, array in decomposition.items()}
    error = rejection([archive(decomposition), archive(dotted)])
    assert "has 'decomposition.g_conv" in error.message
    assert "twice" in error.message


def test_other_networks_are_told_apart(kind_variables: MakeVariables) -> None:
    other = archive({"g_conv1_1/weights": np.zeros((3, 3, 4, 32)), "Variable_1": np.zeros((2, 2, 4, 4))})
    error = rejection(other)
    assert error.message == "This is a TensorFlow archive of another network, not a KinD network."
    assert "It holds Variable_1, g_conv1_1/weights." in error.cure
    for content in (
        archive(kind_variables()),
        save_weights(convert_checkpoint(archive(kind_variables()), "kind")),
    ):
        error = rejection(content, "cyclegan")
        assert error.message == "This is a KinD network, not a CycleGAN generator."
        assert error.cure == "Import it as 'kind'."


def huge() -> bytes:
    """2 GiB of zeros, which take 2 MB as a zip."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy(np.zeros(8)))
    # the directory alone says how large it is: the bomb itself need not be made
    data = bytearray(content.getvalue())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (MOST_BYTES + 1).to_bytes(4, "little")
    return bytes(data)


def claiming(shape: tuple[int, ...]) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"shape": shape, "fortran_order": False, "descr": "<f4"})
    return content.getvalue() + bytes(64)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (members({"a.npy": npy(np.array([{"a": 1}], dtype=object))}), "'a' holds Python objects"),
        (members({"a.npy": claiming((2**40, 3))}), "do not fill it"),
        (members({"a.npy": claiming((-4, -4))}), "cannot be read"),
        (members({"a.npy": npy(np.zeros(3, complex))}), "which no tensor has"),
        (members({"a.npy": npy(np.array(["text"]))}), "which no tensor has"),
        (members({"a.npy": b"no array"}), "cannot be read"),
        (members({"a.npy": b""}), "cannot be read"),
        (members({"a.npy": npy(np.zeros(3))[:-5]}), "do not fill it"),
        (archive({"a": np.zeros(500)})[:300], "cannot be read"),
        (archive({"a": np.zeros(500)}).replace(b"\0" * 64, b"\1" * 64, 1), "cannot be read"),
        (huge(), "would be larger than 1024 MiB"),
    ],
)
def test_damaged_and_dangerous_archives_are_refused(content: bytes, message: str) -> None:
    assert message in rejection(content).message


def test_an_archive_with_a_name_twice_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a.npy", npy(np.zeros(3)))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.npy", npy(np.zeros(3)))
    assert "two arrays of one name" in rejection(content.getvalue()).message


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_a_byte_is_changed_to_the_file_is_refused_in_words(data: st.DataObject) -> None:
    whole = archive({"a": np.arange(6.0), "b": np.zeros((2, 3), np.float32)})
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= data.draw(st.integers(1, 255))
    assert rejection(bytes(damaged)).message


def test_parts_of_the_network_stand_alone() -> None:
    reflectance, light = Decomposition()(noise(0, 2, 8))
    assert (reflectance.shape, light.shape) == ((2, 3, 8, 8), (2, 1, 8, 8))
    assert Adjustment()(light, torch.tensor([0.5, 2.0])).shape == light.shape
