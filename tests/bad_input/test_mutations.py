"""Any bytes at all, near sound ones: a reader refuses or reads, and nothing else happens."""

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.datasets import bdd100k, yolo
from service.datasets.categories import bdd100k_meaning, declared_meaning
from service.datasets.coco_file import CocoFile
from service.datasets.data_yaml import parse_data_yaml
from service.datasets.dataset import Frame, Split
from service.errors import DatasetRejected, LabelUnreadable
from service.storage.archives import Archive
from workers.images import ImageRejected, decode, make_plain

FRAME = Frame("a.jpg", "a", Split.TRAIN, 48, 32)
SMALL_BYTES = 10_000_000

# Where, how many bytes to leave out, and what to put there: often something that means something.
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 8),
        st.binary(max_size=8)
        | st.sampled_from(
            [b'"', b"\\", b"{", b"[" * 40, b"NaN", b"1e999", b"\xff\xff\xff\xff", b"\xff\xd9", b"9" * 70]
        ),
    ),
    min_size=1,
    max_size=5,
)


def mutations(few: int) -> Any:
    """The default number of examples, and many more for the slow run."""
    quick = settings(max_examples=few, deadline=None, suppress_health_check=list(HealthCheck))
    return pytest.mark.parametrize("profile", [quick, pytest.param(thorough(few), marks=pytest.mark.slow)])


def thorough(few: int) -> settings:
    return settings(max_examples=25 * few, deadline=None, suppress_health_check=list(HealthCheck))


def edited(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    changed = bytearray(data)
    for place, left_out, content in edits:
        start = int(place * len(changed))
        changed[start : start + left_out] = content
    return bytes(changed)


def run(profile: settings, check: Any) -> None:
    profile(given(edits=EDITS)(check))()


@pytest.mark.filterwarnings("ignore")  # zipfile warns of what it reads over
@mutations(80)
def test_of_a_mutated_archive_members_are_read_or_refused(kit: Any, profile: settings) -> None:
    data = kit.zipped(kit.upload("coco"))
    directory = data.index(b"PK\1\2")

    def check(edits: list[tuple[float, int, bytes]]) -> None:
        for changed in (edited(data, edits), data[:directory] + edited(data[directory:], edits)):
            try:
                archive = Archive(io.BytesIO(changed))
                contents = [archive.read(name) for name in archive.names]
            except DatasetRejected as refusal:
                assert refusal.cure  # noqa: PT017 - either outcome is right
            else:
                assert sum(map(len, contents)) < SMALL_BYTES

    run(profile, check)


@mutations(80)
def test_of_mutated_json_frames_are_read_or_it_is_unreadable(kit: Any, profile: settings) -> None:
    labels = json.dumps(kit.upload("bdd100k")["bdd100k/labels/det_20/det_train.json"]).encode()
    document = json.dumps(kit.upload("coco")["annotations/instances_train.json"]).encode()

    def check(edits: list[tuple[float, int, bytes]]) -> None:
        try:
            for record in bdd100k.records(io.BytesIO(edited(labels, edits))):
                json.dumps(record)
                bdd100k.looks_2018(record)
                list(bdd100k.box_categories(record))
                frame, _ = bdd100k.read_record(record, FRAME, bdd100k_meaning({}), "a.jpg")
                assert all(0 <= x <= 48 for box in frame.boxes for x in box.xyxy[::2])
            CocoFile(io.BytesIO(edited(document, edits)), "a.json").close()
        except LabelUnreadable as error:
            assert error.code in ("label-syntax", "label-encoding", "label-limits", "duplicate-key")  # noqa: PT017

    run(profile, check)


@mutations(80)
def test_of_mutated_text_boxes_are_read_or_rows_are_named(profile: settings) -> None:
    def check(edits: list[tuple[float, int, bytes]]) -> None:
        text = edited(b"1 0.5 0.5 0.25 0.5\n0 0.25 0.25 0.125 0.25\n" * 3, edits).decode(errors="replace")
        frame, findings = yolo.read_label(text, FRAME, ["car", "bus"], declared_meaning({}), "a.txt")
        assert all(0 <= index < 10_000 for index in yolo.class_indices(text))
        assert all(box.category in ("car", "bus") for box in frame.boxes)
        assert len(frame.boxes) <= len(text.splitlines())
        assert all(len(finding.message) < 400 for finding in findings)
        try:
            parse_data_yaml(
                edited(b"names: [car, 'traffic light']\ntrain: images/train\n", edits), "data.yaml"
            )
        except DatasetRejected as refusal:
            assert refusal.cure  # noqa: PT017

    run(profile, check)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of odd EXIF and of many pixels
@mutations(60)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_of_a_mutated_image_pixels_are_stored_or_it_is_refused(
    kit: Any, form: str, profile: settings
) -> None:
    data = kit.picture(64, 48, form=form)

    def check(edits: list[tuple[float, int, bytes]]) -> None:
        try:
            plain = make_plain(edited(data, edits))
        except ImageRejected as refusal:
            assert refusal.cure  # noqa: PT017
        else:
            assert decode(plain.data).shape == (plain.height_px, plain.width_px, 3)

    run(profile, check)
