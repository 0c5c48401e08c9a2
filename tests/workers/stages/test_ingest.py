"""An upload of any known layout becomes one kind of dataset; what cannot be used is named."""

import errno
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import fsspec
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as properties
from hypothesis import strategies as st
from PIL import Image

from service.datasets.formats import Options
from service.datasets.selection import Selection
from service.errors import DatasetRejected
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore

TRAIN = "bdd100k/images/100k/train/"


@pytest.fixture(autouse=True)
def _no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny pictures are neither day nor night; the audit has its own tests below."""
    audited_as(monkeypatch, 0.5)


def audited_as(monkeypatch: pytest.MonkeyPatch, score: float) -> None:
    monkeypatch.setattr("workers.stages.ingest.looks_like_night", lambda _: score)


def found(done: Any) -> list[tuple[str, str, str]]:
    return [(each["code"], each["severity"], each["path"]) for each in done.report["findings"]]


def selecting(*expressions: str) -> Options:
    return Options(selection=Selection.parse(expressions))


class DiaryStore(ObjectStore):
    """An object store that remembers in which order objects appeared."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(*fsspec.core.url_to_fs(settings.store))
        self.written: list[str] = []

    def write(self, key: str, data: bytes) -> None:
        super().write(key, data)
        self.written.append(key)

    @contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        with super().writing(key) as file:
            yield file
        self.written.append(key)


class FailingFile(io.RawIOBase):
    """A file whose directory can be read, but whose content lies on bad sectors."""

    def __init__(self, file: BinaryIO, bad_below: int) -> None:
        self._file = file
        self._bad_below = bad_below

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        if 4 < self._file.tell() < self._bad_below:
            raise OSError(errno.EIO, "Input/output error")
        return self._file.read(size)


class SickStore(ObjectStore):
    """An object store on a disk that begins to fail."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(*fsspec.core.url_to_fs(settings.store))
        self.is_sick = False

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        with super().open(key) as file:
            is_bad = self.is_sick and key.startswith("uploads/")
            yield FailingFile(file, self.size_bytes(key) // 2) if is_bad else file  # type: ignore[misc]


@pytest.mark.parametrize(
    ("layout", "form", "splits", "categories", "objects"),
    [
        ("bdd100k", "bdd100k-det20", {"train": 4, "val": 1}, {"car": 5}, 5),
        ("yolo", "yolo", {"train": 2, "val": 1}, {"car": 2, "traffic light": 1}, 3),
        ("coco", "coco", {"train": 2}, {"car": 1}, 1),
    ],
)
def test_every_layout_becomes_a_yolo_dataset_with_manifest_card_and_report(
    workshop: Any, kit: Any, layout: str, form: str, splits: dict[str, int], categories: Any, objects: int
) -> None:
    done = workshop.ingest(kit.upload(layout))
    entries = done.entries
    labels = [entry.image.replace("images/", "labels/").rpartition(".")[0] + ".txt" for entry in entries]
    whole = ["card.json", "data.yaml", "manifest.jsonl", *(entry.image for entry in entries), *labels]
    assert done.files == sorted(whole)
    for entry, label in zip(entries, labels, strict=True):
        data = done.read(entry.image)
        assert kit.sha256(data) == entry.sha256
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (entry.frame.width_px, entry.frame.height_px)
        kept = [box for box in entry.frame.boxes if not box.is_ignored]
        assert len(done.read(label).splitlines()) == len(kept)

    names = yaml.safe_load(done.read("data.yaml"))["names"]
    assert list(names.values()) == done.planned.facts["categories"] == done.published.dataset["categories"]
    counts = done.report["counts"]
    assert (counts["frames"], counts["splits"]) == (len(entries), splits)
    assert (counts["categories"], counts["boxes"]) == (categories, objects)
    assert sum(counts["boxes_by_split"].values()) == sum(counts["box_sizes"].values()) == objects
    assert sum(counts["brightness"]) == len(entries)
    assert done.json("card.json")["counts"] == counts
    assert done.json("card.json")["format"] == done.published.dataset["format"] == form
    assert done.published.dataset["counts"] == {**counts, "findings": {}}
    its = [done.store.size_bytes(key) for key in done.store.keys(keys.dataset(done.result_id))]
    assert done.published.dataset["size_bytes"] == sum(its) > 0
    assert done.planned.facts["frames_total"] == len(entries)
    assert done.report["findings"] == []


def test_images_that_are_plain_keep_their_bytes(workshop: Any, kit: Any) -> None:
    upload = kit.upload("yolo")
    done = workshop.ingest(upload)
    for name in ("images/train/a.jpg", "images/train/b.png", "images/val/c.jpg"):
        assert done.read(name) == upload[f"set/{name}"]


def test_a_yolo_label_comes_out_as_it_went_in(workshop: Any, kit: Any) -> None:
    upload = kit.upload("yolo")
    done = workshop.ingest(upload)
    for name in ("labels/train/a.txt", "labels/train/b.txt", "labels/val/c.txt"):
        assert done.read(name).decode() == upload[f"set/{name}"]


def test_what_bdd100k_says_of_a_frame_is_kept(workshop: Any, kit: Any) -> None:
    frame = workshop.ingest(kit.upload("bdd100k")).entries[0].frame
    car, ignored = frame.boxes
    assert (car.xyxy, car.category, car.attributes) == ((3.25, 4.5, 20.125, 21.0), "car", {"occluded": True})
    assert (ignored.category, ignored.is_ignored) == ("car", True)
    assert [label["category"] for label in frame.other_labels] == ["lane"]
    assert frame.attributes == {"weather": "clear", "scene": "city street", "timeofday": "daytime"}
    assert frame.extra == {"timestamp": 10_000}


def test_the_manifest_is_written_last_of_all(settings: Settings, workshop: Any, kit: Any) -> None:
    diary = DiaryStore(settings)
    done = type(workshop)(diary, settings).ingest(kit.upload("bdd100k"))
    assert diary.written[-1] == keys.manifest(done.result_id)
    assert diary.written.index(keys.card(done.result_id)) < len(diary.written) - 1
    assert not [key for key in diary.written if key.startswith("uploads/") and key != diary.written[0]]


def test_the_same_upload_twice_is_the_same_dataset_to_the_byte(workshop: Any, kit: Any) -> None:
    upload = kit.upload("bdd100k", frames=7)
    one, again = workshop.ingest(upload), workshop.ingest(upload)
    assert one.result_id != again.result_id
    assert one.manifest == again.manifest
    assert set(one.contents) == set(again.contents)
    assert {name for name in one.files if one.read(name) != again.read(name)} <= {"card.json"}


@pytest.mark.parametrize("frames_per_shard", [1, 2, 3])
def test_the_size_of_the_shards_changes_nothing(workshop: Any, kit: Any, frames_per_shard: int) -> None:
    upload = kit.upload("bdd100k", frames=7)
    upload[f"{TRAIN}frame-2.jpg"] = b"no picture"
    whole = workshop.ingest(upload)
    cut = workshop.ingest(upload, frames_per_shard)
    assert len(cut.worked) == -(-7 // frames_per_shard)
    assert cut.manifest == whole.manifest
    assert cut.report == whole.report


def test_shards_take_about_as_long_as_the_settings_want(settings: Settings, workshop: Any, kit: Any) -> None:
    hasty = type(workshop)(workshop.store, settings.model_copy(update={"shard_seconds": 1e-9}))
    assert [part.frames_total for part in hasty.ingest(kit.upload("bdd100k")).planned.parts] == [1] * 5
    patient = type(workshop)(workshop.store, settings.model_copy(update={"shard_seconds": 1e6}))
    assert [part.frames_total for part in patient.ingest(kit.upload("bdd100k")).planned.parts] == [5]


def test_a_repeated_shard_writes_the_same_result(workshop: Any, kit: Any) -> None:
    done = workshop.ingest(kit.upload("bdd100k"))
    before, result = done.contents, workshop.store.read(keys.shard_result(done.job_id, 1))
    plan = workshop.first_task_of(done)
    workshop.do(workshop.work_task(plan, done.planned, done.planned.parts[0], 1))
    assert workshop.store.read(keys.shard_result(done.job_id, 1)) == result
    assert done.contents == before


def test_progress_counts_up_to_every_frame(workshop: Any, kit: Any) -> None:
    upload = kit.upload("bdd100k", frames=6)
    upload[f"{TRAIN}frame-1.jpg"] = b"no picture"
    workshop.ingest(upload)
    told = workshop.reporter.progressed
    assert [done + failed for done, failed, _ in told] == [1, 2, 3, 4, 5, 6]
    assert told[-1] == (5, 1, 6)
    assert all(done + failed <= reading <= 6 for done, failed, reading in told)


def damaged(kit: Any, how: str) -> bytes:
    data: bytes = kit.picture(seed=2)
    return {
        "truncated-image": data[: len(data) // 2],
        "not-an-image": b"There is no picture in here.\n",
        "bit-depth": kit.encoded(Image.new("I;16", (50, 35)), "PNG"),
        "animated-image": kit.encoded(
            Image.new("RGB", (50, 35)),
            "PNG",
            save_all=True,
            append_images=[Image.new("RGB", (50, 35), "red")],
        ),
    }[how]


@pytest.mark.parametrize("code", ["truncated-image", "not-an-image", "bit-depth", "animated-image"])
def test_a_bad_image_costs_its_own_frame_and_is_named(workshop: Any, kit: Any, code: str) -> None:
    upload = kit.upload("bdd100k")
    upload[f"{TRAIN}frame-2.jpg"] = damaged(kit, code)
    done = workshop.ingest(upload)
    assert [entry.frame.name for entry in done.entries] == [f"frame-{n}.jpg" for n in (0, 1, 3, 4)]
    assert found(done) == [(code, "error", f"{TRAIN}frame-2.jpg")]
    assert done.report["findings"][0]["cure"]
    assert done.report["counts"]["frames"] == 4
    assert sum(outcome.frames_failed for outcome in done.worked) == 1
    assert not [name for name in done.files if "frame-2" in name]
    assert done.json("card.json")["findings"] == {code: 1}


def packed(upload: dict[str, Any], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in upload.items():
            archive.writestr(name, content if isinstance(content, (bytes, str)) else json.dumps(content))
    return buffer.getvalue()


def with_damage_in(data: bytes, member: str) -> bytes:
    """The archive with some bytes in the middle of one member's content overwritten."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo(member)
    middle = info.header_offset + 30 + len(member) + info.compress_size // 2
    return data[:middle] + b"\xff\x00\xff\x00\xff\x00" + data[middle + 6 :]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_image_damaged_in_the_archive_costs_its_own_frame(workshop: Any, kit: Any, method: int) -> None:
    image = f"{TRAIN}frame-1.jpg"
    done = workshop.ingest(with_damage_in(packed(kit.upload("bdd100k"), method), image))
    assert found(done) == [("corrupt-archive", "error", image)]
    assert len(done.entries) == 4


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_labels_damaged_in_the_archive_refuse_the_dataset_with_a_report(
    workshop: Any, kit: Any, method: int
) -> None:
    labels = "bdd100k/labels/det_20/det_train.json"
    with pytest.raises(DatasetRejected):
        workshop.ingest(with_damage_in(packed(kit.upload("bdd100k"), method), labels))
    assert workshop.rejection["is_rejected"] is True


@pytest.mark.filterwarnings("ignore")  # zipfile warns of names that come twice
@properties(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=3
    ),
    from_end=st.booleans(),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_a_damaged_archive_is_read_in_part_or_refused_and_nothing_else(
    workshop: Any, kit: Any, edits: list[tuple[float, bytes]], from_end: bool, method: int
) -> None:
    data = bytearray(packed(kit.upload("coco"), method))
    for share, content in edits:
        # Half of the time in the directory at the end, where a single byte does most.
        place = len(data) - 1 - int(share * 400) if from_end else int(share * len(data))
        data[place : place + len(content)] = content
    try:
        done = workshop.ingest(bytes(data))
    except DatasetRejected as refusal:
        assert refusal.cure  # noqa: PT017 - either outcome is right
    else:
        assert done.entries


def test_a_failing_disk_is_not_taken_for_a_damaged_archive(
    settings: Settings, workshop: Any, kit: Any
) -> None:
    sick = SickStore(settings)
    shop = type(workshop)(sick, settings)
    done = shop.ingest(kit.upload("bdd100k"))
    sick.is_sick = True
    task = shop.work_task(shop.first_task_of(done), done.planned, done.planned.parts[0], 1)
    with pytest.raises(OSError, match="Input/output error"):
        shop.do(task)


def test_a_label_file_that_is_no_text_costs_its_own_frame(workshop: Any, kit: Any) -> None:
    upload = kit.upload("yolo")
    upload["set/labels/train/a.txt"] = b"\xff\xfe\x00\x81 binary"
    done = workshop.ingest(upload)
    assert [entry.frame.name for entry in done.entries] == ["b.png", "c.jpg"]
    assert [(code, severity) for code, severity, _ in found(done)] == [("label-encoding", "error")]


def test_a_bad_row_costs_its_own_box_and_is_named(workshop: Any, kit: Any) -> None:
    upload = kit.upload("yolo")
    upload["set/labels/train/a.txt"] += "9 0.5 0.5 0.1 0.1\n"
    done = workshop.ingest(upload)
    assert len(done.entries[0].frame.boxes) == 2
    [finding] = done.report["findings"]
    assert (finding["code"], finding["pointer"]) == ("yolo-syntax", "line 3")


def test_an_image_that_was_converted_is_noted_and_stored_as_rgb(workshop: Any, kit: Any) -> None:
    upload = kit.upload("yolo")
    grey = kit.encoded(Image.fromarray(kit.smooth_pixels(48, 32)).convert("L"))
    upload["set/images/train/a.jpg"] = grey
    done = workshop.ingest(upload)
    assert found(done) == [("converted-to-rgb", "note", "set/images/train/a.jpg")]
    with Image.open(io.BytesIO(done.read("images/train/a.jpg"))) as image:
        assert image.mode == "RGB"


def test_boxes_of_a_turned_image_are_read_in_its_displayed_size(workshop: Any, kit: Any) -> None:
    exif = Image.Exif()
    exif[274] = 6
    upload = kit.upload("yolo")
    upload["set/images/val/c.jpg"] = kit.encoded(kit.smooth_pixels(48, 32), exif=exif)
    frame = workshop.ingest(upload).entries[-1].frame
    assert (frame.width_px, frame.height_px) == (32, 48)
    assert frame.boxes[0].xyxy == (8.0, 12.0, 24.0, 36.0)


def test_a_label_whose_image_is_missing_is_named(workshop: Any, kit: Any) -> None:
    upload = kit.upload("bdd100k")
    del upload[f"{TRAIN}frame-1.jpg"]
    done = workshop.ingest(upload)
    assert [entry.frame.name for entry in done.entries] == [f"frame-{n}.jpg" for n in (0, 2, 3, 4)]
    [finding] = done.report["findings"]
    assert (finding["code"], finding["severity"]) == ("label-without-image", "error")
    assert "frame-1.jpg" in finding["message"]


def test_an_image_without_label_is_background_and_noted(workshop: Any, kit: Any) -> None:
    upload = kit.upload("bdd100k")
    upload[f"{TRAIN}empty-road.jpg"] = kit.picture()
    done = workshop.ingest(upload)
    assert found(done) == [("unlabelled", "note", f"{TRAIN}empty-road.jpg")]
    assert done.report["counts"]["unlabelled"] == 1
    assert done.read("labels/train/empty-road.txt") == b""


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "empty-dataset"),
        ({"folder/": b""}, "empty-dataset"),
        ({"readme.txt": "nothing here"}, "empty-dataset"),
        ({"labels/det_train.json": []}, "empty-dataset"),
        ({"images/a.jpg": b"whatever"}, "empty-dataset"),
    ],
)
def test_an_upload_without_images_and_labels_is_refused_with_a_report(
    workshop: Any, members: dict[str, Any], code: str
) -> None:
    with pytest.raises(DatasetRejected) as refusal:
        workshop.ingest(members)
    assert refusal.value.code == code
    rejection = workshop.rejection
    assert rejection["is_rejected"] is True
    [finding] = rejection["findings"]
    assert (finding["code"], finding["severity"], finding["path"]) == (code, "error", "streets.zip")
    assert finding["message"] == refusal.value.message
    assert finding["cure"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("photo", "unrecognised-format"),
        ("nothing", "empty-archive"),
        ("cut", "corrupt-archive"),
    ],
)
def test_an_upload_that_is_no_whole_zip_is_refused_with_a_report(
    workshop: Any, kit: Any, name: str, code: str
) -> None:
    data = {"photo": kit.picture(), "nothing": b"", "cut": kit.zipped(kit.upload("yolo"))[:-200]}[name]
    with pytest.raises(DatasetRejected) as refusal:
        workshop.ingest(data)
    assert refusal.value.code == code
    assert workshop.rejection["totals"] == {code: 1}


def test_findings_made_before_a_refusal_are_in_its_report(workshop: Any, kit: Any) -> None:
    upload = kit.upload("bdd100k")
    del upload[f"{TRAIN}frame-1.jpg"]
    labels = upload["bdd100k/labels/det_20/det_val.json"]
    labels[0]["labels"][0]["category"] = "spaceship"
    with pytest.raises(DatasetRejected, match="spaceship"):
        workshop.ingest(upload)
    assert workshop.rejection["totals"] == {"label-without-image": 1, "unknown-category": 1}


def test_a_dataset_of_which_no_image_decodes_is_refused_and_every_image_named(
    workshop: Any, kit: Any
) -> None:
    upload = kit.upload("yolo")
    for name in [name for name in upload if "/images/" in name]:
        upload[name] = b"no picture"
    with pytest.raises(DatasetRejected, match="No frame could be used") as refusal:
        workshop.ingest(upload)
    assert refusal.value.code == "empty-dataset"
    assert workshop.rejection["totals"] == {"not-an-image": 3}
    assert not [
        key for key in workshop.store.keys("datasets") if key.endswith(("manifest.jsonl", "card.json"))
    ]


@pytest.mark.parametrize("fault", ["image", "label"])
def test_strict_refuses_a_dataset_with_an_error_and_publishes_nothing(
    workshop: Any, kit: Any, fault: str
) -> None:
    upload = kit.upload("bdd100k")
    if fault == "image":
        upload[f"{TRAIN}frame-1.jpg"] = b"no picture"
    else:
        del upload[f"{TRAIN}frame-1.jpg"]
    with pytest.raises(DatasetRejected, match="1 findings") as refusal:
        workshop.ingest(upload, strict=True)
    assert refusal.value.code == "strict"
    assert sum(workshop.rejection["totals"].values()) == 1
    assert not [key for key in workshop.store.keys("datasets") if key.endswith("manifest.jsonl")]


def test_strict_does_not_mind_notes(workshop: Any, kit: Any) -> None:
    upload = kit.upload("bdd100k")
    upload[f"{TRAIN}empty-road.jpg"] = kit.picture()
    done = workshop.ingest(upload, strict=True)
    assert len(done.entries) == 6
    assert done.json("card.json")["options"]["strict"] is True


def test_only_selected_frames_are_taken(workshop: Any, kit: Any) -> None:
    done = workshop.ingest(kit.upload("bdd100k"), options=selecting("split=val"))
    assert [entry.frame.name for entry in done.entries] == ["frame-4.jpg"]
    assert done.json("card.json")["options"]["options"]["selection"] == {"split": ["val"]}


def test_a_selection_that_fits_no_frame_is_refused_and_says_what_there_is(workshop: Any, kit: Any) -> None:
    with pytest.raises(DatasetRejected) as refusal:
        workshop.ingest(kit.upload("bdd100k"), options=selecting("timeofday=night"))
    assert refusal.value.code == "empty-selection"
    assert "daytime" in refusal.value.cure
    assert workshop.rejection["is_rejected"] is True


def test_a_category_map_reaches_labels_and_data_yaml(workshop: Any, kit: Any) -> None:
    options = Options(category_map={"car": "vehicle"})
    done = workshop.ingest(kit.upload("yolo"), options=options)
    assert done.published.dataset["categories"] == ["traffic light", "vehicle"]
    assert done.read("labels/val/c.txt") == b"1 0.5 0.5 0.5 0.5\n"
    assert done.report["counts"]["categories"] == {"traffic light": 1, "vehicle": 2}


@pytest.mark.parametrize(
    ("layout", "said", "expected"),
    [
        ("bdd100k", "", "BDD100K data"),
        ("bdd100k", "my own", "my own"),
        ("yolo", "", "not stated"),
        ("coco", "CC BY 4.0", "CC BY 4.0"),
    ],
)
def test_the_card_states_a_licence(workshop: Any, kit: Any, layout: str, said: str, expected: str) -> None:
    card = workshop.ingest(kit.upload(layout), licence=said).json("card.json")
    assert card["licence"].startswith(expected)
    assert card["source"]["filename"] == "streets.zip"
    assert card["made_by"].startswith("nightshift ")


def test_a_label_that_names_a_path_out_of_the_folder_finds_nothing(workshop: Any, kit: Any) -> None:
    label = {"name": "../../../escape.jpg", "labels": [], "attributes": {"timeofday": "daytime"}}
    record = {"name": "plain.jpg", "labels": [], "attributes": {"timeofday": "daytime"}}
    upload = {
        "labels/det_20/det_train.json": [label, record],
        "images/100k/train/plain.jpg": kit.picture(),
        "images/100k/train/escape.jpg": kit.picture(),
    }
    done = workshop.ingest(upload)
    assert sorted(entry.image for entry in done.entries) == [
        "images/train/escape.jpg",
        "images/train/plain.jpg",
    ]
    assert {code for code, _, _ in found(done)} == {"label-without-image", "unlabelled"}
    assert {key.split("/")[0] for key in workshop.store.keys("")} == {"datasets", "jobs", "uploads"}


@pytest.mark.parametrize(
    ("timeofday", "score", "code"),
    [
        ("daytime", 1.0, "not-daytime"),
        ("daytime", 0.5, None),
        ("daytime", 0.0, None),
        ("night", 0.0, "not-night"),
        ("night", 0.5, None),
        ("night", 1.0, None),
        ("dawn/dusk", 1.0, None),
        ("undefined", 0.0, None),
    ],
)
def test_the_audit_names_frames_whose_pixels_contradict_their_tag(
    workshop: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, timeofday: str, score: float, code: str | None
) -> None:
    audited_as(monkeypatch, score)
    done = workshop.ingest(kit.upload("bdd100k", frames=2, timeofday=timeofday))
    assert len(done.entries) == 2, "without being asked it leaves nothing out"
    paths = (f"{TRAIN}frame-0.jpg", "bdd100k/images/100k/val/frame-1.jpg")
    assert found(done) == ([(code, "warning", path) for path in paths] if code else [])
    looks = {"not-daytime": "night", "not-night": "day", None: None}[code]
    assert [entry.looks for entry in done.entries] == [looks] * 2


def test_suspects_are_left_out_when_asked_and_named(
    workshop: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dark = kit.picture(160, 90)
    monkeypatch.setattr(
        "workers.stages.ingest.looks_like_night", lambda small: float(small.shape == (90, 160, 3))
    )
    upload = kit.upload("bdd100k")
    upload[f"{TRAIN}frame-2.jpg"] = dark
    done = workshop.ingest(upload, exclude_suspects=True)
    assert [entry.frame.name for entry in done.entries] == [f"frame-{n}.jpg" for n in (0, 1, 3, 4)]
    assert found(done) == [("not-daytime", "error", f"{TRAIN}frame-2.jpg")]
    assert "left out" in done.report["findings"][0]["cure"]
    assert not [name for name in done.files if "frame-2" in name]
    assert sum(outcome.frames_failed for outcome in done.worked) == 1


def test_leaving_out_every_frame_as_a_suspect_refuses_the_dataset(
    workshop: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited_as(monkeypatch, 1.0)
    with pytest.raises(DatasetRejected) as refusal:
        workshop.ingest(kit.upload("bdd100k"), exclude_suspects=True)
    assert refusal.value.code == "empty-dataset"
    assert workshop.rejection["totals"] == {"not-daytime": 5}


@pytest.mark.parametrize(
    "text", ['"half a letter \\ud800"', '"\\r\\n\\u2028\\u0000"', "-0.0", "1e300", "[[[]]]"]
)
@pytest.mark.parametrize("place", ["attribute", "frame", "box"])
def test_odd_values_in_a_label_neither_break_the_plan_nor_the_manifest(
    workshop: Any, kit: Any, text: str, place: str
) -> None:
    upload = kit.upload("bdd100k", frames=3)
    name = "bdd100k/labels/det_20/det_val.json"
    [record] = upload[name]
    where = {"attribute": record["attributes"], "frame": record, "box": record["labels"][0]}[place]
    where["odd"] = "@"
    upload[name] = json.dumps([record]).replace('"@"', text)
    done = workshop.ingest(upload, frames_per_shard=1)
    frame = done.entries[-1].frame
    kept = {"attribute": frame.attributes, "frame": frame.extra, "box": frame.boxes[0].extra}[place]
    assert "odd" in kept
    assert len(done.entries) == 3


def test_a_zip_made_on_windows_is_read_too(workshop: Any, kit: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in kit.upload("yolo").items():
            info = zipfile.ZipInfo(name)
            info.filename = name.replace("/", "\\")
            archive.writestr(info, content)
    assert len(workshop.ingest(buffer.getvalue()).entries) == 3


def test_unlabelled_images_become_a_dataset_that_can_be_translated(workshop: Any, kit: Any) -> None:
    upload = {f"nights/{number}.jpg": kit.picture(seed=number) for number in range(3)}
    done = workshop.ingest(upload, options=Options(unlabelled=True))
    assert [len(entry.frame.boxes) for entry in done.entries] == [0, 0, 0]
    assert (done.published.dataset["format"], done.published.dataset["categories"]) == ("images", [])
    assert len(workshop.translate(done, "camera-night").entries) == 3
