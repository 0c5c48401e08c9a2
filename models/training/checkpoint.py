"""A training on disk: one file, always whole, with tensors and plain values only."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.checkpoint_files import listed
from models.errors import CheckpointRejected

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training stands after `step` updates.

    `recipe`: as nested tables. `images`: fingerprints of the day and the night images. `state`: what the
    training step gave: networks, optimisers, pools with their dice, averages. No other random state
    exists: batches follow from the seed and the step. `processes`: that trained together.
    """

    paper: str
    step: int
    recipe: Mapping[str, Any]
    images: Mapping[str, str]
    state: Mapping[str, Any]
    processes: int = 1


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """A process that is killed meanwhile leaves the checkpoint before this one."""
    content = {
        "format": FORMAT,
        "paper": checkpoint.paper,
        "step": checkpoint.step,
        "recipe": dict(checkpoint.recipe),
        "images": dict(checkpoint.images),
        "state": dict(checkpoint.state),
        "processes": checkpoint.processes,
    }
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_whole(content: bytes, path: Path) -> None:
    """Either the file before or all of this one."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    temporary.replace(path)


def read_checkpoint(path: Path) -> Checkpoint:
    """What `write_checkpoint` wrote; files that hold more than tensors and plain values are refused.

    Raises:
        CheckpointRejected: the file is damaged, or not of a training.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, OSError) as error:
        # torch's own message suggests to load without the protection, so it is not passed on
        raise CheckpointRejected(
            f"The checkpoint {str(path)!r} cannot be read: it is damaged, or holds Python objects"
            " beside tensors, which could run code.",
            "Start afresh in another folder.",
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointRejected(
            f"{str(path)!r} is not the checkpoint of a training.",
            "To continue from a generator's weights, there is no way yet: start afresh.",
        )
    names = [each.name for each in fields(Checkpoint)]
    return Checkpoint(**{name: content[name] for name in names if name in content})


def reject_other_architecture(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Holds the tensors of a checkpoint against those of the networks they are meant for.

    Raises:
        CheckpointRejected: naming the keys that differ.
    """
    shapes = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in found and found[key].shape != tensor.shape
    ]
    faults = {
        "missing": expected.keys() - found.keys(),
        "surplus": found.keys() - expected.keys(),
        "of another shape": shapes,
    }
    differences = [f"{fault}: {listed(names)}" for fault, names in faults.items() if names]
    if differences:
        raise CheckpointRejected(
            f"The checkpoint is of another architecture: {'; '.join(differences)}.",
            "Resume with the recipe it was trained with, or start afresh in another folder.",
        )


def not_finite(state: Mapping[str, Any]) -> list[str]:
    """Names of the tensors with NaN or infinite values, through nested mappings and sequences."""
    return [name for name, tensor in _tensors(state, "") if not bool(tensor.isfinite().all())]


def _tensors(value: Any, name: str) -> list[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        return [(name, value)] if value.is_floating_point() else []
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    return [found for key, inner in items for found in _tensors(inner, f"{name}.{key}" if name else str(key))]
