"""One frame by its name, and those beside it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.datasets.dataset import Frame, Split
from service.datasets.manifest import ManifestEntry
from service.errors import NotFound
from service.frames import index
from service.frames.filter import FrameFilter
from service.frames.index import Neighbour, frame_entry, neighbours
from service.storage.object_store import ObjectStore
from tests.service.frames.manifests import entries, filters, is_wanted, written


@given(made=entries())
@settings(max_examples=40, deadline=None)
def test_every_frame_is_found_by_its_name_and_no_other(shelf: ObjectStore, made: list[ManifestEntry]) -> None:
    dataset_id = written(shelf, made)
    for entry in made:
        found = frame_entry(shelf, dataset_id, entry.frame.split, entry.frame.id)
        assert found == json.loads(entry.to_line())
    for split, frame_id in ((Split.VAL, "else"), (Split.TEST, "b"), (Split.TRAIN, "")):
        with pytest.raises(NotFound, match="frame"):
            frame_entry(shelf, dataset_id, split, frame_id)


@given(made=entries().filter(len), wanted=filters, data=st.data())
@settings(max_examples=100, deadline=None)
def test_its_neighbours_are_the_nearest_that_are_wanted(
    shelf: ObjectStore, made: list[ManifestEntry], wanted: FrameFilter, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(made) - 1))
    frame = made[number].frame

    def nearest(others: list[ManifestEntry]) -> Neighbour | None:
        chosen = (entry.frame for entry in others if is_wanted(entry, wanted))
        return next((Neighbour(frame.split, frame.id) for frame in chosen), None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_BACK_FRAMES", 2)
        found = neighbours(shelf, written(shelf, made), frame.split, frame.id, wanted)
    assert found.previous == nearest(made[:number][::-1])
    assert found.following == nearest(made[number + 1 :])


@given(made=entries().filter(len))
@settings(max_examples=20, deadline=None)
def test_a_walk_from_frame_to_frame_sees_each_once(shelf: ObjectStore, made: list[ManifestEntry]) -> None:
    dataset_id = written(shelf, made)

    def walk() -> list[str]:
        seen, at = [], Neighbour(made[0].frame.split, made[0].frame.id)
        while at is not None:
            seen.append(at.id)
            at = neighbours(shelf, dataset_id, at.split, at.id).following
        return seen

    assert walk() == [entry.frame.id for entry in made]


def test_a_neighbour_that_is_far_away_is_not_looked_for(shelf: ObjectStore) -> None:
    frames = [Frame(f"{number}.jpg", f"f{number}", Split.TRAIN, 8, 8) for number in range(100)]
    made = [ManifestEntry(frame, f"images/train/{frame.id}.jpg", "0") for frame in frames]
    dataset_id, ends = written(shelf, made), FrameFilter(text="f0")
    assert neighbours(shelf, dataset_id, Split.TRAIN, "f99", ends).previous == Neighbour(Split.TRAIN, "f0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_BACK_FRAMES", 2)
        assert neighbours(shelf, dataset_id, Split.TRAIN, "f99", ends, most_bytes=1000).previous is None
