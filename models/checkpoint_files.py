"""Reading checkpoint files of unknown origin: tensors and their names, nothing else, whatever is inside."""

import io
import json
import pickle
import re
import struct
from collections.abc import Collection, Mapping

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from models.errors import CheckpointRejected
from models.layouts import State
from models.npz_files import is_npz, read_npz

NAMED_AT_MOST = 5
WHOLE = "Is it whole, and saved by torch.save?"

# What torch and pickle raise for files that are cut short, damaged or made up.
_UNREADABLE = (
    RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError,
    ArithmeticError, AssertionError, ImportError, struct.error,
)  # fmt: skip


def read_checkpoint(content: bytes) -> tuple[State, dict[str, str]]:
    """Named tensors, without the wrappers that trainers put around them, and a safetensors file's metadata.

    The format is seen from the content: a safetensors file begins with a length of 8 bytes and a JSON object,
    a NumPy archive is a zip of arrays.

    Raises:
        CheckpointRejected: the file is damaged, or holds more than tensors.
    """
    if content[8:9] == b"{":
        state, metadata = read_safetensors(content)
        return _plain(state), metadata
    if is_npz(content):
        return _plain(read_npz(content)), {}
    return _plain(_read_pickle(content)), {}


def read_safetensors(content: bytes) -> tuple[State, dict[str, str]]:
    """The tensors and the metadata of a safetensors file."""
    try:
        state = safetensors.torch.load(content)
        (header_bytes,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + header_bytes])
    except (SafetensorError, *_UNREADABLE) as error:
        raise CheckpointRejected(f"The safetensors file cannot be read: {error}.") from error
    return state, header.get("__metadata__", {})


def _read_pickle(content: bytes) -> object:
    """What `torch.save` wrote, as long as it is made of tensors, numbers, strings and containers of them."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message suggests to load without the protection, so it is not passed on.
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            raise CheckpointRejected("The checkpoint cannot be read: it is damaged or none.", WHOLE) from None
        raise CheckpointRejected(
            f"The file holds Python objects beside tensors, such as {named[1]}; reading them could run code.",
            "Save the generator's state_dict alone, or as safetensors, and import that.",
        ) from None
    except _UNREADABLE as error:
        raise CheckpointRejected(f"The checkpoint cannot be read: {_reason(error)}.", WHOLE) from error


def _reason(error: Exception) -> str:
    """The first sentence of a long message."""
    return str(error).partition("\n")[0].partition(". ")[0].rstrip(".") or type(error).__name__


def _plain(content: object) -> State:
    """Named tensors, without the wrappers that trainers put around them."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointRejected("The file holds no named tensors.", "Save the generator's state_dict.")
    strangers = [str(key) for key, value in content.items() if not _is_plain_tensor(value)]
    if strangers:
        raise CheckpointRejected(
            f"Not only tensors in the file: {listed(strangers)}.", "Save the generator's state_dict alone."
        )
    state = {str(key): tensor for key, tensor in content.items()}
    while all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return state


def _is_plain_tensor(value: object) -> bool:
    """Neither sparse nor quantised, nor of a made-up size that its bytes do not fill."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def listed(names: Collection[str]) -> str:
    """At most five names and the number of the others."""
    ordered = sorted(names)
    rest = len(ordered) - NAMED_AT_MOST
    return ", ".join(ordered[:NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")
