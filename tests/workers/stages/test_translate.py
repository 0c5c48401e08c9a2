"""Translation changes pixels and the time of day, and not one label; the same job makes the same bytes."""

import errno
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from models.generators.interface import Generator, Scene
from service.datasets.manifest import canonical_labels
from service.errors import DatasetRejected, InvalidRequest
from service.jobs.job import JobKind, Stage
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.contact_sheet import CAPTION_PX, CELL_WIDTH_PX, GAP_PX
from workers.context import ShardTask
from workers.images import decode
from workers.resident_generator import resident_translator
from workers.stages.preview import assemble_preview

BOTH = pytest.mark.parametrize("card", ["identity", "camera-night"])


@pytest.fixture
def streets(workshop: Any, kit: Any) -> Any:
    """Seven frames of seven sizes, odd and even, six in train and one in val."""
    return workshop.ingest(kit.upload("bdd100k", frames=7))


def names(done: Any) -> list[str]:
    return [entry.frame.name for entry in done.entries]


def rows_of(sheet: bytes, height: int) -> int:
    """How many rows of one height a contact sheet has."""
    with Image.open(io.BytesIO(sheet)) as image:
        count, rest = divmod(image.height - GAP_PX, CAPTION_PX + height + GAP_PX)
    assert rest == 0
    return count


class SickStore(ObjectStore):
    """An object store whose disk fails for one kind of object."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(*fsspec.core.url_to_fs(settings.store))

    def read(self, key: str) -> bytes:
        if "/images/" in key:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(key)


@BOTH
@pytest.mark.parametrize("layout", ["bdd100k", "yolo", "coco"])
def test_labels_are_carried_over_exactly_and_sizes_stay(
    workshop: Any, kit: Any, layout: str, card: str
) -> None:
    source = workshop.ingest(kit.upload(layout))
    done = workshop.translate(source, card)
    assert len(done.entries) == len(source.entries)
    for before, after in zip(source.entries, done.entries, strict=True):
        assert canonical_labels(after.frame) == canonical_labels(before.frame)
        assert (after.frame.id, after.frame.name, after.frame.split, after.frame.extra) == (
            before.frame.id, before.frame.name, before.frame.split, before.frame.extra,
        )  # fmt: skip
        pixels = decode(done.read(after.image))
        assert pixels.shape == (before.frame.height_px, before.frame.width_px, 3)
        assert after.image == str(PurePosixPath(before.image).with_suffix(".jpg"))
        assert kit.sha256(done.read(after.image)) == after.sha256
        assert after.source is not None
        assert (after.source.dataset, after.source.sha256) == (source.result_id, before.sha256)
        label = keys.label(after.frame.split, after.frame.id)
        assert done.read(label) == source.read(label)
    assert done.read("data.yaml") == source.read("data.yaml")
    assert done.published.dataset["categories"] == source.published.dataset["categories"]
    assert done.published.dataset["format"] == source.published.dataset["format"]


def test_identity_leaves_pixels_and_time_of_day(workshop: Any, streets: Any) -> None:
    done = workshop.translate(streets, "identity")
    for before, after in zip(streets.entries, done.entries, strict=True):
        assert after.frame.attributes == before.frame.attributes
        difference = decode(done.read(after.image)).astype(int) - decode(streets.read(before.image))
        assert np.abs(difference).mean() < 1.5


def test_a_night_is_darker_and_tagged_night(workshop: Any, streets: Any) -> None:
    done = workshop.translate(streets, "camera-night")
    days, nights = [], []
    for before, after in zip(streets.entries, done.entries, strict=True):
        assert after.frame.attributes == {**before.frame.attributes, "timeofday": "night"}
        days.append(decode(streets.read(before.image)).mean())
        nights.append(decode(done.read(after.image)).mean())
    assert np.mean(nights) < 0.9 * np.mean(days)
    assert done.report["counts"]["timeofday"] == {"night": 7}


def test_a_frame_without_a_tag_is_tagged_too(workshop: Any, kit: Any) -> None:
    done = workshop.translate(workshop.ingest(kit.upload("yolo")), "camera-night")
    assert {entry.frame.timeofday for entry in done.entries} == {"night"}


@BOTH
def test_the_same_translation_twice_is_the_same_dataset_to_the_byte(
    workshop: Any, streets: Any, card: str
) -> None:
    one, again = workshop.translate(streets, card, seed=5), workshop.translate(streets, card, seed=5)
    assert one.result_id != again.result_id
    assert one.contents == again.contents


@BOTH
@pytest.mark.parametrize("frames_per_shard", [1, 3])
def test_the_size_of_the_shards_changes_no_byte(
    workshop: Any, streets: Any, card: str, frames_per_shard: int
) -> None:
    whole = workshop.translate(streets, card)
    cut = workshop.translate(streets, card, frames_per_shard)
    assert len(cut.worked) == -(-7 // frames_per_shard)
    assert cut.contents == whole.contents
    assert cut.report == whole.report


@BOTH
def test_the_size_of_the_batches_changes_no_byte(workshop: Any, kit: Any, card: str) -> None:
    upload = kit.upload("bdd100k", frames=6)
    for number in (0, 2, 3):  # one size three times, between others
        upload[f"bdd100k/images/100k/train/frame-{number}.jpg"] = kit.picture(48, 32, seed=number)
    source = workshop.ingest(upload)
    alone, together = (workshop.translate(source, card, batch_size=size) for size in (1, 3))
    assert alone.manifest == together.manifest
    assert all(alone.read(entry.image) == together.read(entry.image) for entry in alone.entries)


def test_another_seed_is_another_night(workshop: Any, streets: Any) -> None:
    one, other = (workshop.translate(streets, "camera-night", seed=seed) for seed in (1, 2))
    assert all(one.read(entry.image) != other.read(entry.image) for entry in one.entries)


def test_frames_of_one_dataset_get_nights_of_their_own(workshop: Any, kit: Any) -> None:
    upload = kit.upload("bdd100k", frames=3)
    for number in (0, 1):
        upload[f"bdd100k/images/100k/train/frame-{number}.jpg"] = kit.picture()
    upload["bdd100k/labels/det_20/det_train.json"][1]["labels"] = upload[
        "bdd100k/labels/det_20/det_train.json"
    ][0]["labels"]
    first, second, _ = workshop.translate(workshop.ingest(upload), "camera-night").entries
    assert first.frame.boxes == second.frame.boxes
    assert first.sha256 != second.sha256


def test_a_frame_gets_the_same_night_in_any_selection_of_frames(workshop: Any, streets: Any) -> None:
    whole = workshop.translate(streets, "camera-night")
    part = workshop.translate(streets, "camera-night", selection={"split": ["val"]})
    assert part.entries == [entry for entry in whole.entries if entry.frame.split == "val"]


def test_strength_zero_leaves_the_image(workshop: Any, streets: Any) -> None:
    still = workshop.translate(streets, "camera-night", strength=0.0)
    same = workshop.translate(streets, "identity")
    assert [entry.sha256 for entry in still.entries] == [entry.sha256 for entry in same.entries]


class Brightener(Generator):
    """Makes an image as many times as bright as it is told, or else half as bright."""

    def forward(self, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
        ratios = images.new_tensor([0.5 if scene.ratio is None else scene.ratio for scene in scenes])
        return (images * ratios.view(-1, 1, 1, 1)).clamp(0, 1)


@pytest.mark.parametrize(("ratio", "expected"), [(None, 0.5), (0.25, 0.25), (1.0, 1.0), (1.1, 1.1)])
def test_the_ratio_reaches_the_generator_and_the_card(
    workshop: Any,
    kit: Any,
    streets: Any,
    monkeypatch: pytest.MonkeyPatch,
    ratio: float | None,
    expected: float,
) -> None:
    monkeypatch.setattr("workers.resident_generator.load_generator", lambda *_: Brightener())
    card = {**kit.cards["identity"], "name": "my-kind", "architecture": "kind"}
    done = workshop.translate(streets, card, ratio=ratio)
    before, after = (decode(each.read(each.entries[0].image)).mean() for each in (streets, done))
    assert after == pytest.approx(expected * before, rel=0.02)
    recipe = done.json("card.json")["recipe"]
    assert {name: recipe[name] for name in recipe if name == "ratio"} == ({"ratio": ratio} if ratio else {})
    preview = workshop.translate(streets, card, ratio=ratio, preview=1)
    (key,) = (key for key in workshop.store.keys(f"jobs/{preview.job_id}/preview") if key.endswith(".jpg"))
    assert workshop.store.read(key) == done.read(key.partition("/preview/")[2])


def test_a_job_from_before_there_were_ratios_is_done(workshop: Any, streets: Any) -> None:
    done = workshop.translate(streets, "camera-night")
    plan = workshop.first_task_of(done)
    spec = {name: value for name, value in plan.spec.items() if name != "ratio"}
    old = workshop.run(JobKind.TRANSLATION, spec, plan.dataset_id)
    assert [entry.sha256 for entry in old.entries] == [entry.sha256 for entry in done.entries]


def test_jpeg_quality_is_what_was_asked(workshop: Any, streets: Any) -> None:
    fine, coarse = (workshop.translate(streets, jpeg_quality=quality) for quality in (98, 30))
    assert all(len(coarse.read(e.image)) < len(fine.read(e.image)) for e in fine.entries)


def spoil(store: ObjectStore, key: str, how: str) -> None:
    if how == "missing":
        store.delete(key)
        return
    data = store.read(key)
    store.write(key, {"empty": b"", "text": b"no picture", "cut": data[: len(data) // 2]}[how])


@pytest.mark.parametrize(
    ("card", "how"),
    [("identity", "missing"), ("identity", "empty"), ("camera-night", "text"), ("identity", "cut")],
)
def test_a_stored_image_that_cannot_be_read_is_named_and_the_rest_translated(
    workshop: Any, streets: Any, card: str, how: str
) -> None:
    spoil(workshop.store, keys.dataset(streets.result_id, "images/train/frame-2.jpg"), how)
    done = workshop.translate(streets, card, frames_per_shard=3)
    assert names(done) == [f"frame-{number}.jpg" for number in (0, 1, 3, 4, 5, 6)]
    [finding] = done.report["findings"]
    assert (finding["code"], finding["severity"], finding["path"]) == (
        "unreadable-image", "error", "frame-2.jpg",
    )  # fmt: skip
    assert [(outcome.frames_done, outcome.frames_failed) for outcome in done.worked] == [
        (2, 1),
        (3, 0),
        (1, 0),
    ]
    assert not [name for name in done.files if "frame-2" in name]


@pytest.mark.parametrize("place", range(20, 130, 22))
def test_a_stored_png_with_a_flipped_byte_never_stops_the_shard(workshop: Any, kit: Any, place: int) -> None:
    source = workshop.ingest(kit.upload("yolo"))
    key = keys.dataset(source.result_id, "images/train/b.png")
    data = bytearray(workshop.store.read(key))
    data[-place] ^= 0x55
    workshop.store.write(key, bytes(data))
    done = workshop.translate(source)
    assert len(done.entries) + len(done.report["findings"]) == 3
    assert {each["code"] for each in done.report["findings"]} <= {"unreadable-image"}


def test_a_stored_png_whose_chunks_do_not_fit_is_a_finding(workshop: Any, kit: Any) -> None:
    source = workshop.ingest(kit.upload("yolo"))
    key = keys.dataset(source.result_id, "images/train/b.png")
    data = bytearray(workshop.store.read(key))
    place = data.index(b"IDAT")
    data[place - 4 : place] = (4).to_bytes(4, "big")  # shorter than it is: what follows is no chunk
    workshop.store.write(key, bytes(data))
    with pytest.raises(SyntaxError):  # Pillow's word for it
        decode(bytes(data))
    done = workshop.translate(source)
    assert [(each["code"], each["path"]) for each in done.report["findings"]] == [
        ("unreadable-image", "b.png")
    ]
    assert names(done) == ["a.jpg", "c.jpg"]


def test_a_failing_disk_is_not_taken_for_a_bad_image(settings: Settings, workshop: Any, streets: Any) -> None:
    sick = type(workshop)(SickStore(settings), workshop.settings)
    with pytest.raises(OSError, match="Input/output error"):
        sick.translate(streets)


def test_a_dataset_of_which_no_image_can_be_read_is_refused(workshop: Any, streets: Any) -> None:
    for entry in streets.entries:
        spoil(workshop.store, keys.dataset(streets.result_id, entry.image), "text")
    with pytest.raises(DatasetRejected, match="No frame could be used"):
        workshop.translate(streets)
    assert workshop.rejection["totals"] == {"unreadable-image": 7}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, range(7)),
        ({"split": ["val"]}, [6]),
        ({"timeofday": ["daytime"], "split": ["train"]}, range(6)),
        ({"category": ["car"]}, range(7)),
    ],
)
def test_only_selected_frames_are_translated(
    workshop: Any, streets: Any, selection: dict[str, list[str]], expected: list[int]
) -> None:
    done = workshop.translate(streets, selection=selection)
    assert names(done) == [f"frame-{number}.jpg" for number in expected]
    assert done.json("card.json")["recipe"]["selection"] == selection
    assert done.planned.facts["frames_total"] == len(done.entries)


@pytest.mark.parametrize(
    "selection", [{"timeofday": ["night"]}, {"category": ["truck"]}, {"weather": ["fog"]}]
)
def test_a_selection_that_fits_no_frame_is_refused(
    workshop: Any, streets: Any, selection: dict[str, list[str]]
) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(selection))) as refusal:
        workshop.translate(streets, selection=selection)
    assert "Widen" in refusal.value.cure


@pytest.mark.parametrize(
    ("wanted", "shown"), [(1, [0]), (2, [0, 3]), (3, [0, 2, 4]), (7, range(7)), (50, range(7))]
)
def test_a_preview_takes_so_many_frames_evenly_spread(
    workshop: Any, streets: Any, wanted: int, shown: list[int]
) -> None:
    before = set(workshop.store.keys("datasets"))
    done = workshop.translate(streets, "camera-night", frames_per_shard=2, preview=wanted)
    prefix = f"jobs/{done.job_id}/preview/images/"
    images = [PurePosixPath(key).name for key in workshop.store.keys(prefix)]
    assert images == [f"frame-{number}.jpg" for number in shown]
    assert set(workshop.store.keys("datasets")) == before, "a preview makes no dataset"
    assert done.published.dataset is None
    assert done.published.facts == {"contact_sheet": True}
    assert done.report["frames"] == len(images)
    with Image.open(io.BytesIO(workshop.store.read(keys.contact_sheet(done.job_id)))) as sheet:
        cells = [round((33 + number) * CELL_WIDTH_PX / (48 + number)) for number in shown]
        assert sheet.size == (
            2 * CELL_WIDTH_PX + 3 * GAP_PX,
            sum(c + CAPTION_PX + GAP_PX for c in cells) + GAP_PX,
        )


def test_a_preview_of_images_that_cannot_be_read_says_so(workshop: Any, streets: Any) -> None:
    spoil(workshop.store, keys.dataset(streets.result_id, "images/train/frame-0.jpg"), "text")
    done = workshop.translate(streets, preview=2)
    assert (done.report["frames"], done.report["totals"]) == (1, {"unreadable-image": 1})
    spoil(workshop.store, keys.dataset(streets.result_id, "images/train/frame-3.jpg"), "text")
    done = workshop.translate(streets, preview=2)
    assert done.published.facts == {"contact_sheet": False}


def test_a_retry_of_a_preview_shows_the_frames_that_it_took_over(workshop: Any, streets: Any) -> None:
    done = workshop.translate(streets, "camera-night", frames_per_shard=2, preview=4)
    again = ShardTask(
        job_id="job-again", kind=JobKind.TRANSLATION, stage=Stage.PUBLISH, spec={"preview": 4},
        dataset_id=streets.result_id, result_id=None, job_outcome={}, plan_key="", result_key="",
        start_byte=0, stop_byte=0, parts=tuple(sorted(workshop.store.keys(f"jobs/{done.job_id}/shards"))),
    )  # fmt: skip
    assemble_preview(again, workshop.bench)
    first, second = (workshop.store.read(keys.contact_sheet(job_id)) for job_id in (done.job_id, "job-again"))
    assert first == second


@pytest.mark.parametrize(("frames", "rows"), [(1, 1), (3, 3), (6, 6), (9, 6)])
def test_the_contact_sheet_of_a_dataset_shows_up_to_six_pairs(
    workshop: Any, kit: Any, frames: int, rows: int
) -> None:
    upload = kit.upload("bdd100k", frames=frames)
    for name in [name for name in upload if name.endswith(".jpg")]:
        upload[name] = kit.picture(48, 32)
    done = workshop.translate(workshop.ingest(upload), "camera-night")
    assert rows_of(workshop.store.read(keys.contact_sheet(done.job_id)), 320) == rows


def test_the_card_says_where_it_comes_from_and_how_it_was_made(workshop: Any, kit: Any, streets: Any) -> None:
    done = workshop.translate(streets, "camera-night", seed=3, strength=0.5, jpeg_quality=90)
    card = done.json("card.json")
    assert card["source"] == {"dataset": streets.result_id, "card": streets.json("card.json")}
    assert card["licence"] == streets.json("card.json")["licence"]
    assert card["generator"] == json.loads(json.dumps(kit.cards["camera-night"]))
    assert card["recipe"] == {"seed": 3, "strength": 0.5, "jpeg_quality": 90, "selection": {}}
    assert card["machine"] == done.planned.facts["machine"]
    assert card["machine"]["batch_size"] == 1
    assert card["counts"] == done.report["counts"]


def test_a_translated_dataset_can_be_translated_again(workshop: Any, streets: Any) -> None:
    once = workshop.translate(streets, "camera-night")
    twice = workshop.translate(once, "identity")
    assert [canonical_labels(e.frame) for e in twice.entries] == [
        canonical_labels(e.frame) for e in once.entries
    ]
    assert twice.json("card.json")["source"]["card"]["source"]["dataset"] == streets.result_id


def test_progress_counts_up_to_every_frame(workshop: Any, streets: Any) -> None:
    spoil(workshop.store, keys.dataset(streets.result_id, "images/train/frame-4.jpg"), "text")
    workshop.reporter.progressed.clear()
    workshop.translate(streets)
    told = workshop.reporter.progressed
    assert [done + failed for done, failed, _ in told if done + failed] == list(range(1, 8))
    assert told[-1] == (6, 1, 7)
    assert all(done + failed <= reading <= 7 for done, failed, reading in told)


def test_what_the_translator_had_to_do_is_told_once(workshop: Any, kit: Any, streets: Any) -> None:
    translator = resident_translator(kit.cards["identity"], 1, workshop.settings, workshop.store)
    translator.notes.append("out of memory at batch 8: halved to 4")
    workshop.translate(streets)
    workshop.translate(streets)
    assert workshop.reporter.notes == ["out of memory at batch 8: halved to 4"]


def test_shards_take_about_as_long_as_the_settings_want(
    settings: Settings, workshop: Any, streets: Any
) -> None:
    hasty = type(workshop)(workshop.store, workshop.settings.model_copy(update={"shard_seconds": 1e-9}))
    planned = hasty.translate(streets).planned
    assert [part.frames_total for part in planned.parts] == [1] * 7
    assert planned.facts["measured_seconds_per_image"] >= 0
    patient = type(workshop)(workshop.store, workshop.settings.model_copy(update={"shard_seconds": 1e6}))
    assert [part.frames_total for part in patient.translate(streets).planned.parts] == [7]


def test_a_plan_that_failed_before_measures_on_other_frames(
    workshop: Any, streets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[list[bytes]] = []

    def remember(_: object, lines: list[bytes]) -> float:
        measured.append(lines)
        return 1.0

    plan = workshop.first_task_of(workshop.translate(streets))
    monkeypatch.setattr("workers.stages.translate._Translation.seconds_per_frame", remember)
    for attempts in (0, 1, 2):
        planned = workshop.do(replace(plan, attempts=attempts))
        assert planned.facts["frames_total"] == 7
    first, second, third = measured
    assert (len(first), len(second), len(third)) == (4, 3, 0)
    assert not set(first) & set(second)


def test_the_frames_in_flight_are_known_before_the_first_is_finished(workshop: Any, kit: Any) -> None:
    """Should the process die on one of them, each is isolated at once, and not one death after the other."""
    day = workshop.ingest(kit.upload("bdd100k"))
    workshop.reporter.progressed.clear()
    workshop.translate(day, frames_per_shard=5)
    first = [told for told in workshop.reporter.progressed if told[:2] == (0, 0)]
    assert [reading for _, _, reading in first][:2] == [1, 2]
    assert workshop.reporter.progressed[-1] == (5, 0, 5)
