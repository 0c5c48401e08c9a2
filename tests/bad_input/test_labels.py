"""Rows B80 to B102: labels that break, lie, stretch or mean two things."""

import io
import json
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from service.datasets import bdd100k
from service.datasets.formats import Options
from service.errors import DatasetRejected
from service.exports import ExportFormat, export_zip
from tests.bad_input.stored import stored_dataset, unzipped

TRAIN = "bdd100k/labels/det_20/det_train.json"
A = "set/labels/train/a.txt"
YAML = "set/data.yaml"
MARKUP = "<img src=x onerror=alert(1)>"


def bdd(kit: Any, text: str | bytes | None = None, frames: int = 3) -> dict[str, Any]:
    """The sound BDD100K upload; `text` takes the place of its training labels."""
    upload: dict[str, Any] = kit.upload("bdd100k", frames=frames)
    return upload if text is None else upload | {TRAIN: text}


def with_box(kit: Any, *corners: Any, **changes: Any) -> dict[str, Any]:
    """The sound upload, the first box of its first frame replaced. Corners may be raw JSON: `"@NaN"`."""
    upload = bdd(kit)
    label = upload[TRAIN][0]["labels"][0]
    label["box2d"] = dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))
    label |= changes
    text = json.dumps(upload[TRAIN])
    for corner in corners:
        if isinstance(corner, str) and corner.startswith("@"):
            text = text.replace(json.dumps(corner), corner[1:])
    return upload | {TRAIN: text}


def yolo(kit: Any, row: str = "", **files: Any) -> dict[str, Any]:
    upload: dict[str, Any] = kit.upload("yolo")
    upload[A] += row
    return upload | files


def coco(kit: Any, **parts: Any) -> dict[str, Any]:
    upload: dict[str, Any] = kit.upload("coco")
    document = upload["annotations/instances_train.json"]
    for key, more in parts.items():
        document[key] = document[key] + more
    return upload


def nested(depth: int) -> str:
    return '[{"name": "frame-0.jpg", "labels": [], "deep": ' + "[" * depth + "]" * depth + "}]"


def holding(value: str) -> str:
    return '[{"name": "frame-0.jpg", "labels": [], "odd": ' + value + "}]"


def with_names(names: Any, **more: Any) -> str:
    return yaml.safe_dump({"train": "images/train", "val": "images/val", "names": names, **more})


@pytest.mark.parametrize(
    ("make", "code", "named"),
    [
        pytest.param(lambda kit: bdd(kit, "[]".encode("utf-16")), "label-encoding", "byte 0", id="B80-utf16"),
        pytest.param(
            lambda kit: bdd(kit, b'[{"name": "\xff.jpg"}]'), "label-encoding", "byte 11", id="B80-latin"
        ),
        pytest.param(
            lambda kit: bdd(kit, '[{"name": "a.jpg",}]'), "label-syntax", "line 1 column", id="B81-comma"
        ),
        pytest.param(
            lambda kit: bdd(kit, '[\n{"name": }]'), "label-syntax", "line 2 column 10", id="B81-line"
        ),
        pytest.param(lambda kit: bdd(kit, "<html>"), "label-syntax", "line 1", id="B81-html"),
        pytest.param(
            lambda kit: bdd(kit, '[{"name": "frame-0.jpg"'), "label-syntax", "det_train", id="B81-cut"
        ),
        pytest.param(lambda kit: bdd(kit, nested(31)), "label-limits", "deeper than 32", id="B83-depth"),
        pytest.param(
            lambda kit: bdd(kit, nested(200_000)), "label-limits", "deeper than 32", id="B83-200000"
        ),
        pytest.param(
            lambda kit: bdd(kit, '{"a":' * 99_999), "label-limits", "deeper than 32", id="B83-objects"
        ),
        pytest.param(
            lambda kit: bdd(kit, holding('"' + "x" * 70_000 + '"')),
            "label-limits",
            "longer than 64",
            id="B83-text",
        ),
        pytest.param(
            lambda kit: bdd(kit, holding("9" * 5_001)), "label-limits", "64 digits", id="B83-digits"
        ),
        pytest.param(
            lambda kit: bdd(kit, holding("0." + "9" * 99)), "label-limits", "64 digits", id="B83-decimals"
        ),
        pytest.param(
            lambda kit: bdd(kit, '[{"name": "frame-0.jpg", "labels": [], "name": "frame-1.jpg"}]'),
            "duplicate-key",
            "'name'",
            id="B84-frame",
        ),
        pytest.param(
            lambda kit: bdd(
                kit, '[{"name": "frame-0.jpg", "labels": [{"category": "car", "box2d": {"x1": 1, "x1": 2}}]}]'
            ),
            "duplicate-key",
            "'x1'",
            id="B84-box",
        ),
        pytest.param(
            lambda kit: bdd(kit, '{"frames": [{"name": "frame-0.jpg", "labels": []}], "frames": []}'),
            "duplicate-key",
            "'frames'",
            id="B84-document",
        ),
        pytest.param(
            lambda kit: with_box(kit, 1, 2, 9, 9, category="spaceship"),
            "unknown-category",
            "'spaceship'",
            id="B91",
        ),
        pytest.param(
            lambda kit: with_box(kit, 1, 2, 9, 9, category="x" * 10_000),
            "unknown-category",
            "'xxx",
            id="B91-long",
        ),
        pytest.param(
            lambda kit: bdd(kit) | {"more.json": [{"name": "frame-0.jpg", "labels": []}], TRAIN.upper(): b""},
            "duplicate-label",
            "frame-0.jpg is labelled twice",
            id="B95",
        ),
        pytest.param(
            lambda kit: coco(kit) | {"labels/train/a.txt": "0 .5 .5 .5 .5\n"},
            "mixed-formats",
            "COCO (annotations/instances_train.json), YOLO",
            id="B97",
        ),
        pytest.param(
            lambda kit: bdd(kit) | coco(kit), "mixed-formats", "BDD100K (bdd100k", id="B97-documents"
        ),
        pytest.param(lambda _: {TRAIN: "[]"}, "empty-dataset", "no images", id="B100-no-images"),
        pytest.param(
            lambda kit: {"a/b.jpg": kit.picture()}, "empty-dataset", "no labels", id="B100-no-labels"
        ),
        pytest.param(lambda _: {}, "empty-dataset", "no images", id="B100-nothing"),
        pytest.param(
            lambda kit: yolo(kit, **{YAML: with_names(["car\nnames: [x]", "b"])}),
            "category-name",
            "control",
            id="B101-control",
        ),
        pytest.param(
            lambda kit: yolo(kit, **{YAML: with_names(["a" * 10_000, "b"])}),
            "category-name",
            "longer",
            id="B101-10kB",
        ),
        pytest.param(
            lambda kit: coco(kit, categories=[{"id": 9, "name": "red\x1b[31m\u202e"}]),
            "category-name",
            "invisible",
            id="B101-ansi",
        ),
        pytest.param(
            lambda kit: yolo(kit, **{YAML: "names: !!python/object/apply:os.system ['id']\n"}),
            "label-syntax",
            "data.yaml",
            id="B102-tag",
        ),
        pytest.param(
            lambda kit: yolo(kit, **{YAML: "a: &a [x, x]\nb: &b [*a, *a]\nnames: *b\n"}),
            "label-syntax",
            "aliases",
            id="B102-aliases",
        ),
        pytest.param(
            lambda kit: yolo(kit, **{YAML: "names: [car, b]\n#" + "x" * 70_000}),
            "label-limits",
            "64 kB",
            id="B102-large",
        ),
        pytest.param(
            lambda kit: yolo(kit, **{YAML: "names: " + "[" * 5_000 + "]" * 5_000}),
            "label-syntax",
            "nest",
            id="B102-deep",
        ),
    ],
)
def test_labels_that_cannot_be_trusted_refuse_the_dataset(
    gate: Any, kit: Any, make: Any, code: str, named: str
) -> None:
    upload = make(kit)
    upload.pop(TRAIN.upper(), None)
    finding = gate.refuses(upload)
    assert finding["code"] == code
    assert named in finding["message"]


@pytest.mark.parametrize("limit", [pytest.param(500, id="B82-too-large")])
def test_labels_beyond_the_limit_refuse_the_dataset(
    gate: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    # 4 GB in earnest: here the limit comes to the file.
    monkeypatch.setattr("service.datasets.streams.MAX_LABEL_BYTES", limit)
    assert gate.refuses(bdd(kit))["code"] == "label-too-large"


@pytest.mark.parametrize("row", [pytest.param("record", id="B82-record")])
def test_one_record_may_not_be_as_large_as_a_file(
    gate: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    monkeypatch.setattr("service.datasets.streams.MAX_RECORD_BYTES", 200_000)
    finding = gate.refuses(bdd(kit, holding("[" + "[],\n" * 200_000 + "[]]")))
    assert finding["code"] == "label-limits"
    assert "one record" in finding["message"]


@pytest.mark.parametrize("row", [pytest.param("text", id="B82-yolo")])
def test_a_huge_label_file_of_one_image_costs_that_image(
    gate: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    monkeypatch.setattr("workers.stages.ingest.MAX_LABEL_BYTES", 20)
    done = gate.takes(yolo(kit))
    assert [entry.frame.name for entry in done.entries] == ["b.png", "c.jpg"]
    assert "label-too-large" in gate.findings(done)


@pytest.mark.parametrize("row", [pytest.param("streamed", id="B82-streamed")])
def test_label_files_are_read_in_constant_memory(row: str) -> None:
    record = {
        "name": "nobody.jpg",
        "labels": [{"category": "car", "box2d": {}, "id": str(n)} for n in range(9)],
    }

    def peak_bytes(records: int) -> int:
        text = "[" + ",".join([json.dumps(record)] * records) + "]"
        stream = io.BytesIO(text.encode())
        tracemalloc.start()
        assert sum(1 for _ in bdd100k.records(stream)) == records
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak_bytes(4_000) < 1.2 * peak_bytes(1_000)


@pytest.mark.parametrize(
    ("make", "code", "severity"),
    [
        pytest.param(lambda kit: with_box(kit, "@NaN", 2, 9, 9), "bad-number", "error", id="B85-nan"),
        pytest.param(
            lambda kit: with_box(kit, 1, 2, "@Infinity", 9), "bad-number", "error", id="B85-infinity"
        ),
        pytest.param(lambda kit: with_box(kit, 1, 2, "@-1e999", 9), "bad-number", "error", id="B85-1e999"),
        pytest.param(lambda kit: with_box(kit, 1, 2, "12", 9), "bad-number", "error", id="B85-text"),
        pytest.param(lambda kit: with_box(kit, True, 2, 9, 9), "bad-number", "error", id="B85-true"),
        pytest.param(lambda kit: with_box(kit, None, 2, 9, 9), "bad-number", "error", id="B85-null"),
        pytest.param(lambda kit: yolo(kit, "0 nan 0.5 0.1 0.1\n"), "bad-number", "error", id="B85-yolo"),
        pytest.param(lambda kit: with_box(kit, 9, 2, 1, 9), "box-inverted", "error", id="B86-x"),
        pytest.param(lambda kit: with_box(kit, 1, 9, 9, 2), "box-inverted", "error", id="B86-y"),
        pytest.param(lambda kit: with_box(kit, 5, 5, 5, 9), "box-degenerate", "warning", id="B87-zero"),
        pytest.param(lambda kit: with_box(kit, 5, 5, 5.5, 9), "box-degenerate", "warning", id="B87-sliver"),
        pytest.param(
            lambda kit: with_box(kit, 900, 5, 950, 9), "box-out-of-bounds", "error", id="B88-outside"
        ),
        pytest.param(
            lambda kit: with_box(kit, -90, -50, -9, -5), "box-out-of-bounds", "error", id="B89-outside"
        ),
        pytest.param(lambda kit: yolo(kit, "9 .5 .5 .1 .1\n"), "yolo-syntax", "error", id="B98-class"),
        pytest.param(lambda kit: yolo(kit, "1e9 .5 .5 .1 .1\n"), "yolo-syntax", "error", id="B98-huge-class"),
        pytest.param(lambda kit: yolo(kit, "-1 .5 .5 .1 .1\n"), "yolo-syntax", "error", id="B98-negative"),
        pytest.param(lambda kit: yolo(kit, "0 .5 .5 .1\n"), "yolo-syntax", "error", id="B98-columns"),
        pytest.param(lambda kit: yolo(kit, "0 5 .5 .1 .1\n"), "yolo-syntax", "error", id="B98-beyond-1"),
        pytest.param(
            lambda kit: coco(
                kit, annotations=[{"id": 7, "image_id": 7, "category_id": 99, "bbox": [1, 1, 9, 9]}]
            ),
            "dangling-id",
            "error",
            id="B99-category",
        ),
        pytest.param(
            lambda kit: coco(
                kit, annotations=[{"id": 7, "image_id": 8, "category_id": 3, "bbox": [1, 1, 9, 9]}]
            ),
            "dangling-id",
            "error",
            id="B99-image",
        ),
    ],
)
def test_a_bad_label_costs_its_own_box(gate: Any, kit: Any, make: Any, code: str, severity: str) -> None:
    upload = make(kit)
    done = gate.takes(upload)
    sound = gate.takes(bdd(kit) if TRAIN in upload else kit.upload("yolo" if A in upload else "coco"))
    [finding] = gate.findings(done)[code]
    assert finding["severity"] == severity
    assert finding["pointer"] or code == "dangling-id"
    assert len(done.entries) == len(sound.entries)
    lost = sum(
        len(one.frame.boxes) - len(other.frame.boxes)
        for one, other in zip(sound.entries, done.entries, strict=True)
    )
    assert lost == (1 if TRAIN in upload else 0), "the bad box replaced a good one, or was added to them"


@pytest.mark.parametrize(
    ("corners", "kept", "code", "severity"),
    [
        pytest.param((40, 2, 49.5, 9), (40, 2, 48, 9), "box-clipped", "note", id="B88-careless"),
        # Clipped with a warning, where the table leaves it out: half a car at the edge is still a car.
        pytest.param((30, 2, 55, 9), (30, 2, 48, 9), "box-out-of-bounds", "warning", id="B88-beyond"),
        pytest.param((-1.5, -1, 9, 9), (0, 0, 9, 9), "box-clipped", "note", id="B89-careless"),
        pytest.param((-9, 2, 9, 9), (0, 2, 9, 9), "box-out-of-bounds", "warning", id="B89-beyond"),
    ],
)
def test_a_box_beyond_its_image_is_clipped_and_counted(
    gate: Any, kit: Any, corners: Any, kept: Any, code: str, severity: str
) -> None:
    done = gate.takes(with_box(kit, *corners))
    assert [finding["severity"] for finding in gate.findings(done)[code]] == [severity]
    assert done.entries[0].frame.boxes[0].xyxy == kept


def crowded_bdd(kit: Any) -> dict[str, Any]:
    upload = bdd(kit)
    record = upload[TRAIN][0]
    record["labels"] = [record["labels"][0]] * 10_001
    return upload


@pytest.mark.parametrize(
    ("make", "left"),
    [
        pytest.param(crowded_bdd, ["frame-1.jpg", "frame-2.jpg"], id="B90-bdd100k"),
        pytest.param(lambda kit: yolo(kit, "0 .5 .5 .1 .1\n" * 10_001), ["b.png", "c.jpg"], id="B90-yolo"),
        pytest.param(
            lambda kit: coco(
                kit,
                annotations=[
                    {"id": n, "image_id": 7, "category_id": 3, "bbox": [1, 1, 9, 9]} for n in range(10_001)
                ],
            ),
            ["b.jpg"],
            id="B90-coco",
        ),
    ],
)
def test_an_image_of_too_many_boxes_is_left_out(gate: Any, kit: Any, make: Any, left: list[str]) -> None:
    done = gate.takes(make(kit))
    assert [entry.frame.name for entry in done.entries] == left
    assert [finding["severity"] for finding in gate.findings(done)["too-many-boxes"]] == ["error"]


@pytest.mark.parametrize("mark", [pytest.param(b"\xef\xbb\xbf", id="B80-mark")])
def test_a_byte_order_mark_is_no_fault(gate: Any, kit: Any, mark: bytes) -> None:
    done = gate.takes(bdd(kit, mark + json.dumps(bdd(kit)[TRAIN]).encode()))
    assert (len(done.entries), done.report["findings"]) == (3, [])


@pytest.mark.parametrize("row", [pytest.param("latin", id="B80-yolo")])
def test_a_text_that_is_no_text_costs_its_own_frame(gate: Any, kit: Any, row: str) -> None:
    done = gate.takes(yolo(kit, **{A: b"\xff\xfe0\0 \0"}))
    assert len(done.entries) == 2
    assert "label-encoding" in gate.findings(done)


@pytest.mark.parametrize("row", [pytest.param("names", id="B91-many")])
def test_of_many_unknown_categories_a_hundred_are_listed(gate: Any, kit: Any, row: str) -> None:
    upload = bdd(kit)
    label = upload[TRAIN][0]["labels"][0]
    upload[TRAIN][0]["labels"] = [label | {"category": f"k{number}"} for number in range(150)]
    # A list of names is no hostile text, and this is the one place where a hundred help.
    with pytest.raises(DatasetRejected, match="and 50 more") as refusal:
        gate.workshop.ingest(upload)
    assert refusal.value.message.count("'k") == 100


@pytest.mark.parametrize(
    ("options", "categories"),
    [
        pytest.param(Options(ignore_unknown=True), {"car": 2}, id="B91-ignored"),
        pytest.param(Options(category_map={"spaceship": "truck"}), {"car": 2, "truck": 1}, id="B91-mapped"),
    ],
)
def test_an_unknown_category_is_dealt_with_as_the_user_says(
    gate: Any, kit: Any, options: Options, categories: Mapping[str, int]
) -> None:
    done = gate.takes(with_box(kit, 1, 2, 9, 9, category="spaceship"), options=options)
    assert done.report["counts"]["categories"] == categories
    assert {"unknown-category", "category-renamed"} & set(gate.findings(done))


@pytest.mark.parametrize(
    ("name", "category"),
    [
        # The official toolkit's own aliases are applied without being asked for; the report shows each.
        pytest.param("bike", "bicycle", id="B92-bike"),
        pytest.param("person", "pedestrian", id="B92-person"),
    ],
)
def test_a_known_synonym_is_shown_in_the_report(gate: Any, kit: Any, name: str, category: str) -> None:
    done = gate.takes(with_box(kit, 1, 2, 9, 9, category=name))
    [finding] = gate.findings(done)["category-renamed"]
    assert finding["message"] == f"1 box(es) of '{name}' are counted as '{category}'."
    assert category in done.report["counts"]["categories"]


@pytest.mark.parametrize("name", [pytest.param("person on bike", id="B92-unknown")])
def test_a_synonym_that_nobody_declared_is_not_guessed(gate: Any, kit: Any, name: str) -> None:
    finding = gate.refuses(with_box(kit, 1, 2, 9, 9, category=name))
    assert (finding["code"], "--map-category" in finding["cure"]) == ("unknown-category", True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("missing.jpg", id="B93"),
        pytest.param("../../frame-0.jpg", id="B96-up"),
        pytest.param("/etc/passwd", id="B96-absolute"),
        pytest.param("C:\\frame-0.jpg", id="B96-drive"),
        pytest.param("file:///etc/passwd", id="B96-file"),
        pytest.param("http://169.254.169.254/frame-0.jpg", id="B96-url"),
        pytest.param("frame-0.jpg\0.png", id="B96-nul"),
        pytest.param("x" * 10_000 + ".jpg", id="B96-long"),
        pytest.param("\x1b[31m[red]\u202e.jpg", id="B96-ansi"),
    ],
)
def test_a_name_in_a_label_is_only_looked_up(gate: Any, kit: Any, name: str) -> None:
    upload = bdd(kit)
    upload[TRAIN].append({"name": name, "labels": []})
    done = gate.takes(upload)
    [finding] = gate.findings(done)["label-without-image"]
    assert len(done.entries) == 3
    assert finding["message"].isprintable()
    assert finding["cure"]


@pytest.mark.parametrize("row", [pytest.param("background", id="B94")])
def test_an_image_without_label_is_background_and_counted(gate: Any, kit: Any, row: str) -> None:
    done = gate.takes(bdd(kit) | {"bdd100k/images/100k/train/empty.jpg": kit.picture()})
    assert len(done.entries) == 4
    assert done.report["counts"]["unlabelled"] == 1
    assert [finding["severity"] for finding in gate.findings(done)["unlabelled"]] == ["note"]


@pytest.mark.parametrize("row", [pytest.param("twice", id="B99-duplicate")])
def test_a_coco_id_that_stands_twice_is_named(gate: Any, kit: Any, row: str) -> None:
    done = gate.takes(coco(kit, images=[{"id": 7, "file_name": "b.jpg"}]))
    assert [finding["severity"] for finding in gate.findings(done)["duplicate-id"]] == ["error"]
    assert len(done.entries) == 2


@pytest.mark.parametrize("row", [pytest.param("mask", id="B99-mask")])
def test_a_coco_mask_is_carried_through_unread(gate: Any, kit: Any, row: str) -> None:
    mask = {"counts": "`?<script>\\u0000", "size": [10**9, -1]}
    upload = coco(kit)
    upload["annotations/instances_train.json"]["annotations"][0]["segmentation"] = mask
    done = gate.takes(upload)
    assert done.entries[0].frame.boxes[0].extra["segmentation"] == mask


@pytest.mark.parametrize("row", [pytest.param("unlabelled", id="B100-allowed")])
def test_images_alone_are_taken_when_that_is_meant(gate: Any, kit: Any, row: str) -> None:
    done = gate.takes({"a/b.jpg": kit.picture()}, options=Options(unlabelled=True))
    assert len(done.entries) == 1


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(MARKUP, id="B101-markup"),
        pytest.param('=HYPERLINK("http://evil")', id="B101-formula"),
        pytest.param("{{7*7}}", id="B101-template"),
        pytest.param("[red]stop[/red]", id="B101-console"),
        pytest.param("- a: *b #'\"", id="B101-yaml"),
        pytest.param("null", id="B101-null"),
    ],
)
def test_a_class_name_is_text_wherever_it_goes(gate: Any, kit: Any, name: str) -> None:
    done = gate.takes(yolo(kit, **{YAML: with_names([name, "traffic light"])}))
    assert yaml.safe_load(done.read("data.yaml"))["names"] == {0: name, 1: "traffic light"}
    assert done.report["counts"]["categories"][name] == 2
    dataset = stored_dataset(done)
    exported = unzipped(export_zip(gate.workshop.store, dataset, ExportFormat.COCO))
    document = json.loads(exported["annotations/instances_train.json"])
    assert document["categories"][0]["name"] == name
    frames = json.loads(
        unzipped(export_zip(gate.workshop.store, dataset, ExportFormat.BDD100K))["labels/det_20/det_val.json"]
    )
    assert frames[0]["labels"][0]["category"] == name


@pytest.mark.parametrize(
    "path", [pytest.param("/etc", id="B102-path"), pytest.param("../../..", id="B102-up")]
)
def test_the_paths_of_a_data_yaml_are_only_compared(gate: Any, kit: Any, path: str) -> None:
    text = with_names(["car", "traffic light"], path=path, test=f"{path}/passwd", download="rm -rf /")
    done = gate.takes(yolo(kit, **{YAML: text}))
    assert len(done.entries) == 3
    assert set(gate.findings(done)) == {"data-yaml-missing"}
