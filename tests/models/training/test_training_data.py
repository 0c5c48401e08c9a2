from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.training import data as training_data
from models.training.data import UnpairedBatches, drawn_crop, prefetched, resized
from models.training.errors import ImagesRejected
from models.training.images import find_images, read_image
from models.training.recipe import Data, Recipe

Folders = tuple[Path, Path]


@pytest.fixture
def batches(tiny: Recipe, day_and_night: Folders) -> UnpairedBatches:
    return batches_of(tiny, day_and_night)


def batches_of(recipe: Recipe, folders: Folders) -> UnpairedBatches:
    day, night = (find_images([folder], "day", 32).paths for folder in folders)
    return UnpairedBatches(day, night, recipe)


def test_a_batch_follows_from_seed_and_step_alone(
    tiny: Recipe, day_and_night: Folders, batches: UnpairedBatches
) -> None:
    in_order = [batches.at(step) for step in range(4)]
    torch.rand(3)
    np.random.default_rng().random()
    backwards = [batches_of(tiny, day_and_night).at(step) for step in (3, 2, 1, 0)][::-1]
    for first, second in zip(in_order, backwards, strict=True):
        assert torch.equal(first.day, second.day)
        assert torch.equal(first.night, second.night)
    other = batches_of(replace(tiny, seed=1), day_and_night).at(0)
    assert not torch.equal(other.day, in_order[0].day)


def test_crops_are_of_the_size_and_range_and_differ(batches: UnpairedBatches) -> None:
    for step in range(3):
        batch = batches.at(step)
        assert batch.day.shape == batch.night.shape == (1, 3, 32, 32)
        assert batch.day.dtype == torch.float32
        assert -1 <= float(batch.night.min()) < float(batch.day.max()) <= 1
    assert not torch.equal(batches.at(0).day, batches.at(9).day)


def test_every_image_is_seen_once_an_epoch(
    tiny: Recipe, day_and_night: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def reading(path: Path) -> Image.Image:
        seen.append(path)
        return read_image(path)

    monkeypatch.setattr(training_data, "read_image", reading)
    batches = batches_of(replace(tiny, data=replace(tiny.data, batch_size=3)), day_and_night)
    for step in range(30):
        batches.at(step)
    # 90 images a side: ten epochs of nine by day, nine of ten by night
    counts = Counter(path.parts[path.parts.index("day" if "day" in path.parts else "night")] for path in seen)
    assert counts == {"day": 90, "night": 90}
    assert set(Counter(seen).values()) == {9, 10}
    first_epoch, second_epoch = ([p for p in seen if "day" in p.parts][start : start + 9] for start in (0, 9))
    assert set(first_epoch) == set(second_epoch)
    assert first_epoch != second_epoch


def test_augmentation_never_changes_brightness(tiny: Recipe, tmp_path: Path) -> None:
    for side, level in (("day", 200), ("night", 30)):
        (tmp_path / side).mkdir()
        for number in range(8):
            Image.new("RGB", (64, 40), (level, level, level)).save(tmp_path / side / f"{number}.png")
    batches = batches_of(tiny, (tmp_path / "day", tmp_path / "night"))
    for step in range(8):
        batch = batches.at(step)
        assert set(batch.day.unique().tolist()) == {np.float32(200 / 127.5) - 1}
        assert set(batch.night.unique().tolist()) == {np.float32(30 / 127.5) - 1}


@pytest.mark.parametrize(
    ("resize", "zoom", "expected"),
    [
        ("square", 1.0, (40, 40)),
        ("square", 1.5, (60, 60)),
        ("shorter_side", 1.0, (80, 40)),
        ("none", 1.0, (120, 60)),
        ("none", 2.0, (240, 120)),
    ],
)
def test_sizes_to_crop_from(resize: str, zoom: float, expected: tuple[int, int]) -> None:
    data = Data(crop_px=32, resize=resize, resize_px=40)  # type: ignore[arg-type]
    assert resized(Image.new("RGB", (120, 60)), data, zoom).size == expected


def test_crops_reach_every_place_and_are_mirrored_half_of_the_time() -> None:
    columns = np.tile(np.arange(36, dtype=np.uint8)[None, :, None], (34, 1, 3))
    image = Image.fromarray(columns)
    dice = np.random.default_rng(0)
    crops = [np.asarray(drawn_crop([image], Data(crop_px=32, resize="none"), dice)[0]) for _ in range(200)]
    lefts = Counter(int(crop[0].min()) for crop in crops)
    assert set(lefts) == {0, 1, 2, 3, 4}
    mirrored = sum(int(crop[0, 0, 0]) > int(crop[0, -1, 0]) for crop in crops)
    assert 70 < mirrored < 130


def test_pairs_of_the_warm_start_show_the_same_crop_darker(tiny: Recipe, day_and_night: Folders) -> None:
    recipe = replace(tiny, warm_start="camera", warm_steps=2)
    batches = batches_of(recipe, day_and_night)
    pair = batches.at(1)
    assert pair.is_paired
    assert float(pair.night.mean()) < float(pair.day.mean())
    assert torch.equal(pair.night, batches_of(recipe, day_and_night).at(1).night)
    assert not batches.at(2).is_paired
    assert torch.equal(batches.at(2).night, batches_of(tiny, day_and_night).at(2).night)


def test_examples_are_not_drawn(tiny: Recipe, day_and_night: Folders) -> None:
    first = batches_of(tiny, day_and_night).examples(4)
    second = batches_of(replace(tiny, seed=5), day_and_night).examples(4)
    assert first.day.shape == (4, 3, 32, 32)
    assert torch.equal(first.day, second.day)
    assert torch.equal(first.night, second.night)


@pytest.mark.parametrize("threads", [1, 3])
def test_prefetched_items_come_in_order_and_not_all_at_once(threads: int) -> None:
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number * 2

    items = prefetched(make, range(50), threads)
    assert next(items) == 0
    assert len(made) <= threads + 1
    assert list(items) == list(range(2, 100, 2))


def test_an_error_in_a_thread_arrives_and_closing_early_ends_the_threads() -> None:
    def fail(number: int) -> int:
        if number == 1:
            raise ImagesRejected("damaged")
        return number

    items = prefetched(fail, range(9), 2)
    assert next(items) == 0
    with pytest.raises(ImagesRejected, match="damaged"):
        next(items)
    early = prefetched(lambda number: number, range(9), 2)
    assert next(early) == 0
    early.close()


def test_images_are_found_below_in_an_order_by_name(day_and_night: Folders, tmp_path: Path) -> None:
    found = find_images([day_and_night[0]], "day", 32)
    assert len(found) == 9
    names = [path.relative_to(day_and_night[0]).as_posix() for path in found.paths]
    assert names == sorted(names)
    assert find_images(day_and_night, "day", 32).paths[:9] == found.paths
    (tmp_path / "moved").symlink_to(day_and_night[0], target_is_directory=True)
    assert find_images([tmp_path / "moved"], "day", 32).fingerprint == found.fingerprint
    assert find_images([day_and_night[1]], "day", 32).fingerprint != found.fingerprint


def test_unsuitable_images_are_named_with_the_cure(day_and_night: Folders, tmp_path: Path) -> None:
    with pytest.raises(ImagesRejected, match="There is no folder"):
        find_images([tmp_path / "nowhere"], "night", 32)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ImagesRejected, match=r"There are no night images in .* Give folders"):
        find_images([tmp_path], "night", 32)
    for number in range(7):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{number}.png")
    with pytest.raises(ImagesRejected, match=r"There are only 7 night images .* At least 8 a side"):
        find_images([tmp_path], "night", 32)
    with pytest.raises(ImagesRejected, match=r"\(40x48\) and 8 more are smaller than the crop of 44 px"):
        find_images([day_and_night[0]], "day", 44)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for number in range(8):
        Image.effect_noise((40, 40), 50).convert("RGB").save(tmp_path / f"{number}.jpg")
    whole = (tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 2])
    # the header is whole: only reading it shows
    find_images([tmp_path], "day", 32)
    with pytest.raises(ImagesRejected, match=r"3\.jpg' cannot be read: .*truncated"):
        read_image(tmp_path / "3.jpg")
    (tmp_path / "3.jpg").write_bytes(b"nothing")
    with pytest.raises(ImagesRejected, match=r"3\.jpg' cannot be read: it is no image"):
        find_images([tmp_path], "day", 32)


def test_pairs_come_back_as_often_as_the_recipe_says(tiny: Recipe, day_and_night: Folders) -> None:
    paired = replace(tiny, warm_start="camera", warm_steps=3, warm_every=4)
    kinds = [batches_of(paired, day_and_night).at(step).is_paired for step in range(10)]
    assert kinds == [True, True, True, False, True, False, False, False, True, False]
    never = replace(paired, warm_start="none")
    assert not any(batches_of(never, day_and_night).at(step).is_paired for step in range(10))
