"""Reading NumPy archives of unknown origin: arrays of numbers and their names, nothing else.

KinD's weights travel as such: what was a TensorFlow checkpoint, one array for each variable.
"""

import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from models.errors import CheckpointRejected

MOST_BYTES = 2**30  # of all arrays together, unpacked
_NUMBERS = "fiub"  # NumPy's kinds of dtypes: floating, signed, unsigned, boolean
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

# what zipfile and numpy raise for files that are cut short, damaged, encrypted or made up
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, EOFError, OSError,
    ValueError, TypeError, LookupError, RuntimeError, MemoryError,
)  # fmt: skip


def is_npz(content: bytes) -> bool:
    """Whether it is a zip of `.npy` members alone; what `torch.save` writes is a zip, too."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except _UNREADABLE:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_npz(content: bytes) -> dict[str, Tensor]:
    """The arrays by their names, in native byte order.

    Raises:
        CheckpointRejected: the archive is damaged, holds Python objects, is larger than it says or than any
            network here.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MOST_BYTES:
                raise CheckpointRejected(
                    f"Unpacked, the archive would be larger than {MOST_BYTES >> 20} MiB.",
                    "Store the network's tensors alone.",
                )
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names):
                raise CheckpointRejected("The archive has two arrays of one name.")
            # zipfile never unpacks more of a member than the directory says
            return {
                name: _tensor(name, archive.read(member)) for name, member in zip(names, members, strict=True)
            }
    except _UNREADABLE as error:
        raise CheckpointRejected(
            f"The NumPy archive cannot be read: {error}.", "Is it whole, and saved by numpy.savez?"
        ) from error


def _tensor(name: str, member: bytes) -> Tensor:
    stream = io.BytesIO(member)
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{name!r} is of the unknown version {version}")
    shape, _, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise CheckpointRejected(
            f"The array {name!r} holds Python objects; reading them could run code.",
            "Save arrays of numbers alone (numpy.savez refuses others with allow_pickle=False).",
        )
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"{name!r} is of the type {dtype}, which no tensor has")
    # before numpy sets aside memory for what a header says
    if math.prod(shape) * dtype.itemsize != len(member) - stream.tell():
        raise ValueError(f"{name!r} says to be of shape {shape}, but its {len(member)} bytes do not fill it")
    stream.seek(0)
    array = npy.read_array(stream, allow_pickle=False)
    return torch.from_numpy(np.ascontiguousarray(array, dtype.newbyteorder("=")))
