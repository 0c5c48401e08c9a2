"""What a detector's process is told survives the way there."""

import json
from pathlib import Path

import pytest

from models.detection.orders import (
    LabelledFile,
    Order,
    PredictOrder,
    TrainOrder,
    order_from_json,
    order_to_json,
    read_frames,
    write_frames,
)

TRAIN = TrainOrder("yolov8n", ("car", "bus"), Path("a"), Path("b"), Path("c"), steps=7, epochs=3)


@pytest.mark.parametrize(
    "order",
    [
        TRAIN,
        TrainOrder("best", ("a",), Path("a"), Path("b"), Path("c"), steps=1, epochs=1, weights=Path("w.pt")),
        PredictOrder(Path("w"), Path("f"), Path("o"), image_px=320, batch=2, device="cuda:1"),
    ],
)
def test_an_order_survives_json(order: Order) -> None:
    assert order_from_json(json.loads(json.dumps(order_to_json(order)))) == order


def test_lists_of_frames_are_read_as_written(tmp_path: Path) -> None:
    frames = [
        LabelledFile(Path("a b.jpg"), (320, 640), ((0.0, 0.5, 0.5, 0.1, 0.2), (3.0, 0.1, 0.2, 0.1, 0.1))),
        LabelledFile(Path("ü\n.png"), (1, 2)),
    ]
    write_frames(tmp_path / "list", frames)
    assert list(read_frames(tmp_path / "list")) == frames


def test_steps_are_rounded_up_to_whole_epochs() -> None:
    assert TRAIN.steps_per_epoch == 3


def test_fewer_steps_than_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="2 steps cannot be cut into 3 epochs"):
        TrainOrder("yolov8n", ("car",), Path("a"), Path("b"), Path("c"), steps=2, epochs=3)
