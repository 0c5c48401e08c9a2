import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.metrics.fid import frechet_distance
from models.metrics.frame import FrameMeasurement
from models.metrics.kid import kernel_distance
from models.metrics.measurements import Measurements
from models.metrics.quality import quality

Fill = Callable[..., Measurements]
Row = Callable[[int], FrameMeasurement]
NAN = float("nan")


@pytest.fixture
def of_rows(filled: Fill) -> Callable[[list[FrameMeasurement]], Measurements]:
    def fill(rows: list[FrameMeasurement]) -> Measurements:
        measurements = filled([])
        for number, row in enumerate(rows):
            measurements.add(number, row)
        return measurements

    return fill


OfRows = Callable[[list[FrameMeasurement]], Measurements]


def test_distances_are_those_of_all_the_features(filled: Fill) -> None:
    ours, theirs = filled(range(30)), filled(range(100, 125), name="nights", shift=0.5)
    found = quality(ours, theirs)
    x, y = ours.columns()["features"], theirs.columns()["features"]
    assert found.kid.value == kernel_distance(x, y).value
    assert found.kid.standard_error == kernel_distance(x, y).standard_error
    assert found.fid.value == frechet_distance(x, y)
    assert (found.frames, found.reference, found.reference_frames) == (30, "nights", 25)
    assert (found.backbone, found.backbone_sha256) == ("made up", "0" * 64)


def test_without_a_reference_there_are_no_distances(filled: Fill) -> None:
    found = quality(filled(range(30)))
    assert found.kid.value is found.fid.value is found.reference is None
    assert found.kid.reason == found.fid.reason == "no reference was given"
    assert found.niqe.value is not None


@pytest.mark.parametrize(
    ("ours", "theirs", "kid", "fid"),
    [
        (9, 30, "needs at least 10 frames a side, got 9", "needs at least 10 frames a side, got 9"),
        (30, 10, None, "needs at least 12 frames a side, got 10"),
        (12, 12, None, None),
    ],
)
def test_too_few_frames_are_named(
    filled: Fill, ours: int, theirs: int, kid: str | None, fid: str | None
) -> None:
    # eleven features: FID needs twelve frames, KID ten
    yardstick = replace(filled([]).yardstick, dim=11)
    found = quality(
        filled(range(ours), yardstick=yardstick), filled(range(100, 100 + theirs), yardstick=yardstick)
    )
    assert found.kid.reason == kid
    assert (found.kid.value is None) == (kid is not None)
    assert (found.fid.value is None) == (fid is not None)
    assert fid is None or "got" in str(found.fid.reason)


def test_features_of_two_backbones_are_not_compared(filled: Fill) -> None:
    other = replace(filled([]).yardstick, backbone="other", backbone_sha256="2" * 64)
    found = quality(filled(range(30)), filled(range(30), yardstick=other))
    assert found.kid.value is None
    assert found.kid.reason == "features are of 'made up', those of the reference of 'other'"


def test_frames_are_averaged_and_missing_numbers_left_out(of_rows: OfRows, drawn_row: Row) -> None:
    rows = [replace(drawn_row(number), niqe=value) for number, value in enumerate((2.0, NAN, 5.0))]
    assert quality(of_rows(rows)).niqe.value == 3.5


def test_boxes_are_averaged_over_boxes_not_over_frames(of_rows: OfRows, drawn_row: Row) -> None:
    rows = [
        replace(drawn_row(0), similarity_inside=0.9, boxes=1, similarity_outside=0.5),
        replace(drawn_row(1), similarity_inside=0.9, boxes=2, similarity_outside=NAN),
        replace(drawn_row(2), similarity_inside=0.0, boxes=0, similarity_outside=0.25),
    ]
    found = quality(of_rows(rows))
    assert found.gradient_similarity_inside.value == pytest.approx(0.6)
    assert found.gradient_similarity_outside.value == 0.375
    assert found.boxes == 3


def test_without_sources_there_is_no_similarity(of_rows: OfRows, drawn_row: Row) -> None:
    found = quality(of_rows([replace(drawn_row(0), similarity_inside=0.0, boxes=0, similarity_outside=NAN)]))
    assert found.gradient_similarity_inside.value is found.gradient_similarity_outside.value is None
    assert "no source" in str(found.gradient_similarity_outside.reason)


def test_share_of_night_counts_frames_from_a_half_on(of_rows: OfRows, drawn_row: Row) -> None:
    rows = [replace(drawn_row(number), night=value) for number, value in enumerate((0.49, 0.5, 0.99, 0.0))]
    assert quality(of_rows(rows)).share_night.value == 0.5


def test_brightness_is_of_pixels(of_rows: OfRows, drawn_row: Row) -> None:
    dark, light = np.zeros((2, 64), np.uint32)
    dark[0], light[32] = 300, 100
    rows = [replace(drawn_row(number), brightness=counts) for number, counts in enumerate((dark, light))]
    brightness = quality(of_rows(rows)).brightness
    assert brightness.bin_levels == 4
    assert brightness.shares[0] == 0.75
    assert brightness.shares[32] == 0.25
    assert sum(brightness.shares) == 1
    # two thirds into the first bin; four fifths into the 33rd
    assert brightness.median == pytest.approx(4 * 2 / 3)
    assert brightness.p5 == pytest.approx(4 * 0.05 / 0.75)
    assert brightness.p95 == pytest.approx(128 + 4 * 0.8)


def test_noise_is_of_frames(of_rows: OfRows, drawn_row: Row) -> None:
    levels = (0.0, 0.2, 0.6, 3.0, 200.0)
    noise = quality(
        of_rows([replace(drawn_row(number), noise=level) for number, level in enumerate(levels)])
    ).noise
    assert noise.median == 0.6
    assert {number: share for number, share in enumerate(noise.shares) if share} == {
        0: 0.4,
        1: 0.2,
        6: 0.2,
        40: 0.2,
    }


def test_an_empty_set_has_reasons_instead_of_numbers(filled: Fill) -> None:
    found = quality(filled([]), filled(range(30))).to_json()
    assert found["frames"] == 0
    for name in ("kid", "fid", "niqe", "share_night", "gradient_similarity_inside"):
        assert found[name]["value"] is None
        assert found[name]["reason"]
    assert found["brightness"]["median"] is found["noise"]["median"] is None


def test_json_holds_plain_numbers_only(filled: Fill) -> None:
    for found in (quality(filled(range(30)), filled(range(50, 80))), quality(filled([]))):
        shown = found.to_json()
        assert json.loads(json.dumps(shown, allow_nan=False)) == shown
