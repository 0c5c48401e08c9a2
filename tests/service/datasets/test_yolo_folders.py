"""What a data.yaml lists, and what to do without one."""

from pathlib import Path
from typing import Any

import pytest

from service.datasets.data_yaml import parse_data_yaml
from service.datasets.dataset import Severity
from service.datasets.formats import Options, build_frame
from service.datasets.yolo_folders import label_of
from service.errors import DatasetRejected

ROW = "0 0.5 0.5 0.1 0.1\n"
DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"


def labelled(*images: str) -> dict[str, Any]:
    return {**dict.fromkeys(images), **{label_of(image): ROW for image in images}}


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("images/b/images/a.b.jpg", "images/b/labels/a.b.txt"),
        ("train/images/a.jpg", "train/labels/a.txt"),
        ("d/a.jpg", "d/a.txt"),
        ("images.jpg", "images.txt"),
    ],
)
def test_a_label_lies_where_ultralytics_looks_for_it(image: str, label: str) -> None:
    assert label_of(image) == label


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("images/day", ""),
        ("./images/day/", ""),
        ("images/day", "set/"),
        ("../images/day", "set/"),
        ("/content/drive/My Drive/set/images/day", "set/"),
        ("C:\\data\\set\\images\\day", "set/"),
        ("[images/day]", ""),
        ("day", "set/"),
    ],
)
def test_a_listed_folder_is_found_by_the_end_of_its_path(plan: Any, value: str, prefix: str) -> None:
    contents = labelled("images/day/a.jpg", "images/night/a.jpg")
    found = plan(
        {
            **{prefix + name: content for name, content in contents.items()},
            f"{prefix}data.yaml": f"path: /etc\nval: {value}\nnames: [car]\n",
        }
    )
    assert found.splits() == {f"{prefix}images/day/a.jpg": "val"}
    assert [frame.name for frame in found.frames] == ["a.jpg"]
    assert [(one.code, one.severity, one.path) for one in found.findings] == [
        ("not-in-data-yaml", Severity.WARNING, f"{prefix}images/night")
    ]


def test_several_folders_for_a_split_keep_their_images_apart(plan: Any) -> None:
    found = plan(
        {
            **labelled("images/day/a.jpg", "images/dusk/a.jpg"),
            "data.yaml": "train: [images/day, images/dusk]\nval: images/no\nnames: {0: car}\n",
        }
    )
    assert [frame.id for frame in found.frames] == ["day__a", "dusk__a"]
    assert [(one.code, one.pointer) for one in found.findings] == [("data-yaml-missing", "val")]


def test_a_missing_folder_is_not_taken_for_another_that_ends_in_images(plan: Any) -> None:
    found = plan(
        {
            **labelled("day/images/a.jpg", "night/images/b.jpg"),
            "data.yaml": "val: ../dusk/images\ntrain: ../day/images\nnames: [car]\n",
        }
    )
    assert found.splits() == {"day/images/a.jpg": "train"}
    assert found.codes == ["data-yaml-missing", "not-in-data-yaml"]


def test_a_data_yaml_that_lists_nothing_of_the_upload_names_the_classes_only(plan: Any) -> None:
    contents = {**labelled("images/train/a.jpg"), "data.yaml": "train: x\nval: y\nnames: [car]\n"}
    found = plan(contents)
    assert found.splits() == {"images/train/a.jpg": "train"}
    assert found.codes == ["data-yaml-missing", "data-yaml-missing"]


def test_lists_of_images_are_followed_by_name_only(plan: Any) -> None:
    found = plan(
        {
            **labelled("images/a.jpg", "images/b.jpg", "images/c.jpg", "other/images/b.jpg"),
            "lists/one.txt": "../images/a.jpg\n/home/me/images/b.jpg\n\nimages/missing.jpg\n",
            "lists/two.txt": "./images/c.jpg\n",
            "data.yaml": "train: lists/one.txt\nvalidation: /root/lists/two.txt\nnames: [car]\n",
        }
    )
    assert found.splits() == {"images/a.jpg": "train", "images/b.jpg": "train", "images/c.jpg": "val"}
    assert [(one.code, one.path) for one in found.findings] == [("not-in-data-yaml", "other/images")]


def test_a_split_in_the_path_goes_before_the_data_yaml(plan: Any) -> None:
    contents = {**labelled("images/test/a.jpg"), "data.yaml": "val: images/test\nnames: [car]\n"}
    assert plan(contents).splits() == {"images/test/a.jpg": "test"}


def test_without_data_yaml_the_classes_are_numbered_with_a_warning(plan: Any) -> None:
    contents = {
        "images/a.jpg": None,
        "images/b.jpg": None,
        "labels/a.txt": "2 0.5 0.5 0.1 0.1",
        "labels/b.txt": ROW,
    }
    found = plan(contents)
    assert found.categories == ("class_0", "class_1", "class_2")
    assert [(one.code, one.severity) for one in found.findings] == [("class-names-missing", Severity.WARNING)]


def test_numbered_classes_can_be_mapped(plan: Any) -> None:
    contents = {
        "images/a.jpg": None,
        "images/b.jpg": None,
        "labels/a.txt": ROW,
        "labels/b.txt": "1" + ROW[1:],
    }
    options = Options(category_map={"class_0": "zebra"})
    found = plan(contents, options)
    assert found.categories == ("class_1", "zebra")
    built = [
        build_frame(
            planned,
            found.format,
            found.categories,
            options,
            width_px=100,
            height_px=100,
            label_text=contents[planned.label],
        )[0]
        for planned in found.frames
    ]
    assert [frame.boxes[0].category for frame in built] == ["zebra", "class_1"]


def test_a_label_in_another_folder_is_found_by_name(plan: Any) -> None:
    found = plan({"images/100k/train/a.jpg": None, "labels/train/a.txt": ROW, "data.yaml": "names: [car]"})
    assert [(frame.image, frame.label) for frame in found.frames] == [
        ("images/100k/train/a.jpg", "labels/train/a.txt")
    ]


def test_a_text_label_without_image_is_named(plan: Any) -> None:
    found = plan({**labelled("images/a.jpg"), "labels/b.txt": ROW, "data.yaml": "names: [car]"})
    assert [(one.code, one.path) for one in found.findings] == [("label-without-image", "labels/b.txt")]


def test_two_images_that_would_share_a_label_refuse_the_dataset(plan: Any) -> None:
    with pytest.raises(DatasetRejected, match=r"images/a\.jpg and images/a\.png") as caught:
        plan({**labelled("images/a.jpg", "images/a.png"), "data.yaml": "names: [car]"})
    assert caught.value.code == "duplicate-name"


def test_the_file_called_data_yaml_goes_before_others(plan: Any) -> None:
    found = plan(
        {
            **labelled("images/a.jpg"),
            "a.yaml": "names: [x]",
            "data.yaml": "names: [car]",
            "hyp.yml": "{broken",
        }
    )
    assert found.categories == ("car",)
    assert found.codes == ["ignored-file"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("names: [a, b", "label-syntax"),
        ("names: &x [a]\nother: *x", "label-syntax"),
        ("names: !!python/object/apply:os.system [ls]", "label-syntax"),
        ("names: {0: a, 2: b}", "label-syntax"),
        ("names: {a: 0}", "label-syntax"),
        ("names: []", "label-syntax"),
        ("names:", "label-syntax"),
        ("names: [[a]]", "label-syntax"),
        ("- names: [a]\n  names: b", "label-syntax"),
        ("names: [" + "[" * 30000, "label-syntax"),
        ("names: [2026-99-99]", "label-syntax"),
        ("names: [a]\n#" + "x" * 70000, "label-limits"),
        ("names: [a]\nkpt_shape: [17, 3]", "unsupported-task"),
        ('names: ["a\\nb"]', "category-name"),
        ("names: [" + "a" * 129 + "]", "category-name"),
        ("names: ['']", "category-name"),
    ],
)
def test_a_bad_data_yaml_refuses_the_dataset(plan: Any, text: str, code: str) -> None:
    with pytest.raises(DatasetRejected, match=r"data\.yaml") as caught:
        plan({**labelled("images/a.jpg"), "data.yaml": text})
    assert (caught.value.code, bool(caught.value.cure)) == (code, True)


def test_a_yaml_that_is_not_utf8_is_refused(plan: Any) -> None:
    with pytest.raises(DatasetRejected) as caught:
        plan({**labelled("images/a.jpg"), "data.yaml": "names: [fußgänger]".encode("latin-1")})
    assert caught.value.code == "label-encoding"


@pytest.mark.parametrize("text", ["names: [1, 2.5]", "names: {0: 1, 1: 2.5}", "names: {'1': 2.5, '0': 1}"])
def test_numbers_are_names_too(text: str) -> None:
    content = parse_data_yaml(text.encode(), "data.yaml")
    assert content
    assert content.names == ("1", "2.5")


@pytest.mark.skipif(not (DATA / "street").is_dir(), reason="the real data lie beside the repository only")
@pytest.mark.parametrize(
    ("name", "counts", "left_out"),
    [
        ("street", {"train": 332, "val": 101, "test": 243}, {"images/night_train", "unpaired_night"}),
        ("motorway", {"train": 59, "val": 25, "test": 35}, {"images/night_train"}),
    ],
)
def test_the_real_sets_are_planned_as_their_data_yaml_says(
    plan: Any, name: str, counts: dict[str, int], left_out: set[str]
) -> None:
    folder = DATA / name
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    found = plan(
        {member: b"" if path.suffix == ".jpg" else path.read_bytes() for member, path in files.items()}
    )
    splits = list(found.splits().values())
    assert {split: splits.count(split) for split in counts} == counts
    assert {one.path for one in found.findings if one.code == "not-in-data-yaml"} == left_out
    assert set(found.codes) <= {"not-in-data-yaml", "ignored-file", "unlabelled"}
    for planned in found.frames[:50]:
        text = files[planned.label].read_text()
        frame, findings = build_frame(
            planned, found.format, found.categories, Options(), width_px=640, height_px=320, label_text=text
        )
        assert findings == []
        assert len(frame.boxes) == len(text.splitlines())
