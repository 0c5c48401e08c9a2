"""What stages write is read back as it was, and equal results are equal bytes."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.datasets.dataset import Box, Finding, Frame, Severity, Split
from service.datasets.manifest import ManifestEntry, SourceFrame
from service.errors import ObjectNotFound
from service.jobs.job import JobKind, Stage
from service.jobs.results import FrameResult, read_results, write_findings, write_results
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import read_manifest, result_prefix, source_image, write_frame, write_json
from workers.context import ShardTask

WORDS = st.text(max_size=8)
PLAIN = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
)
ATTRIBUTES = st.dictionaries(WORDS, PLAIN, max_size=3)
STARTS = st.floats(0, 500)
BOXES = st.builds(
    lambda x, y, width, height, **rest: Box((x, y, x + width, y + height), **rest),
    STARTS, STARTS, st.floats(0.5, 500), st.floats(0.5, 500),
    category=WORDS, id=st.none() | st.integers() | WORDS, is_ignored=st.booleans(), attributes=ATTRIBUTES,
    extra=ATTRIBUTES,
)  # fmt: skip
FRAMES = st.builds(
    Frame, name=WORDS, id=WORDS, split=st.sampled_from(Split), width_px=st.integers(1, 9999),
    height_px=st.integers(1, 9999), boxes=st.lists(BOXES, max_size=3).map(tuple), attributes=ATTRIBUTES,
    other_labels=st.lists(ATTRIBUTES, max_size=2).map(tuple), extra=ATTRIBUTES,
)  # fmt: skip
ENTRIES = st.builds(
    ManifestEntry, frame=FRAMES, image=WORDS, sha256=WORDS,
    source=st.none() | st.builds(SourceFrame, dataset=WORDS, sha256=WORDS),
)  # fmt: skip
FINDINGS = st.builds(
    Finding, code=WORDS, severity=st.sampled_from(Severity), path=WORDS, message=WORDS, cure=WORDS,
    pointer=WORDS,
)  # fmt: skip
RESULTS = st.lists(
    st.builds(FrameResult, st.none() | ENTRIES, st.lists(FINDINGS, max_size=2).map(tuple)), max_size=4
)


def frame(**changes: Any) -> Frame:
    values = {"name": "a.jpg", "id": "a", "split": Split.VAL, "width_px": 40, "height_px": 20}
    return Frame(**{**values, **changes})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=RESULTS)
def test_results_come_back_as_they_were_in_their_order(
    store: ObjectStore, results: list[FrameResult]
) -> None:
    write_results(store, "one", results)
    expected = [
        item
        for result in results
        for item in ((result.entry,) if result.entry else ()) + result.findings
    ]  # fmt: skip
    assert list(read_results(store, "one")) == expected


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=RESULTS)
def test_the_same_results_are_the_same_bytes_however_their_mappings_are_ordered(
    store: ObjectStore, results: list[FrameResult]
) -> None:
    def turned(result: FrameResult) -> FrameResult:
        if result.entry is None:
            return result
        attributes = dict(reversed(list(result.entry.frame.attributes.items())))
        frame = Frame(
            **{**{n: getattr(result.entry.frame, n) for n in Frame.__slots__}, "attributes": attributes}
        )
        entry = ManifestEntry(frame, result.entry.image, result.entry.sha256, result.entry.source)
        return FrameResult(entry, result.findings)

    write_results(store, "one", results)
    write_results(store, "other", [turned(result) for result in results])
    assert store.read("one") == store.read("other")


def test_a_frame_is_done_when_it_has_an_entry() -> None:
    finding = Finding("x", Severity.ERROR, "a.jpg", "Bad.")
    assert not FrameResult(None, (finding,)).is_done
    assert FrameResult(ManifestEntry(frame(), "images/val/a.jpg", "0"), (finding,)).is_done


def test_findings_of_a_plan_are_read_like_results(store: ObjectStore) -> None:
    findings = [
        Finding("one", Severity.NOTE, "a.jpg", "First\nof two lines.", "Nothing."),
        Finding("two", Severity.WARNING, "b\u2028.jpg", "Zweiter: ä 日本", pointer="line 3"),
    ]
    write_findings(store, "findings", findings)
    assert list(read_results(store, "findings")) == findings
    assert store.read("findings").count(b"\n") == 2


def test_json_is_written_sorted_and_readable(store: ObjectStore) -> None:
    write_json(store, "one", {"b": "ä", "a": [1]})
    write_json(store, "other", {"a": [1], "b": "ä"})
    assert store.read("one") == store.read("other")
    assert "ä" in store.read("one").decode()
    assert json.loads(store.read("one")) == {"a": [1], "b": "ä"}


def test_a_frame_is_stored_with_its_label_beside_it(store: ObjectStore) -> None:
    boxes = (
        Box((10.0, 5.0, 30.0, 15.0), "bus"),
        Box((0.0, 0.0, 9.0, 9.0), "car", is_ignored=True),
    )
    image = write_frame(store, "datasets/ds-1", frame(boxes=boxes), ".png", b"pixels", ["car", "bus"])
    assert image == "images/val/a.png"
    assert store.read("datasets/ds-1/images/val/a.png") == b"pixels"
    assert store.read("datasets/ds-1/labels/val/a.txt") == b"1 0.5 0.5 0.5 0.5\n"


def test_a_frame_without_boxes_has_an_empty_label(store: ObjectStore) -> None:
    write_frame(store, "datasets/ds-1", frame(), ".jpg", b"pixels", ["car"])
    assert store.read("datasets/ds-1/labels/val/a.txt") == b""


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_source_of_a_frame_is_found_whatever_its_suffix(store: ObjectStore, suffix: str) -> None:
    store.write(f"datasets/ds-1/images/val/a{suffix}", b"the source")
    assert source_image(store, "ds-1", frame()) == b"the source"


def test_a_source_that_is_gone_is_named(store: ObjectStore) -> None:
    store.write("datasets/ds-1/images/train/a.jpg", b"of another split")
    with pytest.raises(ObjectNotFound, match="ds-1/images/val/a"):
        source_image(store, "ds-1", frame())


def test_a_manifest_is_split_at_its_own_line_ends_only(store: ObjectStore) -> None:
    entries = [
        ManifestEntry(frame(name=name), "images/val/a.jpg", "0") for name in ("a\u2028b", "c\x85d", "\x1e")
    ]
    store.write(keys.manifest("ds-1"), b"".join(entry.to_line().encode() + b"\n" for entry in entries))
    assert list(read_manifest(store, "ds-1")) == entries


@pytest.mark.parametrize(("result_id", "prefix"), [("ds-2", "datasets/ds-2"), (None, "jobs/job-1/preview")])
def test_images_of_a_preview_lie_beside_its_job(result_id: str | None, prefix: str) -> None:
    task = ShardTask(
        "job-1", JobKind.TRANSLATION, Stage.WORK, {}, "ds-1", result_id, {}, "plan", "result", 0, 0
    )  # fmt: skip
    assert result_prefix(task) == prefix
