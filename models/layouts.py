"""Which checkpoint layouts there are, how to tell them apart and what to put right in each."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.errors import CheckpointRejected
from models.generators.cut import CUT
from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from models.generators.kind import KinD
from models.generators.network import NetworkGenerator
from models.generators.sci import SCI
from models.generators.zero_dce import ZeroDCE

State = dict[str, Tensor]

RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True, slots=True)
class Layout:
    """A network whose checkpoints can be imported.

    `kind`: what such a file is, in words. `clean` puts right what other versions of the original code wrote
    differently, and raises `CheckpointRejected` for relatives of the network that only look alike. `hint`:
    what may be wrong with a file whose tensors do not fit.
    """

    title: str
    paper: str
    kind: str
    network: type[NetworkGenerator]
    clean: Callable[[State], State]
    hint: str = "Is it the generator's file (such as latest_net_G_A.pth) of the published architecture?"


def clean_resnet(state: State) -> State:
    """Statistics of old instance norms go, second convolutions after a dropout move back to their place."""
    if any(key.startswith("model.2.") and key.endswith(".weight") for key in state):
        raise CheckpointRejected(
            f"This is {kind_of(state)} with batch normalisation.",
            "Nightshift builds the published one: train with --norm instance.",
        )
    kept = {key: tensor for key, tensor in state.items() if not key.endswith(RUNNING_STATISTICS)}
    return {_without_dropout(key, kept): tensor for key, tensor in kept.items()}


def _without_dropout(key: str, state: Mapping[str, Tensor]) -> str:
    """Training with dropout put one more layer into each residual block, before its second convolution."""
    shifted = re.fullmatch(r"(model\.\d+\.conv_block)\.6\.(weight|bias)", key)
    if shifted is None or f"{shifted[1]}.5.{shifted[2]}" in state:
        return key
    return f"{shifted[1]}.5.{shifted[2]}"


def clean_enlightengan(state: State) -> State:
    """Batch norms saved by torch before 0.4.1 did not count their batches; the count has no effect."""
    norms = [key.removesuffix("running_mean") for key in state if key.endswith("running_mean")]
    counts = {f"{norm}num_batches_tracked": torch.zeros((), dtype=torch.int64) for norm in norms}
    return counts | state


def clean_sci(state: State) -> State:
    """The teacher of the training goes, and so does the copy of the block that the original's file has."""
    for key, tensor in state.items():
        twin = key.replace("enhance.blocks.0.", "enhance.conv.")
        if twin != key and not torch.equal(state.get(twin, tensor), tensor):
            raise CheckpointRejected(
                f"In this SCI checkpoint {key!r} and {twin!r} differ: blocks do not share their weights.",
                "Nightshift builds the published one, whose blocks do.",
            )
    return {key: tensor for key, tensor in state.items() if not _SCI_IN_TRAINING.fullmatch(key)}


# what else there is in a checkpoint of SCI; anything beyond that is surplus, and named
_SCI_IN_TRAINING = re.compile(
    r"enhance\.blocks\.0\.[01]\.\w+|calibrate\.(in_conv\.[01]|convs\.[0134]|blocks\.[012]\.[0134]|out_conv\.0)\.\w+"
)


def clean_kind(state: State) -> State:
    """Variables of the released TensorFlow code become parameters: `DecomNet/g_conv1_1/weights:0` becomes
    `decomposition.g_conv1_1.weight`. Kernels have height and width first there, and in and out (of transposed
    convolutions, out and in) in the opposite order. What a file of ours has stays as it is.
    """
    cleaned: State = {}
    for key, tensor in state.items():
        name, ours = key, tensor
        if variable := _KIND_VARIABLE.fullmatch(key):
            network, layer, part = variable.groups()
            name = f"{_KIND_NETWORKS[network]}.{layer}.{'weight' if part == 'weights' else 'bias'}"
            ours = tensor.permute(3, 2, 0, 1) if part == "weights" and tensor.ndim == 4 else tensor
        if name in cleaned:
            raise CheckpointRejected(f"The checkpoint has {name!r} twice, the second time as {key!r}.")
        cleaned[name] = ours
    return cleaned


_KIND_NETWORKS = {
    "DecomNet": "decomposition",
    "Illumination_adjust_net": "adjustment",
    "Restoration_net": "restoration",
}
_KIND_VARIABLE = re.compile(rf"({'|'.join(_KIND_NETWORKS)})[./](\w+)[./](weights|biases)(?::0)?")
_OF_KIND = re.compile(
    rf"({'|'.join(_KIND_NETWORKS)})[./]\w+[./].*|(decomposition\.[gl]|adjustment\.en|restoration\.de)_conv.*"
)
_OF_TENSORFLOW = re.compile(r"(.+[./])?(weights|biases|kernel|Variable(_\d+)?)(:0)?")


LAYOUTS: Mapping[str, Layout] = {
    "cut": Layout(
        "CUT and FastCUT, anti-aliased ResNet generator",
        "arXiv:2007.15651",
        "a CUT generator",
        CUT,
        clean_resnet,
    ),
    "cyclegan": Layout(
        "CycleGAN, ResNet generator", "arXiv:1703.10593", "a CycleGAN generator", CycleGAN, clean_resnet
    ),
    "enlightengan": Layout(
        "EnlightenGAN, attention U-Net",
        "arXiv:1906.06972",
        "an EnlightenGAN generator",
        EnlightenGAN,
        clean_enlightengan,
    ),
    "kind": Layout(
        "KinD, reflectance and illumination apart",
        "arXiv:1905.04161",
        "a KinD network",
        KinD,
        clean_kind,
        "KinD's three networks have a file each: give those of decomposition and of illumination adjustment"
        " together, and restoration's if there is one.",
    ),
    "sci": Layout("SCI, self-calibrated illumination", "arXiv:2204.10137", "an SCI enhancer", SCI, clean_sci),
    "zero-dce": Layout(
        "Zero-DCE, curves for each pixel", "arXiv:2001.06826", "a Zero-DCE enhancer", ZeroDCE, dict
    ),
}


def kind_of(state: Mapping[str, Tensor]) -> str | None:
    """What a checkpoint is, in words, judged by the places and shapes its tensors have; None if unknown."""
    for words, is_it in _KINDS:
        if is_it(state):
            return words
    return None


def _kernel(state: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    return tuple(state[key].shape[2:]) if key in state else ()


# The first that fits is the answer, so look-alikes stand before what they look like.
_KINDS: tuple[tuple[str, Callable[[Mapping[str, Tensor]], bool]], ...] = (
    ("a PatchGAN discriminator", lambda state: _kernel(state, "model.0.weight") == (4, 4)),
    (
        "a U-Net generator of the pix2pix family",
        lambda state: any(k.startswith("model.model.") for k in state),
    ),
    ("a CUT generator", lambda state: any(key.endswith(".filt") for key in state)),
    ("a CycleGAN generator", lambda state: _kernel(state, "model.1.weight") == (7, 7)),
    ("an EnlightenGAN generator", lambda state: {"conv1_1.weight", "deconv5.weight"} <= state.keys()),
    ("the patch network of CUT", lambda state: "mlp_0.0.weight" in state),
    ("a KinD network", lambda state: any(_OF_KIND.fullmatch(key) for key in state)),
    (
        "a TensorFlow archive of another network",
        lambda state: any(_OF_TENSORFLOW.fullmatch(key) for key in state),
    ),
    ("an SCI enhancer", lambda state: any(key.startswith("enhance.") for key in state)),
    ("a Zero-DCE enhancer", lambda state: any(key.startswith("e_conv1.") for key in state)),
)
