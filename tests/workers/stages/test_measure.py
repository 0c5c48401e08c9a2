"""Quality as a job, and in the report of a translation."""

import json
from typing import Any

import pytest

from service.errors import InvalidRequest
from service.jobs.job import JobKind
from service.storage import keys


@pytest.fixture
def day(workshop: Any, kit: Any) -> Any:
    return workshop.ingest(kit.upload("bdd100k", frames=12))


def figures(done: Any) -> dict[str, Any]:
    return dict(done.report["quality"])


def test_a_set_compared_with_itself_is_at_no_distance(workshop: Any, day: Any) -> None:
    found = figures(workshop.measure(day, day))
    assert found["frames"] == found["reference_frames"] == 12
    assert found["kid"]["value"] < 0.01  # unbiased: below 0 where both sides share their noise
    assert found["reference"] == f"set {day.result_id}"
    assert "source frames" in found["gradient_similarity_inside"]["reason"]


def test_without_a_reference_the_bundled_night_frames_serve(workshop: Any, day: Any) -> None:
    found = figures(workshop.measure(day))
    assert found["reference_frames"] > 100
    assert found["kid"]["value"] > 0


def test_shards_add_up_to_one_pass_bit_for_bit(workshop: Any, day: Any) -> None:
    whole = workshop.measure(day, day)
    cut = workshop.run(JobKind.QUALITY, workshop.first_task_of(whole).spec, day.result_id, frames_per_shard=5)
    assert len(cut.worked) == 5
    assert cut.report == whole.report


def test_an_unchanged_translation_keeps_every_gradient(workshop: Any, day: Any) -> None:
    copy = workshop.translate(day, "identity", jpeg_quality=100)
    found = figures(workshop.measure(copy))
    assert found["boxes"] == 12
    assert found["gradient_similarity_inside"]["value"] == pytest.approx(1.0, abs=0.05)


def test_a_translation_reports_its_quality(workshop: Any, day: Any) -> None:
    night = workshop.translate(day, "camera-night", quality_frames=100, frames_per_shard=5)
    found = figures(night)
    assert found["frames"] == 12
    assert found["brightness"]["median"] < 100
    assert night.json("card.json")["quality"] == found
    other = workshop.translate(day, "camera-night", quality_frames=100)
    assert figures(other) == found


def test_only_so_many_results_are_measured(workshop: Any, day: Any) -> None:
    assert figures(workshop.translate(day, "identity", quality_frames=6, frames_per_shard=5))["frames"] == 6
    assert "quality" not in workshop.translate(day, "identity", quality_frames=0).report


def test_an_image_that_is_gone_is_named_and_the_others_are_measured(workshop: Any, day: Any) -> None:
    workshop.store.write(keys.dataset(day.result_id, day.entries[2].image), b"no picture")
    done = workshop.measure(day)
    assert figures(done)["frames"] == 11
    assert [each["path"] for each in done.report["findings"]] == [day.entries[2].frame.name]
    assert (done.worked[0].frames_done, done.worked[0].frames_failed) == (11, 1)


def test_a_selection_without_frames_is_refused(workshop: Any, day: Any) -> None:
    chosen = {"dataset_id": day.result_id, "name": "days", "selection": {"weather": ["fog"]}}
    with pytest.raises(InvalidRequest, match="fits the selection"):
        workshop.measure(day, dataset=chosen)


def test_the_figures_are_plain_json(workshop: Any, day: Any) -> None:
    done = workshop.measure(day)
    assert json.loads(json.dumps(done.published.facts, allow_nan=False))["quality"] == figures(done)
