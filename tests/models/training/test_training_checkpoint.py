from pathlib import Path

import pytest
import torch

from models.errors import CheckpointRejected
from models.training.checkpoint import (
    Checkpoint,
    not_finite,
    read_checkpoint,
    reject_other_architecture,
    write_checkpoint,
    write_whole,
)


@pytest.fixture
def checkpoint() -> Checkpoint:
    state = {"networks": {"G_A.w": torch.rand(2, 3)}, "pools": {"D_A": {"images": [torch.rand(3)]}}}
    return Checkpoint("cyclegan", 7, {"seed": 1, "data": {"flip": True}}, {"day": "a"}, state)


def test_a_checkpoint_comes_back_bit_for_bit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_checkpoint(checkpoint, tmp_path / "c.pt")
    back = read_checkpoint(tmp_path / "c.pt")
    assert (back.paper, back.step, back.recipe, back.images) == (
        "cyclegan",
        7,
        checkpoint.recipe,
        {"day": "a"},
    )
    assert torch.equal(back.state["networks"]["G_A.w"], checkpoint.state["networks"]["G_A.w"])
    assert list(tmp_path.iterdir()) == [tmp_path / "c.pt"]


def test_a_failed_write_leaves_the_checkpoint_before(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(checkpoint, tmp_path / "c.pt")

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(checkpoint, tmp_path / "c.pt")
    assert read_checkpoint(tmp_path / "c.pt").step == 7


def test_whole_files_replace_the_ones_before(tmp_path: Path) -> None:
    write_whole(b"first", tmp_path / "f")
    write_whole(b"second", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"second"


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run by a pickle",)


@pytest.mark.parametrize("content", [{"format": 1, "state": Harmful()}, Harmful()])
def test_a_pickle_with_code_is_refused_and_not_run(
    content: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(CheckpointRejected, match="could run code"):
        read_checkpoint(tmp_path / "c.pt")
    assert "run by a pickle" not in capsys.readouterr().out


def test_damaged_and_foreign_files_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    write_checkpoint(checkpoint, path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CheckpointRejected, match="damaged"):
        read_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointRejected, match="damaged"):
        read_checkpoint(path)
    torch.save({"model.1.weight": torch.rand(1)}, path)
    with pytest.raises(CheckpointRejected, match="not the checkpoint of a training"):
        read_checkpoint(path)


def test_another_architecture_is_told_by_its_keys() -> None:
    expected = {"a": torch.rand(2, 3), "b": torch.rand(1), "c": torch.rand(1)}
    reject_other_architecture(expected, dict(expected))
    with pytest.raises(CheckpointRejected) as caught:
        reject_other_architecture(expected, {"a": torch.rand(4, 3), "b": torch.rand(1), "d": torch.rand(1)})
    for words in ("missing: c", "surplus: d", "of another shape: a (4, 3) instead of (2, 3)"):
        assert words in caught.value.message


def test_tensors_that_are_not_finite_are_found_through_all_containers() -> None:
    bad = torch.tensor([1.0, float("nan")])
    state = {"w": torch.ones(2), "inner": {"list": [torch.ones(1), bad], "n": 3}, "long": torch.tensor(1)}
    assert not_finite(state) == ["inner.list.1"]
