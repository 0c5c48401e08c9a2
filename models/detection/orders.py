"""What a detector's process is asked to do, and the lists of frames that go with it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """An image on this disk with its boxes: rows of category, then centre x, centre y, width and height as
    shares of the image (YOLO's form). `shape_px` is (height, width).
    """

    file: Path
    shape_px: tuple[int, int]
    boxes: tuple[tuple[float, float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """Train a detector for exactly `steps` updates, in `epochs` equal parts.

    `detector`: a network's name, whose weights are drawn by `seed`, unless `weights`, a checkpoint of
    Ultralytics, is given. An epoch is not a pass over the list: it is `steps / epochs` batches, whatever the
    list's length, and every frame is shown equally often. `frames` and `validation` are files of
    `write_frames`; the weights that do best on the validation frames become `best.pt` in `folder`, and
    `patience` epochs without a better result end the training. `precision`: "float32", or whatever
    is fastest: bfloat16 on a GPU that has it, float32 elsewhere. If `folder` holds a `last.pt`, the training
    goes on from there.
    """

    detector: str
    categories: tuple[str, ...]
    frames: Path
    validation: Path
    folder: Path
    steps: int
    epochs: int
    batch: int = 16
    image_px: int = 640
    patience: int = 100
    seed: int = 0
    optimizer: str = "AdamW"
    learning_rate: float = 0.001
    weights: Path | None = None
    device: str = ""
    precision: str = ""

    def __post_init__(self) -> None:
        if not (1 <= self.epochs <= self.steps):
            raise ValueError(f"{self.steps} steps cannot be cut into {self.epochs} epochs")

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.steps // self.epochs)


@dataclass(frozen=True, slots=True)
class PredictOrder:
    """Look at frames with a trained detector and write what it sees to `out` (`read_detections` reads it)."""

    weights: Path
    frames: Path
    out: Path
    image_px: int = 640
    batch: int = 16
    device: str = ""


Order = TrainOrder | PredictOrder
KINDS: Mapping[str, type[TrainOrder] | type[PredictOrder]] = {"train": TrainOrder, "predict": PredictOrder}
PATHS = frozenset({"frames", "validation", "folder", "weights", "out"})


def order_to_json(order: Order) -> dict[str, Any]:
    kind = next(name for name, known in KINDS.items() if isinstance(order, known))
    values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(order).items()}
    return {"kind": kind, **values}


def order_from_json(data: Mapping[str, Any]) -> Order:
    values = {name: value for name, value in data.items() if name != "kind"}
    for name in PATHS & values.keys():
        values[name] = None if values[name] is None else Path(values[name])
    if "categories" in values:
        values["categories"] = tuple(values["categories"])
    return KINDS[data["kind"]](**values)


def write_frames(path: Path, frames: Iterable[LabelledFile]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for frame in frames:
            line = {"file": str(frame.file), "shape_px": frame.shape_px, "boxes": frame.boxes}
            file.write(json.dumps(line) + "\n")


def read_frames(path: Path) -> Iterator[LabelledFile]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            data = json.loads(line)
            height, width = data["shape_px"]
            yield LabelledFile(Path(data["file"]), (height, width), tuple(map(tuple, data["boxes"])))
