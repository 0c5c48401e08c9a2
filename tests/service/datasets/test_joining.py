"""Every image becomes one planned frame, or a finding says why not."""

from typing import Any

import pytest

from service.datasets.dataset import Finding, Severity
from service.datasets.formats import Options
from service.datasets.selection import Selection
from service.errors import DatasetRejected

BOX = {"x1": 10.0, "y1": 20.0, "x2": 30.0, "y2": 40.0}
ROW = "0 0.5 0.5 0.1 0.1\n"


def frame(name: str, *categories: str, **attributes: str) -> dict[str, Any]:
    labels = [{"id": "7", "category": category, "box2d": BOX} for category in categories]
    return {"name": name, "attributes": attributes, "labels": labels}


def coco(*names: str) -> dict[str, Any]:
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    return {"images": images, "annotations": [], "categories": [{"id": 1, "name": "car"}]}


def select(*expressions: str, **options: Any) -> Options:
    return Options(Selection.parse(expressions), **options)


def rejection(plan: Any, contents: Any, options: Options | None = None) -> DatasetRejected:
    with pytest.raises(DatasetRejected) as caught:
        plan(contents, options)
    return caught.value


@pytest.mark.parametrize(
    ("image", "labels", "split"),
    [
        ("images/100k/val/a.jpg", "det_train.json", "val"),
        ("images/train2017/a.jpg", "x.json", "train"),
        ("d/valid/images/a.jpg", "x.json", "val"),
        ("d/Validation/a.jpg", "x.json", "val"),
        ("d/test/a.jpg", "x.json", "test"),
        ("images/a.jpg", "det_val.json", "val"),
        ("images/a.jpg", "val/labels.json", "val"),
        ("images/a.jpg", "bdd100k_labels_images_train.json", "train"),
        ("images/a.jpg", "trainval.json", "train"),
        ("images/a.jpg", "train_and_val.json", "train"),
        ("latest/a.jpg", "x.json", "train"),
    ],
)
def test_the_split_is_told_by_the_image_then_by_the_label_file(
    plan: Any, image: str, labels: str, split: str
) -> None:
    found = plan({image: None, labels: [frame("a.jpg", "car")]})
    assert found.splits() == {image: split}
    assert found.findings == []


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("b.jpg", "images/train/b.jpg"),  # the one of its split
        ("c.jpg", "images/val/c.jpg"),  # the only one
        ("x/d.jpg", "images/train/x/d.jpg"),  # the longest common end
        ("train/y/d.jpg", "images/train/y/d.jpg"),
        ("y\\d.jpg", "images/train/y/d.jpg"),
        ("c.png", "images/val/c.jpg"),  # converted since
        ("./c.jpg", "images/val/c.jpg"),
        ("e\u0301.jpg", "images/train/é.jpg"),  # an accent, as macOS writes it
        ("dots.in.name", "images/train/dots.in.name.jpg"),
    ],
)
def test_a_label_finds_its_image_by_name(plan: Any, name: str, image: str) -> None:
    images = (
        *("images/train/b.jpg", "images/val/b.jpg", "images/val/c.jpg", "images/train/x/d.jpg"),
        *(
            "images/train/y/d.jpg",
            "images/train/é.jpg",
            "images/train/dots.in.name.jpg",
            "images/train/dots.jpg",
        ),
    )
    found = plan({**dict.fromkeys(images), "det_train.json": [frame(name, "car")]})
    assert [one.image for one in found.frames if one.record] == [image]
    assert "label-without-image" not in found.codes


@pytest.mark.parametrize(
    "name",
    [
        "missing.jpg",
        "../a.jpg",
        "/images/a.jpg",
        "http://example.com/a.jpg",
        "C:\\images\\a.jpg",
        "d.jpg",
        "",
    ],
)
def test_a_label_that_names_no_image_is_left_out_and_never_followed(plan: Any, name: str) -> None:
    images = ("images/a.jpg", "images/ok.jpg", "images/x/d.jpg", "images/y/d.jpg")
    found = plan({**dict.fromkeys(images), "x.json": [frame("ok.jpg", "car"), frame(name, "car")]})
    errors = [one for one in found.findings if one.severity is Severity.ERROR]
    assert [(one.code, one.path, one.pointer) for one in errors] == [
        ("label-without-image", "x.json", "frame 1")
    ]
    assert errors[0].cure
    assert [one.image for one in found.frames if one.record] == ["images/ok.jpg"]


def test_labels_of_which_none_names_an_image_refuse_the_dataset(plan: Any) -> None:
    error = rejection(plan, {"images/a.jpg": None, "x.json": [frame("b.jpg", "car")]})
    assert error.code == "empty-dataset"
    assert "'b.jpg'" in error.message
    assert "'a.jpg'" in error.message


def test_an_image_without_label_is_background_with_a_note(plan: Any) -> None:
    found = plan(
        {
            **dict.fromkeys(["images/train/a.jpg", "images/train/b.jpg", "images/test/t.jpg"]),
            "det_train.json": [frame("a.jpg", "car"), frame("b.jpg")],
        }
    )
    assert found.splits() == {
        "images/train/a.jpg": "train",
        "images/train/b.jpg": "train",
        "images/test/t.jpg": "test",
    }
    assert [(one.code, one.severity, one.path) for one in found.findings] == [
        ("unlabelled", Severity.NOTE, "images/test/t.jpg"),
        ("unlabelled-split", Severity.WARNING, ""),
    ]
    assert found.frames[-1].record is None


def test_an_empty_label_file_is_a_statement_and_no_finding(plan: Any) -> None:
    found = plan({"images/a.jpg": None, "labels/a.txt": "", "data.yaml": "names: [car]"})
    assert (found.codes, len(found.frames)) == ([], 1)


@pytest.mark.parametrize(
    "labels",
    [
        {"x.json": [frame("a.jpg"), frame("a.jpg")]},
        {"x_train.json": [frame("a.jpg")], "y_train.json": [frame("a.jpg")]},
        {"x.json": coco("a.jpg", "images/a.jpg")},
        {"labels/a.txt": ROW, "labels/elsewhere/a.txt": ROW},
    ],
)
def test_two_labels_for_one_image_refuse_the_dataset_and_are_named(plan: Any, labels: Any) -> None:
    error = rejection(plan, {"images/a.jpg": None, **labels})
    assert error.code == "duplicate-label"
    assert "images/a.jpg" in error.message
    assert all(name in error.message for name in labels)


def test_two_images_of_one_name_in_a_split_refuse_the_dataset_and_are_named(plan: Any) -> None:
    images = ("images/100k/train/a.jpg", "more/train/a.jpg")
    error = rejection(plan, {**dict.fromkeys(images), "x.json": [frame("a.jpg")]})
    assert error.code == "duplicate-name"
    assert all(name in error.message for name in images)


def test_the_same_name_in_two_splits_is_two_frames(plan: Any) -> None:
    found = plan(
        {
            **dict.fromkeys(["train/a.jpg", "val/a.jpg"]),
            "det_train.json": [frame("a.jpg", "car")],
            "det_val.json": [frame("a.jpg", "bus")],
        }
    )
    assert [(str(one.split), one.id, one.record["labels"][0]["category"]) for one in found.frames] == [
        ("train", "a", "car"),
        ("val", "a", "bus"),
    ]


def test_frame_ids_are_safe_unique_and_the_same_every_time(plan: Any) -> None:
    names = (
        "a b.jpg",
        "a_b.jpg",
        "A_B.jpg",
        "x/a.jpg",
        ".../-odd.jpg",
        f"{'n' * 200}.jpg",
        f"{'n' * 201}.jpg",
    )
    labels = [frame(name) for name in names]
    found = plan({**{f"images/train/{name}": None for name in names if name[0] != "."}, "x.json": labels})
    ids = [one.id for one in found.frames]
    assert ids == ["a_b", "a_b-2", "A_B-3", "x__a", "n" * 120, "n" * 118 + "-2"]


def test_unknown_categories_are_all_listed_with_the_cure(plan: Any) -> None:
    contents = {
        **dict.fromkeys(["images/a.jpg", "images/b.jpg"]),
        "x.json": [frame("a.jpg", "car", "tram"), frame("b.jpg", "<img src=x>", "tram")],
    }
    error = rejection(plan, contents)
    assert error.code == "unknown-category"
    assert "'<img src=x>', 'tram'" in error.message
    assert "--map-category NAME=CATEGORY" in error.cure
    assert "--ignore-unknown" in error.cure


def test_at_most_a_hundred_unknown_categories_are_listed(plan: Any) -> None:
    labels = [frame("a.jpg", *(f"unknown {number:03}" for number in range(150)))]
    error = rejection(plan, {"images/a.jpg": None, "x.json": labels})
    assert error.message.count("'unknown") == 100
    assert "50 more" in error.message


def test_unknown_categories_are_left_out_on_request_and_counted(plan: Any) -> None:
    contents = {"images/a.jpg": None, "x.json": [frame("a.jpg", "car", "tram", "tram", "cart")]}
    found = plan(contents, Options(ignore_unknown=True))
    assert [(one.code, one.severity, one.message[:9]) for one in found.findings] == [
        ("unknown-category", Severity.NOTE, "1 box(es)"),
        ("unknown-category", Severity.NOTE, "2 box(es)"),
    ]
    assert "tram" not in found.categories


def test_a_mapped_category_is_known_and_stands_after_the_formats_own(plan: Any) -> None:
    contents = {"images/a.jpg": None, "x.json": [frame("a.jpg", "car", "tram", "other vehicle", "bike")]}
    found = plan(contents, Options(category_map={"tram": "tramway", "autorickshaw": "car"}))
    assert found.categories[:3] == ("pedestrian", "rider", "car")
    assert found.categories[10:] == ("tramway",)
    assert found.codes == ["category-renamed", "category-renamed", "unused-mapping"]
    assert [one.message for one in found.findings[:2]] == [
        "1 box(es) of 'bike' are counted as 'bicycle'.",
        "1 box(es) of 'tram' are counted as 'tramway'.",
    ]


@pytest.mark.parametrize(
    ("expressions", "images"),
    [
        (["timeofday=night"], ["b"]),
        (["timeofday=night,dawn/dusk"], ["b", "c"]),
        (["timeofday=night", "split=train"], ["b"]),
        (["category=pedestrian"], ["a"]),
        (["category=bicycle"], ["c"]),
        (["weather=clear", "category=car"], ["a"]),
        (["split=train"], ["a", "b", "c", "d"]),
    ],
)
def test_a_selection_chooses_whole_frames(plan: Any, expressions: list[str], images: list[str]) -> None:
    contents = {
        **{f"images/train/{name}.jpg": None for name in "abcd"},
        "x.json": [
            frame("a.jpg", "car", "person", timeofday="daytime", weather="clear"),
            frame("b.jpg", "other vehicle", timeofday="night", weather="clear"),
            frame("c.jpg", "bike", timeofday="dawn/dusk"),
        ],
    }
    assert [one.id for one in plan(contents, select(*expressions)).frames] == images


def test_what_is_not_selected_raises_no_findings(plan: Any) -> None:
    contents = {
        **dict.fromkeys(["images/a.jpg", "images/b.jpg", "images/c.jpg"]),
        "x.json": [
            frame("a.jpg", "car", timeofday="daytime"),
            frame("b.jpg", "tram", timeofday="night"),
            frame("missing.jpg", "car", timeofday="night"),
        ],
    }
    found = plan(contents, select("timeofday=daytime"))
    assert ([one.id for one in found.frames], found.findings) == (["a"], [])


def test_a_selection_of_nothing_is_refused_with_what_there_is(plan: Any) -> None:
    contents = {"images/a.jpg": None, "x.json": [frame("a.jpg", "car", timeofday="daytime", weather="clear")]}
    error = rejection(plan, contents, select("timeofday=night", "weather=foggy"))
    assert error.code == "empty-selection"
    assert "timeofday=night weather=foggy" in error.message
    assert "timeofday: daytime; weather: clear" in error.cure


def test_a_selection_by_category_reads_yolo_labels(plan: Any) -> None:
    contents = {
        **{f"images/{name}.jpg": None for name in "ab"},
        "labels/a.txt": "0 0.5 0.5 0.1 0.1\n",
        "labels/b.txt": "1 0.5 0.5 0.1 0.1\n9 1 2\n",
        "data.yaml": "names: [car, bike]",
    }
    options = select("category=bicycle", category_map={"bike": "bicycle"})
    found = plan(contents, options)
    assert [one.id for one in found.frames] == ["b"]
    assert found.frames[0].record == {"names": ["car", "bike"]}
    assert found.categories == ("car", "bicycle")


def test_findings_are_plain_values(plan: Any) -> None:
    found = plan({"images/a.jpg": None, "images/b.jpg": None, "x.json": [frame("a.jpg")]})
    assert all(isinstance(one, Finding) and one.message.endswith(".") for one in found.findings)
