"""Pages of a manifest: all that is wanted, nothing else, in order, wherever a page ends."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.datasets.dataset import Frame, Split
from service.datasets.manifest import ManifestEntry
from service.errors import ObjectNotFound
from service.frames import lines
from service.frames.filter import FrameFilter
from service.frames.page import frame_page
from service.storage.object_store import ObjectStore
from tests.service.frames.manifests import entries, filters, is_wanted, written


@given(made=entries(), wanted=filters, limit=st.integers(1, 5), most_bytes=st.integers(1, 3000))
@settings(max_examples=150, deadline=None)
def test_the_pages_together_are_the_frames_that_are_wanted(
    shelf: ObjectStore, made: list[ManifestEntry], wanted: FrameFilter, limit: int, most_bytes: int
) -> None:
    dataset_id, found, next_byte = written(shelf, made), [], 0
    while next_byte is not None:
        page = frame_page(shelf, dataset_id, wanted, next_byte, limit, most_bytes)
        assert len(page.entries) <= limit
        assert page.next_byte is None or page.next_byte > next_byte
        found += page.entries
        next_byte = page.next_byte
    assert found == [json.loads(entry.to_line()) for entry in made if is_wanted(entry, wanted)]


@given(made=entries(), block_bytes=st.integers(1, 700))
@settings(max_examples=50, deadline=None)
def test_blocks_may_end_anywhere(shelf: ObjectStore, made: list[ManifestEntry], block_bytes: int) -> None:
    dataset_id = written(shelf, made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "FIRST_BLOCK_BYTES", block_bytes)
        patch.setattr(lines, "MAX_BLOCK_BYTES", 2 * block_bytes)
        read = list(lines.manifest_lines(shelf, dataset_id))
    assert [line.text.decode() for line in read] == [entry.to_line() for entry in made]
    assert [lines.frame_of(line.text).decode() for line in read] == [
        f"{entry.frame.split}/{entry.frame.id}" for entry in made
    ]


def test_a_search_that_finds_nothing_ends_early_and_goes_on(shelf: ObjectStore) -> None:
    frames = [Frame(f"{number}.jpg", f"f{number}", Split.TRAIN, 8, 8) for number in range(50)]
    made = [ManifestEntry(frame, f"images/train/{frame.id}.jpg", "0") for frame in frames]
    page = frame_page(shelf, written(shelf, made), FrameFilter(text="f49"), 0, 10, 1000)
    assert page.entries == []
    assert page.next_byte is not None
    assert 1000 <= page.next_byte < 1000 + 200


def test_filters_are_told_apart_by_their_digests() -> None:
    some = [FrameFilter(), FrameFilter(text="a"), FrameFilter(category="a"), FrameFilter(suspect=False)]
    assert len({wanted.digest for wanted in some}) == len(some)
    assert FrameFilter(text="a").digest == FrameFilter(text="a").digest


def test_a_dataset_without_a_manifest_is_not_found(shelf: ObjectStore) -> None:
    with pytest.raises(ObjectNotFound):
        frame_page(shelf, "ds-none", FrameFilter())
