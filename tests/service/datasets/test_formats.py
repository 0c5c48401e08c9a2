"""The format is found by structure, whatever the files are called."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.dataset import Severity, Split
from service.datasets.formats import Format, Options, PlannedFrame, build_frame, plan_dataset
from service.datasets.selection import Selection
from service.errors import DatasetRejected

BOX = {"x1": 10.0, "y1": 20.0, "x2": 30.0, "y2": 40.0}


def label(category: str = "car", identity: Any = "7") -> dict[str, Any]:
    return {"id": identity, "category": category, "attributes": {}, "box2d": BOX}


def frame(name: str, *labels: dict[str, Any], **attributes: str) -> dict[str, Any]:
    return {"name": name, "attributes": attributes, "labels": list(labels)}


def coco(*names: str, **changes: Any) -> dict[str, Any]:
    return {
        "info": {"year": 2026},
        "images": [
            {"id": number, "file_name": name, "width": 1280, "height": 720}
            for number, name in enumerate(names)
        ],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 3, "bbox": [10, 20, 20, 20], "iscrowd": 0}
            for number in range(len(names))
        ],
        "categories": [{"id": 7, "name": "truck"}, {"id": 3, "name": "car"}],
        **changes,
    }


def per_image(name: str, *labels: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "attributes": {}, "frames": [{"timestamp": 10000, "objects": list(labels)}]}


DET20 = [frame("a.jpg", label())]
DET2018 = [frame("a.jpg", label("bike", 7))]
YAML = "train: images/train\nnames: [car, bus]\n"
ROW = "0 0.5 0.5 0.1 0.1\n"

LAYOUTS = {
    "det_20 list": (Format.BDD100K_DET20, {"images/100k/train/a.jpg": None, "labels/det_train.json": DET20}),
    "Scalabel dict": (
        Format.BDD100K_DET20,
        {"images/a.jpg": None, "x.json": {"config": {"a": [1]}, "groups": None, "frames": DET20}},
    ),
    "2018 list": (Format.BDD100K_2018, {"images/a.jpg": None, "what_train.json": DET2018}),
    "2018 file per image": (
        Format.BDD100K_2018_PER_IMAGE,
        {"images/100k/train/a.jpg": None, "labels/100k/train/a.json": per_image("a", label("lane/x"))},
    ),
    "COCO": (Format.COCO, {"train2017/a.jpg": None, "annotations/instances_train2017.json": coco("a.jpg")}),
    "COCO, annotations first": (
        Format.COCO,
        {
            "train/a.jpg": None,
            "train/_annotations.coco.json": dict(reversed(coco("a.jpg").items())),
        },
    ),
    "YOLO": (
        Format.YOLO,
        {"images/train/a.jpg": None, "labels/train/a.txt": ROW, "data.yaml": YAML},
    ),
    "YOLO by Roboflow": (
        Format.YOLO,
        {
            "train/images/a.jpg": None,
            "train/labels/a.txt": ROW,
            "data.yaml": "train: ../train/images\nnc: 1\nnames: [car]\n",
        },
    ),
    "YOLO beside the images": (Format.YOLO, {"d/a.jpg": None, "d/a.txt": ROW, "d/classes.txt": "car\nbus\n"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_recognised_and_its_label_finds_its_image(plan: Any, layout: str) -> None:
    format_, contents = LAYOUTS[layout]
    options = Options(ignore_unknown=True)
    for root in ("", "some folder/bdd100k/"):
        found = plan({root + name: content for name, content in contents.items()}, options)
        assert found.format is format_
        assert [frame.id for frame in found.frames] == ["a"]
        assert [frame.name for frame in found.frames] == ["a.jpg"]
        assert found.frames[0].split is Split.TRAIN
        assert found.frames[0].record or found.frames[0].label
        assert "car" in found.categories
        assert {finding.severity for finding in found.findings} <= {Severity.NOTE}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_planned_frame_goes_through_json_and_becomes_a_frame(plan: Any, layout: str) -> None:
    format_, contents = LAYOUTS[layout]
    options = Options(ignore_unknown=True, category_map={"lane/x": "car"})
    found = plan(contents, options)
    planned = found.frames[0]
    assert PlannedFrame.from_json(planned.to_json()) == planned
    built, findings = build_frame(
        planned,
        format_,
        found.categories,
        Options.from_json(options.to_json()),
        width_px=1280,
        height_px=720,
        label_text=contents[planned.label] if planned.label else None,
    )
    assert findings == []
    assert [box.category for box in built.boxes] in (["car"], ["bicycle"])
    assert built.id == planned.id


def rejection(plan: Callable[..., Any], contents: Any, options: Options | None = None) -> DatasetRejected:
    with pytest.raises(DatasetRejected) as caught:
        plan(contents, options)
    assert caught.value.cure
    return caught.value


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {"a.txt": "x"},
        {"labels/train/a.txt": ROW, "data.yaml": YAML},
        {"x.json": DET20, ".hidden.jpg": None},
    ],
)
def test_an_upload_without_images_is_empty(plan: Any, contents: Any) -> None:
    assert rejection(plan, contents).code == "empty-dataset"


@pytest.mark.parametrize(
    "others", [{}, {"data.yaml": YAML}, {"x.json": []}, {"x.json": {"a.jpg": 3}}, {"notes.txt": "0 1 2 3 4"}]
)
def test_images_without_any_labels_are_refused_with_the_layouts_there_are(plan: Any, others: Any) -> None:
    error = rejection(plan, {"images/a.jpg": None, **others})
    assert error.code == "empty-dataset"
    assert "no labels" in error.message
    assert "data.yaml" in error.cure
    assert "--unlabelled" in error.cure


def test_images_that_are_said_to_be_unlabelled_are_taken_without_a_word(plan: Any) -> None:
    contents = {"night/a.jpg": None, "night/b.png": None, "val/c.jpg": None, "notes.txt": "mine"}
    planned = plan(contents, Options(unlabelled=True))
    assert (planned.format, planned.categories, planned.findings) == (Format.IMAGES, (), [])
    assert planned.splits() == {"night/a.jpg": "train", "night/b.png": "train", "val/c.jpg": "val"}


def test_labels_are_read_even_if_none_were_expected(plan: Any) -> None:
    contents = {"labels/train/a.txt": ROW, "images/train/a.jpg": None, "data.yaml": YAML}
    assert plan(contents, Options(unlabelled=True)).format == Format.YOLO


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"x.json": DET20, "y.json": coco("a.jpg")}, ("BDD100K", "COCO")),
        ({"y.json": coco("a.jpg"), "labels/a.txt": ROW}, ("COCO", "YOLO")),
        (
            {"x.json": DET20, "y.json": coco("a.jpg"), "data.yaml": YAML, "labels/a.txt": ROW},
            ("BDD100K", "COCO", "YOLO"),
        ),
    ],
)
def test_a_mixture_is_refused_and_lists_its_formats(plan: Any, others: Any, named: tuple[str, ...]) -> None:
    error = rejection(plan, {"images/a.jpg": None, **others})
    assert error.code == "mixed-formats"
    assert all(name in error.message for name in named)
    assert all(member in error.message for member in others if member != "data.yaml")


def test_a_text_beside_json_labels_is_no_mixture(plan: Any) -> None:
    found = plan({"images/a.jpg": None, "labels/README.txt": "hello", "labels/x.json": DET20})
    assert found.codes == ["ignored-file"]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "label-syntax", "line 1 column 1"),
        (b'[{"name": "a.jpg",\n "labels": [}]', "label-syntax", "line 2 column 13"),
        (b'[{"name": "a.jpg", "labels": []}', "label-syntax", "line 1"),
        (b"<html>", "label-syntax", "line 1 column 1"),
        ('[{"name": "ä.jpg", "labels": []}]'.encode("latin-1"), "label-encoding", "byte 11"),
        ("[]".encode("utf-16"), "label-encoding", "byte 0"),
        (b'[{"name": "a.jpg", "labels": []}, {"labels": []}]', "label-syntax", "frame 1"),
        (b'{"images": [{"id": 1}], "annotations": []}', "label-syntax", "file_name"),
        (b'{"images": [7], "annotations": []}', "label-syntax", "images"),
    ],
)
def test_a_broken_label_file_is_refused_with_its_place(
    plan: Any, content: bytes, code: str, words: str
) -> None:
    error = rejection(plan, {"images/a.jpg": None, "labels.json": content})
    assert error.code == code
    assert error.message.startswith("labels.json, ")
    assert words in str(error)


def test_a_large_file_that_breaks_off_is_refused_near_the_place(plan: Any) -> None:
    text = "[" + ",".join('{"name": "a%d.jpg", "labels": []}' % number for number in range(5000))  # noqa: UP031
    error = rejection(plan, {"images/a7.jpg": None, "x.json": text})
    assert "near byte 1" in error.message
    assert "download it again" in error.cure


def test_a_byte_order_mark_does_no_harm(plan: Any) -> None:
    for format_, contents in LAYOUTS.values():
        marked = {
            name: None
            if content is None
            else b"\xef\xbb\xbf" + (content if isinstance(content, str) else json.dumps(content)).encode()
            for name, content in contents.items()
        }
        assert plan(marked, Options(ignore_unknown=True)).format is format_


def test_one_broken_file_per_image_leaves_out_its_image_only(plan: Any) -> None:
    found = plan(
        {
            **{f"images/train/{name}.jpg": None for name in "abc"},
            "labels/train/a.json": per_image("a", label()),
            "labels/train/b.json": '{"name": "b", "frames": [',
            "labels/train/c.json": {"name": "c", "frames": [{"objects": []}, {"objects": []}]},
        }
    )
    assert [frame.id for frame in found.frames] == ["a"]
    assert [(one.code, one.severity, one.path) for one in found.findings] == [
        ("label-syntax", Severity.ERROR, "labels/train/b.json"),
        ("label-syntax", Severity.ERROR, "labels/train/c.json"),
    ]


def test_the_better_bdd100k_release_is_read_where_several_cover_a_split(plan: Any) -> None:
    found = plan(
        {
            "images/100k/train/a.jpg": None,
            "images/100k/val/b.jpg": None,
            "labels/100k/train/a.json": per_image("a", label("bus")),
            "labels/bdd100k_labels_images_train.json": [frame("a.jpg", label("truck", 1))],
            "labels/bdd100k_labels_images_val.json": [frame("b.jpg", label("bike", 1))],
            "labels/det_20/det_train.json": [frame("a.jpg", label("car"))],
        }
    )
    assert found.format is Format.BDD100K_DET20
    assert [frame.record["labels"][0]["category"] for frame in found.frames] == ["bike", "car"]
    assert [(one.code, one.path) for one in found.findings] == [
        ("ignored-file", "labels"),
        ("ignored-file", "labels/100k/train"),
        ("category-renamed", ""),
    ]


def test_other_downloads_of_bdd100k_are_passed_over_one_note_a_folder(plan: Any) -> None:
    found = plan(
        {
            "b/images/100k/train/a.jpg": None,
            "b/images/10k/train/a.jpg": None,
            "b/images/10k/train/c.jpg": None,
            "b/labels/det_20/det_train.json": DET20,
            "b/labels/lane/polygons/lane_train.json": DET20,
            "b/labels/drivable/masks/train/a.png": None,
            "b/labels/sem_seg/masks/train/a.png": None,
            "b/labels/box_track_20/train/v.json": DET20,
        }
    )
    assert list(found.splits()) == ["b/images/100k/train/a.jpg"]
    assert [(one.code, one.path, one.message[:9]) for one in found.findings] == [
        ("ignored-file", "b/images/10k", "2 file(s)"),
        ("ignored-file", "b/labels/box_track_20", "1 file(s)"),
        ("ignored-file", "b/labels/drivable", "1 file(s)"),
        ("ignored-file", "b/labels/lane", "1 file(s)"),
        ("ignored-file", "b/labels/sem_seg", "1 file(s)"),
    ]


def test_cocos_other_annotations_of_the_same_images_are_passed_over(plan: Any) -> None:
    found = plan(
        {
            "train2017/a.jpg": None,
            "annotations/captions_train2017.json": coco("a.jpg"),
            "annotations/instances_train2017.json": coco("a.jpg"),
            "annotations/person_keypoints_train2017.json": coco("a.jpg"),
        }
    )
    assert found.codes == ["ignored-file"]
    assert len(found.frames) == 1


def test_what_systems_leave_behind_is_passed_over_and_counted(plan: Any) -> None:
    found = plan(
        {
            "images/a.jpg": None,
            "images/.DS_Store": b"",
            "images/Thumbs.db": b"",
            "images/._a.jpg": None,
            "__MACOSX/images/._a.jpg": None,
            "README.md": "hello",
            "model.pth": b"",
            "x.json": DET20,
        }
    )
    assert [(one.code, one.path, one.message[:9]) for one in found.findings] == [
        ("ignored-file", "", "1 file(s)"),
        ("ignored-file", "images", "3 file(s)"),
        ("ignored-file", "", "2 file(s)"),
    ]
    assert len(found.frames) == 1


def test_own_images_in_a_folder_called_lane_are_read(plan: Any) -> None:
    found = plan({"images/lane/a.jpg": None, "x.json": DET20})
    assert len(found.frames) == 1


def test_coco_ids_that_point_nowhere_or_twice_are_reported(plan: Any) -> None:
    contents = coco("a.jpg", "b.jpg")
    contents["images"].append({"id": 1, "file_name": "c.jpg"})
    contents["annotations"] += [
        {"id": 0, "image_id": 0, "category_id": 99, "bbox": [1, 2, 30, 40]},
        {"id": 5, "image_id": 77, "category_id": 3, "bbox": [1, 2, 30, 40]},
    ]
    found = plan({"images/a.jpg": None, "images/b.jpg": None, "x.json": contents})
    assert found.codes == ["dangling-id", "duplicate-id", "duplicate-id"]
    assert found.categories == ("car", "truck")
    frame, findings = build_frame(
        found.frames[0],
        Format.COCO,
        found.categories,
        Options(),
        width_px=1280,
        height_px=720,
        label_text=None,
    )
    assert len(frame.boxes) == 1
    assert [(one.code, one.pointer) for one in findings] == [("dangling-id", "annotations/1")]


def test_documents_with_the_same_ids_keep_apart(plan: Any) -> None:
    found = plan(
        {
            "train/a.jpg": None,
            "val/b.jpg": None,
            "instances_train.json": coco("a.jpg"),
            "instances_val.json": coco("b.jpg", categories=[{"id": 3, "name": "bus"}]),
        }
    )
    assert found.categories == ("car", "truck", "bus")
    assert [frame.record["annotations"][0][0] for frame in found.frames] == ["car", "bus"]


def test_a_label_for_an_image_of_another_size_is_noticed(plan: Any) -> None:
    found = plan({"images/a.jpg": None, "x.json": coco("a.jpg")})
    for size, code in (((720, 1280), "orientation-ambiguous"), ((640, 360), "size-mismatch")):
        _, findings = build_frame(
            found.frames[0],
            Format.COCO,
            found.categories,
            Options(),
            width_px=size[0],
            height_px=size[1],
            label_text=None,
        )
        assert [one.code for one in findings] == [code]


@given(st.permutations(list(LAYOUTS["YOLO"][1]) + [f"images/val/{name}.jpg" for name in "abc"]))
def test_the_order_of_the_members_does_not_matter(members: list[str]) -> None:
    contents = LAYOUTS["YOLO"][1]
    plan = plan_dataset(members, lambda name: BytesIO(contents[name].encode()), Options())
    first = plan_dataset(sorted(members), lambda name: BytesIO(contents[name].encode()), Options())
    assert list(plan.frames()) == list(first.frames())


def test_a_plan_can_be_read_twice(plan: Any) -> None:
    contents = LAYOUTS["YOLO"][1]
    plan = plan_dataset(list(contents), lambda name: BytesIO(contents[name].encode()), Options())
    assert list(plan.frames()) == list(plan.frames())


def test_options_survive_json() -> None:
    options = Options(Selection.parse(["timeofday=night,daytime", "split=val"]), {"a": "b"}, True)
    assert Options.from_json(options.to_json()) == options
