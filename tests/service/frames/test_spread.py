"""Some frames from all over a dataset."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from service.datasets.dataset import Frame, Split
from service.datasets.manifest import ManifestEntry
from service.frames.spread import spread_entries
from service.storage.object_store import ObjectStore
from tests.service.frames.manifests import entries, written


@given(made=entries(), limit=st.integers(1, 15))
@settings(max_examples=60, deadline=None)
def test_frames_of_the_dataset_in_its_order_with_the_first_and_each_once(
    shelf: ObjectStore, made: list[ManifestEntry], limit: int
) -> None:
    all_of_it = [json.loads(entry.to_line()) for entry in made]
    numbers = [all_of_it.index(entry) for entry in spread_entries(shelf, written(shelf, made), limit)]
    assert numbers == sorted(set(numbers))
    assert numbers[:1] == list(range(len(made)))[:1]
    assert len(numbers) <= limit
    if len(made) <= limit:
        assert numbers == list(range(len(made)))


def test_of_many_frames_they_are_spread_evenly(shelf: ObjectStore) -> None:
    made = [
        ManifestEntry(
            Frame(f"{number}.jpg", f"f{number:04}", Split.TRAIN, 8, 8), f"images/train/{number}", "0"
        )
        for number in range(1000)
    ]
    found = [int(entry["frame"]["id"][1:]) for entry in spread_entries(shelf, written(shelf, made), 10)]
    assert len(found) == 10
    assert all(abs(number - 100 * place) <= 5 for place, number in enumerate(found))
