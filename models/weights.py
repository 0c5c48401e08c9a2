"""Weights on their way from an original checkpoint to the network: read, put right, checked, stored.

Checkpoints are read as tensors only, never as Python objects. What is stored is safetensors, with the
architecture and its config beside the tensors, and comes back bit for bit.
"""

import inspect
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from models.checkpoint_files import listed, read_checkpoint, read_safetensors
from models.errors import CheckpointRejected, UnknownGenerator
from models.generators.network import ConfigValue, NetworkGenerator
from models.layouts import LAYOUTS, Layout, State, kind_of


@dataclass(frozen=True, slots=True)
class ConvertedWeights:
    """Tensors that fit their network strictly, and what its constructor takes."""

    architecture: str
    state: State
    config: dict[str, ConfigValue]


def convert_checkpoint(
    source: Path | bytes | Sequence[Path | bytes],
    architecture: str,
    options: Mapping[str, ConfigValue] | None = None,
) -> ConvertedWeights:
    """The weights in a checkpoint of the original code (`.pth`, `.pt`, `.npz`) or in a safetensors file.

    Args:
        source: the file or its bytes; the format is seen from the content, not from the name. Several are
            parts of one checkpoint: their tensors belong together.
        architecture: a name in `models.layouts.LAYOUTS`.
        options: what the tensors do not show, such as `align_corners` of an EnlightenGAN.

    Raises:
        CheckpointRejected: naming what the file is, or which tensors are missing, surplus or misshapen.
        UnknownGenerator: there is no such architecture.
    """
    layout = _layout(architecture)
    contents = [_content(part) for part in ([source] if isinstance(source, Path | bytes) else source)]
    parts = [read_checkpoint(content) for content in contents]
    state = _together([part for part, _ in parts])
    _reject_other_kinds(state, layout)
    state = layout.clean(state)
    # a file that `save_weights` wrote keeps what it says of itself
    is_stored = len(parts) == 1 and "network" in parts[0][1]
    stored = load_weights(contents[0]).config if is_stored else {}
    _reject_unknown_options(layout, options or {})
    config = {**layout.network.config_of(state), **stored, **(options or {})}
    _reject_misfits(state, layout, config)
    return ConvertedWeights(architecture, {key: _own(tensor) for key, tensor in state.items()}, config)


def save_weights(weights: ConvertedWeights, path: Path | None = None) -> bytes:
    """The weights as a safetensors file, written to `path` if one is given. Same weights, same bytes."""
    network = {"architecture": weights.architecture, "config": weights.config}
    # One entry only: safetensors writes several in an order that changes from run to run.
    content = safetensors.torch.save(weights.state, {"network": json.dumps(network, sort_keys=True)})
    if path is not None:
        path.write_bytes(content)
    return content


def load_weights(source: Path | bytes) -> ConvertedWeights:
    """What `save_weights` stored.

    Raises:
        CheckpointRejected: the file is damaged, or was not written by `save_weights`.
    """
    state, metadata = read_safetensors(_content(source))
    try:
        network = json.loads(metadata["network"])
        architecture, config = network["architecture"], network["config"]
    except (LookupError, ValueError, TypeError):
        raise CheckpointRejected(
            "The file does not say which network its tensors belong to.",
            "Import the original checkpoint first (`convert_checkpoint`, then `save_weights`).",
        ) from None
    layout = _layout(architecture)
    _reject_misfits(state, layout, config)
    return ConvertedWeights(architecture, state, config)


def build_network(weights: ConvertedWeights) -> NetworkGenerator:
    """The network with its weights loaded, on the CPU."""
    return _layout(weights.architecture).network.build_from_state(weights.state, **weights.config)


def _layout(architecture: str) -> Layout:
    if architecture not in LAYOUTS:
        raise UnknownGenerator(architecture, LAYOUTS)
    return LAYOUTS[architecture]


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _together(parts: Sequence[State]) -> State:
    together: State = {}
    for part in parts:
        twice = together.keys() & part.keys()
        if twice:
            raise CheckpointRejected(
                f"Two parts of the checkpoint have the same tensors: {listed(twice)}.", "Give each file once."
            )
        together |= part
    return together


def _own(tensor: Tensor) -> Tensor:
    """A contiguous copy; halves and doubles become float32."""
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(dtype, copy=True, memory_format=torch.contiguous_format)


def _reject_other_kinds(state: State, layout: Layout) -> None:
    kind = kind_of(state)
    if kind is None or kind == layout.kind:
        return
    importable = next((name for name, other in LAYOUTS.items() if other.kind == kind), None)
    unknown = f"Its layout is not supported yet. It holds {listed(state)}."
    cure = f"Import it as {importable!r}." if importable else unknown
    raise CheckpointRejected(f"This is {kind}, not {layout.kind}.", cure)


def _reject_unknown_options(layout: Layout, options: Mapping[str, ConfigValue]) -> None:
    known = list(inspect.signature(layout.network).parameters)
    for name in options:
        if name not in known:
            raise CheckpointRejected(
                f"There is no option {name!r} for {layout.kind}.", f"It has: {', '.join(known)}."
            )


def _reject_misfits(state: State, layout: Layout, config: Mapping[str, ConfigValue]) -> None:
    """Compares with the network built without memory, so that made-up sizes cost nothing."""
    try:
        with torch.device("meta"):
            expected = layout.network(**config).state_dict()
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointRejected(f"Cannot build {layout.kind} with {dict(config)}: {error}.") from error
    faults: dict[str, Collection[str]] = {
        "missing": expected.keys() - state.keys(),
        "surplus": state.keys() - expected.keys(),
        "of another shape": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
            for key, tensor in expected.items()
            if key in state and state[key].shape != tensor.shape
        ],
    }
    if not any(faults.values()):
        # only now, when shapes are known to be those of the network, are values looked at
        faults["not finite"] = [key for key, tensor in state.items() if not tensor.isfinite().all()]
    found = [f"{fault}: {listed(names)}" for fault, names in faults.items() if names]
    if found:
        raise CheckpointRejected(f"The tensors do not fit {layout.kind}: {'; '.join(found)}.", layout.hint)
