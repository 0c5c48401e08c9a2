"""The demo day set on disk: BDD100K's layout and words."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.demo.dataset import frame_name, write_demo_dataset
from service.demo.streets import CATEGORIES

Frames = list[dict[str, Any]]


def frames_of(root: Path, split: str) -> Frames:
    frames: Frames = json.loads((root / "labels" / "det_20" / f"det_{split}.json").read_text())
    return frames


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_dataset(tmp_path_factory.mktemp("demo") / "day", train=8, val=2, seed=3)


def test_every_frame_has_its_image_and_every_image_its_frame(root: Path) -> None:
    for split, count in (("train", 8), ("val", 2)):
        names = {frame["name"] for frame in frames_of(root, split)}
        assert len(names) == count
        assert names == {path.name for path in (root / "images" / "100k" / split).iterdir()}


def test_frames_use_the_words_of_bdd100k(root: Path) -> None:
    for frame in frames_of(root, "train") + frames_of(root, "val"):
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{8}\.jpg", frame["name"])
        assert frame["attributes"]["timeofday"] == "daytime"
        assert frame["attributes"]["weather"] in {"clear", "partly cloudy", "overcast"}
        assert frame["attributes"]["scene"] in {"city street", "residential", "highway"}
        ids = [label["id"] for label in frame["labels"]]
        assert all(isinstance(each, str) for each in ids)
        assert len(set(ids)) == len(ids)
        for label in frame["labels"]:
            assert set(label["attributes"]) == {"occluded", "truncated", "trafficLightColor"}
            assert set(label["box2d"]) == {"x1", "y1", "x2", "y2"}


def test_each_category_occurs(root: Path) -> None:
    frames = frames_of(root, "train") + frames_of(root, "val")
    assert {label["category"] for frame in frames for label in frame["labels"]} == set(CATEGORIES)


def test_jpegs_have_the_size_of_photographs(root: Path) -> None:
    sizes = [path.stat().st_size for path in (root / "images").rglob("*.jpg")]
    assert 40_000 < min(sizes) <= max(sizes) < 400_000


def test_seed_decides_the_bytes(tmp_path: Path) -> None:
    first, again, other = (
        write_demo_dataset(tmp_path / name, train=1, val=1, seed=seed)
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    )
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert [(first / each).read_bytes() for each in files] == [(again / each).read_bytes() for each in files]
    assert not {path.name for path in first.rglob("*.jpg")} & {path.name for path in other.rglob("*.jpg")}


def test_names_do_not_collide() -> None:
    assert len({frame_name(seed) for seed in range(2000)}) == 2000


def test_mislabelled_frames_look_like_night_but_say_daytime(tmp_path: Path) -> None:
    root = write_demo_dataset(tmp_path, train=3, val=0, mislabelled=1)
    frames = frames_of(root, "train")
    assert {frame["attributes"]["timeofday"] for frame in frames} == {"daytime"}
    means = [
        np.asarray(Image.open(root / "images/100k/train" / frame["name"]).convert("L")).mean()
        for frame in frames
    ]
    assert means[2] < 0.6 * min(means[:2])


def test_more_mislabelled_than_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mislabelled"):
        write_demo_dataset(tmp_path, train=1, mislabelled=2)
