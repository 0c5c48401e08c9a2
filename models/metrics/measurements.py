"""The measured frames of a set: rows in order of their numbers, merged and stored without a loss.

Rows are kept rather than running sums: floating point sums depend on their order, so sums of shards would
differ from one pass in the last digits, and KID needs every frame's features anyway. With rows, shards
merged in any order are one pass, bit for bit. A row of the bundled backbone takes about 570 bytes.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from models.checkpoint_files import read_safetensors
from models.errors import CheckpointRejected
from models.metrics.errors import MeasurementsRejected
from models.metrics.frame import BRIGHTNESS_BINS, FrameMeasurement

# How each number of a row is stored. Features are of half precision from birth, so this loses nothing.
DTYPES: dict[str, type[np.generic]] = {
    "features": np.float16,
    "night": np.float64,
    "niqe": np.float64,
    "noise": np.float64,
    "luma": np.float64,
    "brightness": np.uint32,
    "similarity_inside": np.float64,
    "boxes": np.int64,
    "similarity_outside": np.float64,
}


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What the numbers depend on beside the frames: only those of one yardstick are merged.

    `backbone_sha256`: of the weights file. `niqe_sha256`: of the pristine model.
    """

    backbone: str
    backbone_sha256: str
    dim: int
    niqe_sha256: str


class Measurements:
    """The rows of a set's frames.

    Args:
        name: of the set, for reports.
    """

    def __init__(self, yardstick: Yardstick, name: str = "") -> None:
        self.yardstick = yardstick
        self.name = name
        self._rows: dict[int, FrameMeasurement] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[int, FrameMeasurement]]:
        """Frames in order of their numbers."""
        return iter(sorted(self._rows.items()))

    def add(self, number: int, measurement: FrameMeasurement) -> None:
        """Args:
        number: of the frame in its set; each counts once.
        """
        if number in self._rows:
            raise ValueError(f"frame {number} was measured already")
        if len(measurement.features) != self.yardstick.dim:
            raise ValueError(f"expected {self.yardstick.dim} features, got {len(measurement.features)}")
        self._rows[number] = measurement

    def merge(self, others: "Iterable[Measurements]") -> None:
        """Takes in the rows of other parts of the set, such as of its shards, in any order.

        Raises:
            MeasurementsRejected: parts were measured by another yardstick, or share a frame.
        """
        for other in others:
            if other.yardstick != self.yardstick:
                raise MeasurementsRejected(
                    f"Measured by {other.yardstick} and {self.yardstick}.",
                    "Measure all parts with the same backbone.",
                )
            shared = self._rows.keys() & other._rows.keys()
            if shared:
                raise MeasurementsRejected(f"Frame {min(shared)} is in two parts.", "Merge each part once.")
            self._rows.update(other._rows)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Each number of a `FrameMeasurement` for all frames, in their order: (N,), (N, dim), (N, bins)."""
        rows = [row for _, row in self]
        widths = {"features": (self.yardstick.dim,), "brightness": (BRIGHTNESS_BINS,)}
        return {
            # reshaped so that no frames are an array of their width, too
            name: np.array([getattr(row, name) for row in rows], dtype).reshape(-1, *widths.get(name, ()))
            for name, dtype in DTYPES.items()
        }

    def to_bytes(self) -> bytes:
        """A safetensors file. Same rows, same bytes."""
        numbers = np.array(sorted(self._rows), np.int64)
        about = json.dumps({"name": self.name, **asdict(self.yardstick)}, sort_keys=True)
        return safetensors.numpy.save({"number": numbers, **self.columns()}, {"measurements": about})

    @classmethod
    def from_bytes(cls, content: bytes) -> "Measurements":
        """What `to_bytes` wrote.

        Raises:
            MeasurementsRejected: it is damaged, or something else.
        """
        try:
            tensors, metadata = read_safetensors(content)
            about = json.loads(metadata["measurements"])
            measurements = cls(name=about.pop("name"), yardstick=Yardstick(**about))
            columns = {name: tensors[name].numpy() for name in ("number", *DTYPES)}
            numbers = columns.pop("number").tolist()
            for index, number in enumerate(numbers):
                row = {name: column[index] for name, column in columns.items()}
                measurements.add(number, FrameMeasurement(**_plain(row)))
        except (CheckpointRejected, LookupError, ValueError, TypeError) as error:
            raise MeasurementsRejected(
                f"These are no measurements: {error}.", "Measure the frames again."
            ) from error
        return measurements


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Scalars of numpy as those of Python."""
    return {name: value if isinstance(value, np.ndarray) else value.item() for name, value in row.items()}
