import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.errors import CheckpointRejected, UnknownGenerator
from models.generators.enlightengan import EnlightenGAN
from models.layouts import LAYOUTS
from models.weights import ConvertedWeights, build_network, convert_checkpoint, load_weights, save_weights

State = dict[str, Tensor]
MakeState = Callable[..., State]


def saved(content: object, **how: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


def assert_same(left: State, right: State) -> None:
    assert left.keys() == right.keys()
    assert all(left[key].dtype == right[key].dtype and torch.equal(left[key], right[key]) for key in left)


def instance_statistics(channels: int) -> State:
    return {
        "model.2.running_mean": torch.zeros(channels),
        "model.2.running_var": torch.ones(channels),
        "model.2.num_batches_tracked": torch.tensor(3),
        "model.10.conv_block.2.running_mean": torch.zeros(4 * channels),
    }


def with_dropout(state: State) -> State:
    return {key.replace("conv_block.5", "conv_block.6"): tensor for key, tensor in state.items()}


def under_module(state: State) -> State:
    return {f"module.{key}": tensor for key, tensor in state.items()}


@pytest.mark.parametrize(
    "disguise",
    [
        pytest.param(lambda state: state, id="as published"),
        pytest.param(under_module, id="DataParallel"),
        pytest.param(lambda state: under_module(under_module(state)), id="DataParallel twice"),
        pytest.param(lambda state: {"epoch": 3, "state_dict": state}, id="within state_dict"),
        pytest.param(lambda state: {"state_dict": under_module(state)}, id="both"),
        pytest.param(lambda state: state | instance_statistics(4), id="before torch 0.4"),
        pytest.param(with_dropout, id="trained with dropout"),
        pytest.param(
            lambda state: {key: torch.nn.Parameter(tensor) for key, tensor in state.items()}, id="parameters"
        ),
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_cyclegan_checkpoints_load_however_they_were_saved(
    resnet_state: MakeState, disguise: Callable[[State], object], is_zip: bool
) -> None:
    original = resnet_state()
    content = saved(disguise(original), _use_new_zipfile_serialization=is_zip)
    weights = convert_checkpoint(content, "cyclegan")
    assert_same(weights.state, original)
    assert weights.config == {"channels": 4, "blocks": 2}
    assert_same(dict(build_network(weights).state_dict()), original)


def test_enlightengan_checkpoint_of_torch_0_3_loads(unet_state: MakeState) -> None:
    original = unet_state()
    old = {key: tensor for key, tensor in original.items() if not key.endswith("num_batches_tracked")}
    weights = convert_checkpoint(saved(under_module(old)), "enlightengan")
    counts = {key: torch.tensor(0) for key in original if key.endswith("num_batches_tracked")}
    assert len(counts) == 17
    assert_same(dict(build_network(weights).state_dict()), original | counts)


def test_enlightengan_keeps_its_running_statistics_and_counts(unet_state: MakeState) -> None:
    assert_same(convert_checkpoint(saved(unet_state()), "enlightengan").state, unet_state())


def test_half_precision_becomes_float32(resnet_state: MakeState) -> None:
    halves = {key: tensor.half() for key, tensor in resnet_state().items()}
    weights = convert_checkpoint(saved(halves), "cyclegan")
    assert_same(weights.state, {key: tensor.float() for key, tensor in halves.items()})


def test_options_reach_the_network_and_survive_the_round_trip(unet_state: MakeState, tmp_path: Path) -> None:
    weights = convert_checkpoint(saved(unet_state()), "enlightengan", {"align_corners": False})
    content = save_weights(weights, tmp_path / "weights.safetensors")
    assert (tmp_path / "weights.safetensors").read_bytes() == content
    for again in (load_weights(content), convert_checkpoint(content, "enlightengan")):
        assert again.config == {"channels": 2, "align_corners": False}
        assert again.architecture == "enlightengan"
        assert_same(again.state, weights.state)
        network = build_network(again)
        assert isinstance(network, EnlightenGAN)
        assert network.align_corners is False


def test_the_same_weights_give_the_same_file(resnet_state: MakeState) -> None:
    first, second = (save_weights(convert_checkpoint(saved(resnet_state()), "cyclegan")) for _ in range(2))
    assert first == second


def test_safetensors_of_others_and_files_on_disk_are_converted_too(
    resnet_state: MakeState, tmp_path: Path
) -> None:
    path = tmp_path / "night.safetensors"
    path.write_bytes(safetensors.torch.save(under_module(resnet_state())))
    assert_same(convert_checkpoint(path, "cyclegan").state, resnet_state())


def rejection(content: bytes, architecture: str = "cyclegan") -> CheckpointRejected:
    with pytest.raises(CheckpointRejected) as caught:
        convert_checkpoint(content, architecture)
    return caught.value


def without(state: State, *keys: str) -> State:
    return {key: tensor for key, tensor in state.items() if key not in keys}


def test_missing_surplus_and_misshapen_tensors_are_named(resnet_state: MakeState) -> None:
    state = without(resnet_state(), "model.4.bias") | {"model.99.weight": torch.zeros(1)}
    state["model.19.weight"] = torch.zeros(1, 4, 7, 7)
    message = rejection(saved(state)).message
    assert "missing: model.4.bias" in message
    assert "surplus: model.99.weight" in message
    assert "of another shape: model.19.weight (1, 4, 7, 7) instead of (3, 4, 7, 7)" in message


def test_at_most_five_names_are_listed(resnet_state: MakeState) -> None:
    surplus = {f"extra.{number}": torch.zeros(1) for number in range(8)}
    message = rejection(saved(resnet_state() | surplus)).message
    assert "surplus: extra.0, extra.1, extra.2, extra.3, extra.4 and 3 more." in message


def test_weights_that_are_not_numbers_are_refused(resnet_state: MakeState) -> None:
    state = resnet_state()
    state["model.4.weight"][0, 0, 0, 0] = torch.nan
    assert "not finite: model.4.weight" in rejection(saved(state)).message


@pytest.mark.parametrize(
    ("architecture", "tensors", "message", "cure"),
    [
        (
            "cyclegan",
            {"model.0.weight": (64, 3, 4, 4)},
            "This is a PatchGAN discriminator, not a CycleGAN",
            "",
        ),
        ("enlightengan", {"model.0.weight": (64, 3, 4, 4)}, "This is a PatchGAN discriminator", ""),
        (
            "cyclegan",
            {"conv1_1.weight": (32, 4, 3, 3), "deconv5.weight": (256, 512, 3, 3)},
            "This is an EnlightenGAN generator, not a CycleGAN generator.",
            "Import it as 'enlightengan'.",
        ),
        (
            "cut",
            {"model.1.weight": (64, 3, 7, 7)},
            "This is a CycleGAN generator, not a CUT generator.",
            "Import it as 'cyclegan'.",
        ),
        (
            "cut",
            {"model.0.weight": (64, 3, 4, 4), "model.2.filt": (64, 1, 3, 3)},
            "This is a PatchGAN discriminator, not a CUT generator.",
            "",
        ),
        ("cut", {"mlp_0.0.weight": (256, 3)}, "This is the patch network of CUT, not a CUT generator.", ""),
        (
            "enlightengan",
            {"model.1.weight": (64, 3, 7, 7)},
            "This is a CycleGAN generator, not an EnlightenGAN generator.",
            "Import it as 'cyclegan'.",
        ),
        (
            "cyclegan",
            {"model.1.weight": (64, 3, 7, 7), "model.7.filt": (128, 1, 3, 3)},
            "This is a CUT generator, not a CycleGAN generator.",
            "Import it as 'cut'.",
        ),
        (
            "cyclegan",
            {"model.model.0.weight": (64, 3, 4, 4)},
            "This is a U-Net generator of the pix2pix family, not a CycleGAN generator.",
            "Its layout is not supported yet.",
        ),
        (
            "cyclegan",
            {"enhance.in_conv.0.weight": (3, 3, 3, 3)},
            "This is an SCI enhancer, not a CycleGAN generator.",
            "Import it as 'sci'.",
        ),
        (
            "cyclegan",
            {"model.1.weight": (64, 3, 7, 7), "model.2.weight": (64,)},
            "This is a CycleGAN generator with batch normalisation.",
            "--norm instance",
        ),
    ],
)
def test_another_network_is_called_by_its_name(
    architecture: str, tensors: dict[str, tuple[int, ...]], message: str, cure: str
) -> None:
    error = rejection(saved({key: torch.zeros(shape) for key, shape in tensors.items()}), architecture)
    assert message in error.message
    assert cure in error.cure


class RunsCode:
    """Unpickled by ordinary means, this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("is_torch_file", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, is_torch_file: bool) -> None:
    trap = tmp_path / "it ran"
    content = {"model.1.weight": RunsCode(trap)}
    error = rejection(saved(content) if is_torch_file else pickle.dumps(content, protocol=2))
    assert not trap.exists()
    assert "Python objects" in error.message
    assert "state_dict alone" in error.cure


def test_a_whole_saved_module_is_refused() -> None:
    error = rejection(saved(torch.nn.Conv2d(1, 1, 1)))
    assert "such as torch.nn.modules.conv.Conv2d" in error.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved([1, 2]), "no named tensors"),
        (saved(OrderedDict()), "no named tensors"),
        (saved({"model.1.weight": torch.zeros(1), "epoch": 3}), "Not only tensors in the file: epoch."),
        (
            saved({"model.1.weight": torch.zeros(1).expand(10**12)}),
            "Not only tensors in the file: model.1.weight",
        ),
        (b"", "cannot be read"),
        (b"PK\x03\x04 and nothing more", "cannot be read"),
        (saved({"a": torch.zeros(1000)})[:700], "cannot be read"),
        (b"\x10\0\0\0\0\0\0\0{ not json at all", "safetensors file cannot be read"),
    ],
)
def test_damaged_and_foreign_files_are_refused_plainly(content: bytes, message: str) -> None:
    assert message in rejection(content).message


def test_load_weights_takes_only_what_save_weights_wrote(resnet_state: MakeState) -> None:
    with pytest.raises(CheckpointRejected, match="does not say which network"):
        load_weights(safetensors.torch.save(resnet_state()))
    with pytest.raises(CheckpointRejected, match="Cannot build a CycleGAN generator with"):
        load_weights(save_weights(ConvertedWeights("cyclegan", resnet_state(), {"width": 1})))
    with pytest.raises(CheckpointRejected, match="missing"):
        load_weights(save_weights(ConvertedWeights("cyclegan", resnet_state(), {"channels": 4, "blocks": 3})))


def test_unknown_architecture_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownGenerator, match="Did you mean 'cyclegan'"):
        convert_checkpoint(b"", "cycle-gan")


@pytest.mark.parametrize(
    ("file", "kind", "architecture"),
    [
        (file, kind, architecture)
        for file, kind in (
            ("sci_medium.pt", "an SCI enhancer"),
            ("zerodce_Epoch99.pth", "a Zero-DCE enhancer"),
        )
        for architecture, layout in LAYOUTS.items()
        if layout.kind != kind
    ],
)
def test_published_weights_of_other_networks_are_recognised(
    real_weights: Path, file: str, kind: str, architecture: str
) -> None:
    assert f"This is {kind}" in rejection((real_weights / file).read_bytes(), architecture).message
