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
from models.generators.network import NetworkGenerator

State = dict[str, Tensor]

RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True, slots=True)
class Layout:
    """A network whose checkpoints can be imported.

    `clean` puts right what other versions of the original code wrote differently, and raises
    `CheckpointRejected` for relatives of the network that only look alike.
    """

    title: str
    network: type[NetworkGenerator]
    clean: Callable[[State], State]


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


LAYOUTS: Mapping[str, Layout] = {
    "cut": Layout("a CUT generator", CUT, clean_resnet),
    "cyclegan": Layout("a CycleGAN generator", CycleGAN, clean_resnet),
    "enlightengan": Layout("an EnlightenGAN generator", EnlightenGAN, clean_enlightengan),
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
    ("an SCI enhancer", lambda state: any(key.startswith("enhance.") for key in state)),
    ("a Zero-DCE enhancer", lambda state: any(key.startswith("e_conv1.") for key in state)),
)
